"""What an allocator decided, so that two runs can be compared: every handle given and taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.event_log import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import BackingCounters
    from sim.event_log import EventLog

GIVEN, TAKEN = 0, 1 << 32
"""Added to a handle, which has 32 bits."""


class HandleDigest:
    """SHA-256 of the handles given and taken, in order of each pool; a `TableListener`.

    Managers may work out later, and pool by pool, who has which pages; no pool sees another order.

    Attributes:
        num_given: Handles given so far.
    """

    def __init__(self) -> None:
        self._by_pool: dict[int, hashlib._Hash] = {}
        self.num_given = 0

    def given(self, pool: int, handles: Sequence[int]) -> None:
        """See `allocator.page_table.TableListener.given`."""
        self.num_given += len(handles)
        self._note(pool, GIVEN, handles)

    def taken(self, pool: int, handles: Sequence[int]) -> None:
        """See `allocator.page_table.TableListener.taken`."""
        self._note(pool, TAKEN, handles)

    def hexdigest(self) -> str:
        """The digest of all so far."""
        by_pool = (sha.digest() for _, sha in sorted(self._by_pool.items()))
        return hashlib.sha256(b"".join(by_pool)).hexdigest()

    def _note(self, pool: int, what: int, handles: Sequence[int]) -> None:
        if pool not in self._by_pool:
            self._by_pool[pool] = hashlib.sha256()
        words = np.array(handles, dtype="<i8") + what
        self._by_pool[pool].update(words.tobytes())


@dataclass(frozen=True, slots=True)
class Decisions:
    """What an allocator did in a run.

    Attributes:
        handles_sha256: Of every handle given and taken.
        num_handles: Handles given.
        memory_calls: What it asked its backing.
        oom_events: Allocations that failed.
        preemptions: Sequences that lost their pages.
        migrations: Moves of capacity.
        peak_bytes: Most bytes granted at once.
        event_log_sha256: Of the log of everything that happened.
    """

    handles_sha256: str
    num_handles: int
    memory_calls: BackingCounters
    oom_events: int
    preemptions: int
    migrations: int
    peak_bytes: int
    event_log_sha256: str

    @classmethod
    def of(cls, digest: HandleDigest, memory_calls: BackingCounters, log: EventLog) -> Decisions:
        """What a finished run decided."""
        return cls(
            handles_sha256=digest.hexdigest(),
            num_handles=digest.num_given,
            memory_calls=memory_calls,
            oom_events=len(log.of(EventKind.OOM)),
            preemptions=len(log.of(EventKind.PREEMPTION)),
            migrations=len(log.of(EventKind.MIGRATION)),
            peak_bytes=int(log.of(EventKind.END)[-1, 3]),
            event_log_sha256=log.sha256(),
        )
