"""The tab in which answers are scored by hand."""
