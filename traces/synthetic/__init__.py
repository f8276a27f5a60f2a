"""One file a synthetic trace; the registry finds each by its `PRESET`."""
