"""Cache managers, one design a file; `allocator.registry` finds them here."""
