"""An engine that is a queue of the textbooks: one server, unlimited memory, steps of one length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.event_log import EventLog
    from traces.record import Trace

SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 128),))
UNLIMITED_BYTES = 1 << 30


@dataclass(frozen=True)
class Queue:
    """Serves one request at a time (or more); memory is never short."""

    max_seqs: int = 1

    def serve(self, trace: Trace, step_ns: int) -> EventLog:
        manager = SharedBytesManager(SPEC, HostBacking(UNLIMITED_BYTES), SharedBytesOptions())
        scheduler = FcfsScheduler(FcfsOptions(self.max_seqs))
        return Engine(trace, Wiring(manager, scheduler, ConstantExecutor(step_ns))).run()


@pytest.fixture
def serve() -> Callable[[Trace, int], EventLog]:
    """Run a trace through one server whose steps take so many ns."""
    return Queue().serve


@pytest.fixture
def serve_many() -> Callable[[Trace, int], EventLog]:
    """The same with up to 16 requests at a time."""
    return Queue(max_seqs=16).serve
