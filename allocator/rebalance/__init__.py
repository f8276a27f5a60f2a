"""Policies that move capacity between pools, one a file."""
