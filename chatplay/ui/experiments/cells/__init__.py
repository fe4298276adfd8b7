"""The tab with the cases of an experiment, cell by cell."""
