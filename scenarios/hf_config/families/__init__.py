"""Families of architectures, one a file; `scenarios.hf_config.family` finds them here."""
