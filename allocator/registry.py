"""The cache managers there are: whatever `allocator.managers` holds, one design a file."""

from __future__ import annotations

from functools import cache

from allocator import managers
from allocator.discovery import discover
from allocator.interface import CacheManager


@cache
def known_managers() -> dict[str, type[CacheManager]]:
    """Every manager by its name, in order of name."""
    return discover(managers, CacheManager)  # type: ignore[type-abstract]
