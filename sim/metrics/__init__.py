"""Metrics, one a file; `sim.metric` finds them here."""
