"""Prints what every manager answers to the same calls; run by the test of determinism."""

from __future__ import annotations

import sys

from allocator.backing import HostBacking
from allocator.interface import CacheManager, OutOfMemoryError
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 2, 32), CacheGroup("ssm", CacheKind.STATE, 3, 80)), 4
)


def answers(manager: CacheManager) -> list[str]:
    """Admit sequences of growing length until several fail, dropping every third one."""
    lines, live = [], []
    for sequence in range(120):
        manager.prepare(1 + sequence % 23)
        try:
            manager.admit(sequence, 1 + sequence % 23)
            live.append(sequence)
            manager.extend_all(live[-5:], 2)
            tables = [list(manager.block_table(sequence, group.name)) for group in SPEC.groups]
            lines.append(f"{sequence} {tables}")
        except OutOfMemoryError as error:
            lines.append(f"{sequence} {error}")
        if sequence % 3 == 0 and live:
            manager.release(live.pop())
    return [*lines, str(manager.usage()), str(manager.take_migrations())]


if __name__ == "__main__":
    for name, design in known_managers().items():
        found = answers(design(SPEC, HostBacking(32 << 10, 1024), design.Options()))
        sys.stdout.write("\n".join([name, *found, ""]))
