"""What every registered admission control keeps, under every scheduler."""

from __future__ import annotations

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.interface import Terms
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.admission import AdmissionControl, known_admissions
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind
from sim.request import Sequence
from sim.scheduler import Scheduler, known_schedulers
from traces.record import Request, Trace

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 2, 32), CacheGroup("ssm", CacheKind.STATE, 3, 128)),
    page_tokens=4,
)
LENGTHS = np.random.default_rng(17).integers(1, 40, (2, 30))
TRACE = Trace("burst", LENGTHS[0], LENGTHS[1], np.zeros(30, dtype=np.int64))


@pytest.fixture(params=list(known_admissions().values()), ids=list(known_admissions()))
def control(request: pytest.FixtureRequest) -> AdmissionControl:
    kind: type[AdmissionControl] = request.param
    return kind(kind.Options())


@pytest.mark.parametrize("scheduler", known_schedulers().values(), ids=list(known_schedulers()))
@pytest.mark.parametrize("allocator", known_managers())
@pytest.mark.parametrize("granules", [16, 40])
def test_every_request_ends_once_and_all_pages_come_back(
    control: AdmissionControl, scheduler: type[Scheduler], allocator: str, granules: int
) -> None:
    kind = known_managers()[allocator]
    manager = kind.build(SPEC, HostBacking(granules * 1024, 1024), kind.Options())
    planner = scheduler(scheduler.Options())
    log = Engine(TRACE, Wiring(manager, planner, ConstantExecutor(10), control=control)).run()
    ended = np.concatenate([log.of(EventKind.COMPLETION), log.of(EventKind.REJECTION)])
    assert sorted(ended[:, 2].tolist()) == list(range(len(TRACE)))
    assert manager.usage().granted_bytes == 0
    manager.check_integrity()


def test_terms_are_only_raised_and_never_for_one_alone(control: AdmissionControl) -> None:
    head, other = (Sequence(Request(number, 0, 9, 7)) for number in range(2))
    terms = Terms(room_tokens=9, others_tokens=2, margin=0.25)
    assert control.raised(terms, head, []) == terms
    for _ in range(3):
        raised = control.raised(terms, head, [other])
        assert raised.room_tokens >= terms.room_tokens
        assert raised.others_tokens >= terms.others_tokens
        assert raised.margin >= terms.margin
        assert raised.prefix is terms.prefix
        other.made_tokens += 3
        control.completed(other)
