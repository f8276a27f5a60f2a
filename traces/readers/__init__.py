"""One file a trace format; the registry finds each by its `READER`."""
