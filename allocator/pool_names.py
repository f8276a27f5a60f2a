"""What pools are called in usage, errors and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.spec import CacheKind

if TYPE_CHECKING:
    from allocator.spec import CacheSpec

POOL_NAMES = {CacheKind.ATTENTION: "kv", CacheKind.STATE: "state"}


def pool_names(spec: CacheSpec) -> list[str]:
    """A name for the pool of each cache group: its kind, with its own name where kinds repeat."""
    kinds = [group.kind for group in spec.groups]
    return [
        POOL_NAMES[group.kind]
        if kinds.count(group.kind) == 1
        else f"{POOL_NAMES[group.kind]} {group.name}"
        for group in spec.groups
    ]
