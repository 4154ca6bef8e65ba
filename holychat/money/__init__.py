"""Money and tokens: what a request costs, what was spent, what may still be spent."""
