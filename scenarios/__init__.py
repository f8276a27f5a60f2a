"""Composition: a model, a device, a trace and allocators become a wired run and its result."""
