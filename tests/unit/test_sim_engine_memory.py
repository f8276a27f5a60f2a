"""Mappings and copies, who pays for them, and when a manager prepares; steps take 10 ns."""

from dataclasses import dataclass, field, replace

import numpy as np

from allocator.backing import HostBacking
from allocator.managers.avmp import AvmpManager, AvmpOptions, Switch
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.two_ended import Compaction, TwoEndedManager, TwoEndedOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.step import StepPlan
from traces.record import Trace

STEP_NS = 10
TOKEN_BYTES = 128
SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),))


def open_trace(*arrivals_ns: int, prompt: int = 4, output: int = 1) -> Trace:
    n = len(arrivals_ns)
    lengths = np.full(n, prompt), np.full(n, output)
    return Trace("open", *lengths, arrival_ns=np.array(arrivals_ns, dtype=np.int64))


@dataclass
class Recorder:
    """A step of 10 ns that notes its mappings: made and taken away before it, and beside it."""

    seen: list[tuple[int, int, int, int]] = field(default_factory=list)

    def execute(self, plan: StepPlan) -> int:
        self.seen.append((plan.maps, plan.unmaps, plan.maps_beside, plan.unmaps_beside))
        return STEP_NS


def hybrid_run(ahead: Switch) -> tuple[Recorder, EventLog]:
    """Two requests of 12 and 2 tokens; 8 granules a pool, a token or a state in each."""
    groups = (SPEC.groups[0], CacheGroup("ssm", CacheKind.STATE, 1, TOKEN_BYTES))
    backing = HostBacking(16 * TOKEN_BYTES, TOKEN_BYTES)
    options = AvmpOptions(batch=1, unit=1, ahead=ahead)
    manager = AvmpManager(CacheSpec(groups, page_tokens=1), backing, options)
    recorder = Recorder()
    parts = Wiring(manager, FcfsScheduler(FcfsOptions()), recorder)
    return recorder, Engine(open_trace(0, 50, prompt=12, output=2), parts).run()


def migrations(log: EventLog) -> list[list[int]]:
    """Time, donor, recipient and bytes of each."""
    rows: list[list[int]] = log.of(EventKind.MIGRATION)[:, [0, 3, 4, 5]].tolist()
    return rows


def test_mappings_are_priced_with_the_step_they_were_made_for() -> None:
    """A prompt needs 12 granules of KV, its second token one more; laying out costs no step."""
    recorder, log = hybrid_run(Switch.OFF)
    assert recorder.seen == [(4, 4, 0, 0), (1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)]
    kv, state = 0, 1
    assert migrations(log) == [
        [0, state, kv, 4 * TOKEN_BYTES],
        [10, state, kv, TOKEN_BYTES],
    ]


def test_mappings_made_ahead_are_priced_beside_the_step() -> None:
    """After an admission of 12 blocks another of 12 / 8 = 1.5, rounded to 2, should fit."""
    recorder, log = hybrid_run(Switch.ON)
    assert recorder.seen == [(4, 4, 2, 2), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)]
    kv, state = 0, 1
    assert migrations(log) == [
        [0, state, kv, 4 * TOKEN_BYTES],
        [0, state, kv, 2 * TOKEN_BYTES],
    ]


class Asked(SharedBytesManager):
    """Notes what it is told of the queue, and how many bytes are in use then."""

    def prepare(self, next_tokens: int) -> None:
        self.told: list[tuple[int, int]] = [*getattr(self, "told", []), (next_tokens, self.used())]

    def used(self) -> int:
        return self.usage().granted_bytes // TOKEN_BYTES


def test_a_manager_prepares_beside_a_step_when_who_runs_or_waits_has_changed() -> None:
    """The second prompt comes during the first step, and runs when the first request has ended."""
    manager = Asked(SPEC, HostBacking(100 * TOKEN_BYTES, TOKEN_BYTES), SharedBytesOptions())
    lengths = np.array([4, 6, 5]), np.array([3, 2, 1])
    trace = Trace("open", *lengths, arrival_ns=np.array([0, 5, 500]))
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=1))
    log = Engine(trace, Wiring(manager, scheduler, ConstantExecutor(STEP_NS))).run()
    assert log.of(EventKind.COMPLETION)[:, 0].tolist() == [30, 50, 510]
    assert manager.told == [(0, 4), (6, 5), (0, 6), (0, 5)]


@dataclass
class CopyRecorder:
    """Notes the bytes that each step is charged for copies."""

    seen: list[int] = field(default_factory=list)

    def execute(self, plan: StepPlan) -> int:
        self.seen.append(plan.copied_bytes)
        return STEP_NS


def test_copies_at_a_release_are_priced_with_the_next_step() -> None:
    """Eager compaction moves the page at the edge when the first of two sequences ends."""
    manager = TwoEndedManager(
        CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),), page_tokens=1),
        HostBacking(100 * TOKEN_BYTES, TOKEN_BYTES),
        TwoEndedOptions(Compaction.EAGER),
    )
    trace = replace(open_trace(0, 0), output_tokens=np.array([1, 3]))
    recorder = CopyRecorder()
    Engine(trace, Wiring(manager, FcfsScheduler(FcfsOptions()), recorder)).run()
    assert recorder.seen == [0, 4 * TOKEN_BYTES, 0]
    assert manager.backing.counters().copied_bytes == sum(recorder.seen)
