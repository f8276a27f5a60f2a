"""How many tokens and sequences fit, as each engine would count them, and where every byte goes."""
