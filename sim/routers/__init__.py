"""Routers, one policy a file; `sim.router` finds them here."""
