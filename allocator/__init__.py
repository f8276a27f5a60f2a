"""Who holds which bytes: no clock, no torch, no requests."""
