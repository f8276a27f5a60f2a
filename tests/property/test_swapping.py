"""Swapping over every allocator and scheduler, in memory that is drawn to be short."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import CacheManager
from allocator.prefix.interface import PrefixSharing
from allocator.registry import known_managers
from sim.costs.host_link import HostLink, HostMemory
from sim.costs.roofline import RooflineExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog, Loss
from sim.macro_steps import MacroStepEngine
from sim.preemption import Means
from sim.preemptions.swap import GIB, Overlap, Rule, SwapOptions, SwapToHost
from sim.scheduler import Scheduler, known_schedulers
from sim.schedulers.fcfs import FcfsOptions
from sim.schedulers.sglang import SglangSchedulerOptions
from sim.schedulers.sjf_predicted import SjfPredictedOptions
from sim.schedulers.vllm import Policy, Switch, VllmSchedulerOptions
from sim.step import StepPlan, StepPricer
from sim.victims import Victim
from tests.property.engine_cases import DEVICE, GRANULE_BYTES, MODEL, options_of, specs
from traces.record import Trace

MAX_EXAMPLES = 30
LINK = HostLink(bytes_per_s=1e9, start_ns=200.0)


class Watched:
    """Looks into host memory at every step that is shown to it."""

    def __init__(self, inner: StepPricer, swap: SwapToHost) -> None:
        self._inner = inner
        self._swap = swap

    def execute(self, plan: StepPlan) -> int:
        self._swap.check_integrity()
        return self._inner.execute(plan)

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        return self._inner.price_repeats(plan, repeats)


@dataclass(frozen=True)
class Case:
    """Everything of a run but the engine; wired anew for each."""

    new_manager: Callable[[], CacheManager]
    new_scheduler: Callable[[], Scheduler]
    options: SwapOptions
    trace: Trace

    def run(self, engine: type[Engine]) -> tuple[EventLog, SwapToHost]:
        manager, steps = self.new_manager(), RooflineExecutor(MODEL, DEVICE)
        swap = SwapToHost(self.options, Means(manager.spec, HostMemory(LINK, 4096), steps))
        executor = Watched(swap.priced(steps), swap)
        wiring = Wiring(manager, self.new_scheduler(), executor, 100, preemption=swap)
        log = engine(self.trace, wiring).run()
        manager.check_integrity()
        assert manager.usage().granted_bytes == 0
        return log, swap


@st.composite
def schedulers(draw: st.DrawFn) -> Callable[[], Scheduler]:
    """New schedulers of one kind and choice, which let many in at once."""
    tokens = draw(st.sampled_from([8, 13, 72]))
    options = {
        "fcfs": FcfsOptions(8, tokens, draw(st.sampled_from(Victim))),
        "sjf-predicted": SjfPredictedOptions(8, tokens, draw(st.sampled_from(Victim))),
        "sglang": SglangSchedulerOptions(
            chunked_prefill_size=tokens, conservativeness=draw(st.sampled_from([0.01, 1.0]))
        ),
        "vllm": VllmSchedulerOptions(
            max_num_seqs=8,
            max_num_batched_tokens=tokens,
            policy=draw(st.sampled_from(Policy)),
            reserve_full_prompt=draw(st.sampled_from(Switch)),
            max_model_len=draw(st.sampled_from([0, 60])),
        ),
    }
    name = draw(st.sampled_from(list(options)))
    kind = known_schedulers()[name]
    return lambda: kind(options[name])


@st.composite
def bursts(draw: st.DrawFn) -> Trace:
    """Requests that come together and make many tokens."""
    rows = st.tuples(st.integers(5, 40), st.integers(20, 90), st.integers(0, 100_000))
    prompts, outputs, gaps = zip(*draw(st.lists(rows, min_size=8, max_size=14)), strict=True)
    ranks = tuple(draw(st.lists(st.integers(0, 2), min_size=len(gaps), max_size=len(gaps))))
    arrival_ns = np.cumsum(np.array(gaps, dtype=np.int64))
    return Trace("burst", np.array(prompts), np.array(outputs), arrival_ns, priorities=ranks)


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    """Memory for one to four sequences of the greatest length; no prompt shares a page."""
    kind, options, spec = known_managers()[name], draw(options_of(name)), draw(specs())
    longest_bytes = 128 * spec.bytes_per_token() + 2 * spec.bytes_per_sequence()
    budget = -(-draw(st.integers(10, 40)) * longest_bytes // 10 // GRANULE_BYTES) * GRANULE_BYTES
    new_scheduler = draw(schedulers())

    def new_manager() -> CacheManager:
        return kind.build(spec, HostBacking(budget, GRANULE_BYTES), options)

    host_gib = draw(st.sampled_from([0, 1, 900, 20_000, 10**6])) / GIB
    rule = draw(st.sampled_from([Rule.ALWAYS, Rule.ALWAYS, Rule.CHEAPER]))
    swapping = SwapOptions(host_gib, rule, draw(st.sampled_from(Overlap)))
    manager = new_manager()
    assume(not isinstance(manager, PrefixSharing))
    assume(not new_scheduler().objection(manager))
    return Case(new_manager, new_scheduler, swapping, draw(bursts()))


def check_moves(case: Case, log: EventLog) -> None:
    """Who was swapped comes back with the same bytes, and goes on where it was."""
    spec = case.new_manager().spec
    away: dict[int, tuple[int, int]] = {}  # tokens and bytes
    resumed: dict[int, int] = {}
    for _, kind, request, a, _, c in log.table().tolist():
        if kind == EventKind.PREEMPTION and c == Loss.SWAPPED:
            assert a > 0
            away[request] = (a, a * spec.bytes_per_token() + spec.bytes_per_sequence())
        elif kind == EventKind.SWAP_OUT:
            assert a == away[request][1]
        elif kind == EventKind.SWAP_IN:
            tokens, num_bytes = away.pop(request)
            assert a == num_bytes
            resumed[request] = tokens
    chunks = log.of(EventKind.CHUNK)
    for request, tokens in resumed.items():
        assert tokens in chunks[chunks[:, 2] == request, 4]
    assert not away.keys() & set(log.of(EventKind.COMPLETION)[:, 2].tolist())


def check_ends(case: Case, log: EventLog, swap: SwapToHost) -> None:
    """Everybody ends once, with all its tokens; the host is empty and was never overfull."""
    completed = log.of(EventKind.COMPLETION)
    ended = [*completed[:, 2], *log.of(EventKind.REJECTION)[:, 2]]
    assert sorted(ended) == list(range(len(case.trace)))
    most = case.new_scheduler().max_tokens - case.trace.prompt_tokens[completed[:, 2]]
    wanted = np.minimum(case.trace.output_tokens[completed[:, 2]], most)
    assert completed[:, 3].tolist() == wanted.tolist()
    assert swap.held_bytes == 0
    host_gib = case.options.host_gib
    budget_bytes = int(host_gib * GIB) if host_gib else 4096
    assert log.of(EventKind.SWAP_OUT)[:, 4].max(initial=0) <= budget_bytes


@pytest.mark.parametrize("name", known_managers())
@settings(max_examples=MAX_EXAMPLES)
@given(data=st.data())
def test_both_engines_swap_alike_and_lose_nothing(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    exact, swap = case.run(Engine)
    fast, _ = case.run(MacroStepEngine)
    assert exact.table().tolist() == fast.table().tolist()
    check_moves(case, exact)
    check_ends(case, exact, swap)
