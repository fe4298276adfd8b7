"""The metrics page: filters, tiles, charts, calls and their flight recorder."""
