"""The compare page: panes, their run, votes and differences."""
