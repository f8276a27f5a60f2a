"""Subcommands of the command line, one a file: each parses, calls its job and renders."""
