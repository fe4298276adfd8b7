"""The chat page: what it draws, and what its buttons do."""
