"""What every way of preemption keeps, under every scheduler; a new one is tested by being there."""

import pytest

from allocator.backing import HostBacking
from allocator.registry import known_managers
from sim.costs.constant import ConstantExecutor
from sim.costs.host_link import HostLink, HostMemory
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, Loss
from sim.preemption import Means, Preemption, known_preemptions
from sim.scheduler import Scheduler, known_schedulers
from sim.step import StepPlan
from tests.conformance.test_schedulers import GRANULE_BYTES, SPEC, TRACES
from traces.record import Trace

STEPS = ConstantExecutor(10_000)
MEANS = Means(SPEC, HostMemory(HostLink(1e9, 100.0), 1 << 16), STEPS)


class Checked:
    """Looks at what is kept in every step."""

    def __init__(self, preemption: Preemption) -> None:
        self._preemption = preemption
        self._inner = preemption.priced(STEPS)

    def execute(self, plan: StepPlan) -> int:
        self._preemption.check_integrity()
        return self._inner.execute(plan)


@pytest.mark.parametrize("trace", TRACES.values(), ids=list(TRACES))
@pytest.mark.parametrize("scheduler", known_schedulers().values(), ids=list(known_schedulers()))
@pytest.mark.parametrize("design", known_preemptions().values(), ids=list(known_preemptions()))
def test_every_request_makes_all_its_tokens(
    design: type[Preemption], scheduler: type[Scheduler], trace: Trace
) -> None:
    kind = known_managers()["static"]
    manager = kind(SPEC, HostBacking(32 * GRANULE_BYTES, GRANULE_BYTES), kind.Options())
    preemption = design.build(design.Options(), MEANS)
    policy = scheduler(scheduler.Options())
    log = Engine(trace, Wiring(manager, policy, Checked(preemption), preemption=preemption)).run()
    completed = log.of(EventKind.COMPLETION)
    assert len(completed) + len(log.of(EventKind.REJECTION)) == len(trace)
    assert completed[:, 3].tolist() == trace.output_tokens[completed[:, 2]].tolist()
    losses = log.of(EventKind.PREEMPTION)[:, 5].tolist()
    assert losses.count(Loss.SWAPPED) == len(log.of(EventKind.SWAP_OUT))
    preemption.check_integrity()
