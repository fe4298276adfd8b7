"""The tab with an experiment's results."""
