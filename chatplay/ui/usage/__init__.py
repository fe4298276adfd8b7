"""The usage page: tables, budgets and prices."""
