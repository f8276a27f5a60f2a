"""How the log says that the allocator refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.event_log import NO_SUBJECT, EventKind

if TYPE_CHECKING:
    from allocator.interface import OutOfMemoryError
    from sim.event_log import LogWriter
    from sim.request import Sequence


class ShortageLog:
    """Writes allocations that failed, with pools by their numbers."""

    def __init__(self, log: LogWriter) -> None:
        self._log = log
        self._pool_numbers = {pool.name: i for i, pool in enumerate(log.header.pools)}

    def record(self, now_ns: int, sequence: Sequence, error: OutOfMemoryError) -> int:
        """Log a refusal, and count it as the sequence's; returns the number of the pool."""
        sequence.failed_allocations += 1
        pool = self._pool_numbers[error.pool]
        values = (pool, error.asked, error.free)
        self._log.append(now_ns, EventKind.OOM, sequence.request_id, *values)
        if error.migration_blocked:
            self._log.append(now_ns, EventKind.MIGRATION_BLOCKED, NO_SUBJECT, 0, pool)
        return pool
