"""Experiments: arms x cases x repeats, planned, run, scored and compared."""
