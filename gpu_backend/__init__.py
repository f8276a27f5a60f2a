"""The simulator's interfaces on a real device; the only place that imports torch and triton."""
