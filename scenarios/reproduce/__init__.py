"""Published evaluations, run again: what `twinpool reproduce` does, a paper a name."""
