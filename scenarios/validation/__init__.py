"""The same run simulated and on a device, compared: one module a part of it."""
