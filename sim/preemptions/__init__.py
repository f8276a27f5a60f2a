"""Ways of preemption, one a file; `sim.preemption` finds them here."""
