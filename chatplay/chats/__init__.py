"""Chat sessions and turns."""
