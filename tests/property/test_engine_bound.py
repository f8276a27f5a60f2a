"""In which sense `shared-bytes` bounds every allocator, and in which it does not.

Call by call it does: whatever an allocator grants, `shared-bytes` grants after the same calls.
Hence it completes every request that any allocator completes. It need not be the *first* to end:
with greedy admission more room lets requests in that are preempted later, and recomputing costs
steps (a Graham anomaly). The anomaly is rare, and pinned below; on the stated scenarios, which are
chosen without looking at times, the bound also ends first.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import (
    NO_TERMS,
    CacheManager,
    Migration,
    OutOfMemoryError,
    Terms,
    Usage,
)
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from traces.record import Trace

GRANULE_BYTES = 256
BOUND = "shared-bytes"
LONGEST_TOKENS = 120
"""No request below has more, where all of them must fit under every allocator."""
OPTIONS = FcfsOptions(max_seqs=16, max_batched_tokens=64)


@contextmanager
def bound_must_grant() -> Iterator[None]:
    """The engine handles OutOfMemoryError, so that the bound's must not look like one."""
    try:
        yield
    except OutOfMemoryError as error:
        raise AssertionError("the bound refuses what another allocator grants") from error


class Shadowed(CacheManager):
    """A manager whose every granted call must be granted by `shared-bytes` too."""

    def __init__(self, inner: CacheManager) -> None:
        self.spec, self.backing = inner.spec, inner.backing
        self.inner = inner
        budget_bytes = inner.backing.num_granules * GRANULE_BYTES
        backing = HostBacking(budget_bytes, GRANULE_BYTES)
        self.bound = SharedBytesManager(inner.spec, backing, SharedBytesOptions())

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        self.inner.admit(sequence, tokens, terms)
        with bound_must_grant():
            self.bound.admit(sequence, tokens, terms)

    def extend(self, sequence: int, tokens: int) -> None:
        self.inner.extend(sequence, tokens)
        with bound_must_grant():
            self.bound.extend(sequence, tokens)

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        self.inner.extend_all(sequences, tokens)
        with bound_must_grant():
            self.bound.extend_all(sequences, tokens)

    def prepare(self, next_tokens: int) -> None:
        self.inner.prepare(next_tokens)

    def release(self, sequence: int) -> None:
        self.inner.release(sequence)
        self.bound.release(sequence)

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        return self.inner.block_table(sequence, group)

    def usage(self) -> Usage:
        return self.inner.usage()

    def check_integrity(self) -> None:
        assert self.bound.usage().needed_bytes == self.inner.usage().needed_bytes

    @property
    def max_sequence_tokens(self) -> int:
        assert self.inner.max_sequence_tokens <= self.bound.max_sequence_tokens
        return self.inner.max_sequence_tokens

    def take_migrations(self) -> list[Migration]:
        return self.inner.take_migrations()


def build(name: str, spec: CacheSpec, num_granules: int, granularity: Granularity) -> CacheManager:
    kind = known_managers()[name]
    options = kind.Options()
    wanted = {"granularity": granularity, "span": 1, "unit": 1, "batch": 2}
    wanted["max_tokens"] = LONGEST_TOKENS
    known = {field.name for field in fields(options)}
    options = replace(options, **{key: wanted[key] for key in wanted.keys() & known})
    return kind(spec, HostBacking(num_granules * GRANULE_BYTES, GRANULE_BYTES), options)


def run(manager: CacheManager, trace: Trace, options: FcfsOptions = OPTIONS) -> EventLog:
    scheduler = FcfsScheduler(options)
    return Engine(trace, Wiring(manager, scheduler, ConstantExecutor(1000))).run()


def completed(log: EventLog) -> set[int]:
    return set(log.of(EventKind.COMPLETION)[:, 2].tolist())


def end_ns(log: EventLog) -> int:
    return int(log.table()[-1, 0])


def spec_of(kv_bytes: int, state_bytes: int, page_tokens: int) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, 2, kv_bytes)
    return CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, 2, state_bytes)), page_tokens)


SPECS = st.builds(
    spec_of, st.sampled_from([16, 32]), st.sampled_from([16, 100, 700]), st.sampled_from([1, 4, 16])
)
TRACES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=2, max_size=12).map(
    lambda rows: Trace("burst", *np.array(rows, dtype=np.int64).T)
)


@pytest.mark.parametrize("name", known_managers())
@given(spec=SPECS, num_granules=st.integers(8, 60), trace=TRACES, layer=st.booleans())
def test_the_bound_grants_every_call_that_anybody_grants(
    name: str, spec: CacheSpec, num_granules: int, trace: Trace, *, layer: bool
) -> None:
    granularity = Granularity.LAYER if layer else Granularity.GROUP
    shadowed = Shadowed(build(name, spec, num_granules, granularity))
    log = run(shadowed, trace)
    shadowed.check_integrity()
    bound = run(build(BOUND, spec, num_granules, granularity), trace)
    assert completed(bound) >= completed(log)


NUM_GRANULES = 180
"""44 KiB: just enough for the longest request under every allocator; for 60 of them far too few."""

SCENARIOS = {
    "short prompts, long answers": (4, 8, 10, 40),
    "long prompts, short answers": (60, 90, 1, 8),
    "mixed": (1, 80, 1, 40),
    "equal": (32, 33, 32, 33),
}


def scenario_trace(name: str, gap_ns: int) -> Trace:
    low_prompt, high_prompt, low_output, high_output = SCENARIOS[name]
    rng = np.random.default_rng(23)
    prompts = rng.integers(low_prompt, high_prompt, 60)
    outputs = rng.integers(low_output, high_output, 60)
    return Trace(name, prompts, outputs, np.arange(60, dtype=np.int64) * gap_ns)


@pytest.mark.parametrize("gap_ns", [0, 5_000])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", known_managers())
def test_the_bound_completes_no_fewer_and_ends_no_later(
    name: str, scenario: str, gap_ns: int
) -> None:
    trace = scenario_trace(scenario, gap_ns)
    spec = spec_of(32, 700, 4)
    log = run(build(name, spec, NUM_GRANULES, Granularity.GROUP), trace)
    bound = run(build(BOUND, spec, NUM_GRANULES, Granularity.GROUP), trace)
    assert len(completed(log)) == len(trace)  # else an end would mean nothing
    assert len(completed(bound)) >= len(completed(log))
    assert end_ns(bound) <= end_ns(log)


def test_more_room_can_end_later() -> None:
    """The anomaly: the bound lets the third request in early, loses it, and recomputes it.

    If this ever fails because the bound ends first, admission is no longer greedy; say so above.
    """
    groups = (
        CacheGroup("kv", CacheKind.ATTENTION, 1, 16),
        CacheGroup("ssm", CacheKind.STATE, 1, 64),
    )
    spec = CacheSpec(groups, page_tokens=16)
    trace = Trace("anomaly", np.array([29, 39, 3]), np.array([28, 7, 23]))
    logs = [
        run(build(name, spec, 6, Granularity.GROUP), trace, options=FcfsOptions(4, 4))
        for name in (BOUND, "padded")
    ]
    assert [len(log.of(EventKind.PREEMPTION)) for log in logs] == [1, 0]
    assert completed(logs[0]) == completed(logs[1])
    assert end_ns(logs[0]) > end_ns(logs[1])
