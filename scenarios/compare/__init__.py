"""A simulated run against a measured log: one module a part of the comparison."""
