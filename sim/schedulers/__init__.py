"""Schedulers, one policy a file; `sim.scheduler` finds them here."""
