"""The models page: cards, and the forms of administrators."""
