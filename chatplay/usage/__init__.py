"""What was used: roll-ups kept current, questions answered from them, prices, budgets and exports."""
