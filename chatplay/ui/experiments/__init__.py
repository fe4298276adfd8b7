"""The experiments page, tab by tab."""
