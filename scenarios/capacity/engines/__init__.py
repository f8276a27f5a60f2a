"""Engines, one a file; `scenarios.capacity.engine` finds them here."""
