"""The commands of `python -m chatplay`, one module for each group."""
