"""Judges a run of the fault harness from its evidence alone. Shares no code with the product."""
