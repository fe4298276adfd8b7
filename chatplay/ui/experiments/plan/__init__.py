"""The tab in which an experiment is planned."""
