"""What every registered scheduler keeps, whatever its policy; a new one is tested by being there.

Options stay at their defaults, so that a newcomer needs none of the names used elsewhere.
"""

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.interface import CacheManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.scheduler import Scheduler, known_schedulers
from sim.step import StepPlan
from traces.record import Trace

GRANULE_BYTES = 1024
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 2, 32), CacheGroup("ssm", CacheKind.STATE, 3, 128)),
    page_tokens=4,
)
LENGTHS = np.random.default_rng(17).integers(1, 40, (2, 30))
SPREAD_NS = np.sort(np.random.default_rng(18).integers(0, 400_000, 30))

TRACES = {
    "spread": Trace("spread", LENGTHS[0], LENGTHS[1], SPREAD_NS),
    "burst": Trace("burst", LENGTHS[0], LENGTHS[1], np.zeros(30, dtype=np.int64)),
    "closed": Trace("closed", LENGTHS[0], LENGTHS[1], closed_loop_clients=4),
    "single": Trace("single", LENGTHS[0][:1], LENGTHS[1][:1], SPREAD_NS[:1]),
}


class CheckedExecutor:
    """Refuses plans that compute nothing, or more than is owed."""

    def execute(self, plan: StepPlan) -> int:
        assert plan
        assert all(sequence.owed_tokens == 0 for sequence in plan.decodes)
        for chunk in plan.chunks:
            assert 0 < chunk.tokens <= chunk.sequence.owed_tokens
            assert chunk.context_tokens == chunk.sequence.computed_tokens
        contexts = (sequence.computed_tokens + 1 for sequence in plan.decodes)
        assert plan.decode_context_tokens == sum(contexts)
        members = [*plan.decodes, *(chunk.sequence for chunk in plan.chunks)]
        assert len({sequence.request_id for sequence in members}) == len(members)
        return ConstantExecutor(10_000).execute(plan)


@pytest.fixture(params=list(known_schedulers().values()), ids=list(known_schedulers()))
def scheduler(request: pytest.FixtureRequest) -> Scheduler:
    kind: type[Scheduler] = request.param
    return kind(kind.Options())


@pytest.fixture(params=list(TRACES.values()), ids=list(TRACES))
def trace(request: pytest.FixtureRequest) -> Trace:
    found: Trace = request.param
    return found


@pytest.fixture(params=[16, 32, 512])
def manager(request: pytest.FixtureRequest) -> CacheManager:
    """Memory for about one, a few, and all requests."""
    kind = known_managers()["static"]
    return kind(SPEC, HostBacking(request.param * GRANULE_BYTES, GRANULE_BYTES), kind.Options())


@pytest.fixture
def log(scheduler: Scheduler, trace: Trace, manager: CacheManager) -> EventLog:
    return Engine(trace, Wiring(manager, scheduler, CheckedExecutor())).run()


def test_there_is_a_scheduler() -> None:
    assert "fcfs" in known_schedulers()


def test_every_request_ends_once(log: EventLog, trace: Trace) -> None:
    ended = np.concatenate([log.of(EventKind.COMPLETION), log.of(EventKind.REJECTION)])
    assert sorted(ended[:, 2].tolist()) == list(range(len(trace)))
    assert sorted(log.of(EventKind.ARRIVAL)[:, 2].tolist()) == list(range(len(trace)))


def test_what_completes_has_all_its_tokens(log: EventLog, trace: Trace) -> None:
    completed = log.of(EventKind.COMPLETION)
    assert len(completed) > 0
    assert completed[:, 3].tolist() == trace.output_tokens[completed[:, 2]].tolist()
    assert set(log.of(EventKind.FIRST_TOKEN)[:, 2]) >= set(completed[:, 2])


def test_all_pages_come_back(log: EventLog, manager: CacheManager) -> None:
    assert len(log) > 0
    assert manager.usage().granted_bytes == 0
    manager.check_integrity()


def test_nobody_is_preempted_while_memory_lasts(scheduler: Scheduler, trace: Trace) -> None:
    kind = known_managers()["shared-bytes"]
    manager = kind(SPEC, HostBacking(1 << 24), kind.Options())
    log = Engine(trace, Wiring(manager, scheduler, CheckedExecutor())).run()
    assert len(log.of(EventKind.PREEMPTION)) == len(log.of(EventKind.REJECTION)) == 0
    assert len(log.of(EventKind.ADMISSION)) == len(trace)
