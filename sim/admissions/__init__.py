"""Admission controls, one a file; `sim.admission` finds them here."""
