"""What sets the routers apart, by hand and in small runs."""

from dataclasses import dataclass

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Fleet, Wiring
from sim.event_log import EventLog
from sim.macro_steps import MacroStepEngine
from sim.metric import Slo, measure
from sim.router import Router
from sim.routers.least_loaded import LeastLoaded, LeastLoadedOptions, Load
from sim.routers.power_of_two import PowerOfTwo, PowerOfTwoOptions
from sim.routers.prefix_affine import Memory, PrefixAffine, PrefixAffineOptions
from sim.routers.round_robin import RoundRobin, RoundRobinOptions
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import VllmScheduler, VllmSchedulerOptions
from sim.step import StepPlan
from traces.record import Request, Trace

SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 64),))


@dataclass
class Seen:
    """A replica as a router sees it."""

    num_running: int = 0
    num_waiting: int = 0
    num_tokens: int = 0
    granted_bytes: int = 0


def ask(number: int, prompt: int = 640, segment: int | None = None) -> Request:
    return Request(number, 0, prompt, 9, text=() if segment is None else ((segment, prompt),))


@pytest.mark.parametrize(
    ("by", "number"),
    [(Load.REQUESTS, 0), (Load.QUEUE, 1), (Load.TOKENS, 2), (Load.MEMORY, 3)],
)
def test_least_loaded_compares_what_it_is_told_to(by: Load, number: int) -> None:
    replicas = [Seen(1, 2, 9, 9), Seen(4, 0, 8, 9), Seen(9, 1, 1, 9), Seen(9, 2, 8, 1)]
    assert LeastLoaded(LeastLoadedOptions(by)).route(ask(0), replicas) == number


def test_of_equally_loaded_replicas_the_first_gets_the_request() -> None:
    assert LeastLoaded(LeastLoadedOptions()).route(ask(0), [Seen(2), Seen(1), Seen(1)]) == 1


def test_power_of_two_never_takes_the_busiest_of_all() -> None:
    router = PowerOfTwo(PowerOfTwoOptions())
    numbers = {router.route(ask(i), [Seen(1), Seen(9), Seen(2), Seen(3)]) for i in range(200)}
    assert numbers == {0, 2, 3}


def test_a_prompt_goes_where_its_start_was_sent() -> None:
    router, idle = PrefixAffine(PrefixAffineOptions()), [Seen(), Seen()]
    assert [router.route(ask(i, segment=i), idle) for i in range(2)] == [0, 1]
    assert [router.route(ask(i, segment=i % 2), idle) for i in range(2, 6)] == [0, 1, 0, 1]


@pytest.mark.parametrize(("prompt", "number"), [(2112, 0), (2176, 1)])
def test_a_start_below_the_threshold_does_not_count(prompt: int, number: int) -> None:
    """640 known tokens are more than 0.3 of 2,112, and less of 2,176."""
    router, idle = PrefixAffine(PrefixAffineOptions()), [Seen(), Seen()]
    router.route(ask(0, segment=7), idle)
    assert (
        router.route(Request(1, 0, prompt, 9, text=((7, 640), (8, prompt - 640))), idle) == number
    )


@pytest.mark.parametrize(("busy", "number"), [(64, 0), (65, 1)])
def test_out_of_balance_the_idlest_gets_the_request(busy: int, number: int) -> None:
    router = PrefixAffine(PrefixAffineOptions())
    router.route(ask(0, segment=7), [Seen(), Seen()])
    assert router.route(ask(1, segment=7), [Seen(busy), Seen()]) == number


def test_both_bounds_must_be_passed() -> None:
    router = PrefixAffine(PrefixAffineOptions())
    router.route(ask(0, segment=7), [Seen(), Seen()])
    assert router.route(ask(1, segment=7), [Seen(300), Seen(200)]) == 0
    assert router.route(ask(2, segment=7), [Seen(301), Seen(200)]) == 1


def test_prompts_that_nothing_is_known_of_spread_by_their_length() -> None:
    router, idle = PrefixAffine(PrefixAffineOptions()), [Seen(), Seen()]
    assert [router.route(ask(i, size), idle) for i, size in enumerate((640, 64, 128))] == [0, 1, 1]


def test_what_was_sent_longest_ago_is_forgotten_first() -> None:
    memory = Memory(max_blocks=4)
    for key in (b"a", b"b"):
        memory.note(key)
    memory.note(1, num_blocks=2)
    memory.note(b"a")
    memory.note(b"c")
    memory.check_integrity()
    assert memory.num_blocks == 4
    assert memory.num_known([b"a", b"b"]) == 1
    memory.note(2, num_blocks=9)  # more than it can hold: nothing is left
    memory.check_integrity()
    assert memory.num_blocks == 0


@pytest.mark.parametrize(
    "options", [{"cache_threshold": 1.5}, {"balance_rel_threshold": 0.5}, {"block": 0}]
)
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        PrefixAffineOptions(**options)  # type: ignore[arg-type] # that is the point


def serve(trace: Trace, router: Router, replicas: int = 4) -> EventLog:
    def wire() -> Wiring:
        manager = SharedBytesManager(SPEC, HostBacking(1 << 20, 128), SharedBytesOptions())
        return Wiring(manager, FcfsScheduler(FcfsOptions(max_seqs=8)), ConstantExecutor(10**6))

    return MacroStepEngine(trace, Fleet(tuple(wire() for _ in range(replicas)), router)).run()


def skewed(seed: int) -> Trace:
    """Requests whose lengths differ by orders of magnitude."""
    rng = np.random.default_rng(seed)
    prompts, outputs = rng.integers(1, 60, 300), rng.pareto(1.2, 300).clip(0, 40) * 10 + 1
    arrival_ns = np.cumsum(rng.exponential(1.2e6, 300)).astype(np.int64)
    return Trace("skewed", prompts, outputs.astype(np.int64), arrival_ns)


@pytest.mark.parametrize("seed", range(6))
def test_least_loaded_balances_no_worse_than_round_robin(seed: int) -> None:
    routers = RoundRobin(RoundRobinOptions()), LeastLoaded(LeastLoadedOptions())
    by_turn, by_load = (measure(serve(skewed(seed), router), Slo()) for router in routers)
    in_flight = [figures["load_imbalance"]["in_flight"] for figures in (by_turn, by_load)]
    assert 1 <= in_flight[1] <= in_flight[0]


def talks(num_talks: int = 12, turns: int = 6) -> Trace:
    """Talks in the manner of Mooncake's: each turn repeats all before and adds two blocks."""
    rng = np.random.default_rng(3)
    order = rng.permutation(np.repeat(np.arange(num_talks), turns))
    seen = [0] * num_talks
    prefixes = []
    for talk in order.tolist():
        seen[talk] += 1
        prefixes.append(tuple(1000 * talk + block for block in range(2 * seen[talk])))
    prompts = np.array([64 * len(prefix) + 5 for prefix in prefixes])
    arrival_ns = np.arange(len(order), dtype=np.int64) * 40_000_000
    columns = prompts, np.full(len(order), 20), arrival_ns
    return Trace("talks", *columns, prefixes=tuple(prefixes), prefix_block_tokens=64)


def hit_pct(router: Router) -> float:
    def wire() -> Wiring:
        backing = HostBacking(1 << 20, 1 << 10)
        manager = VllmManager.build(SPEC, backing, VllmOptions(caching=Caching.ON))
        return Wiring(manager, VllmScheduler(VllmSchedulerOptions()), ConstantExecutor(10**6))

    log = MacroStepEngine(talks(), Fleet(tuple(wire() for _ in range(4)), router)).run()
    figures = measure(log, Slo())
    tokens = sum(replica["prefix_hits"]["tokens"] for replica in figures["replicas"])
    assert tokens == figures["prefix_hits"]["tokens"]
    return float(figures["prefix_hits"]["pct"])


def test_prefix_affinity_finds_what_round_robin_scatters() -> None:
    affine = hit_pct(PrefixAffine(PrefixAffineOptions()))
    assert affine > 1.5 * hit_pct(RoundRobin(RoundRobinOptions()))
    assert affine > 60  # a talk's turns repeat 5/7 of what they say


class Lazy(FcfsScheduler):
    """Never runs anything."""

    def plan(self, batch: Batch) -> StepPlan:
        del batch
        return StepPlan()


@pytest.mark.parametrize("engine", [Engine, MacroStepEngine])
def test_a_replica_that_never_runs_what_it_got_is_found_out(engine: type[Engine]) -> None:
    """It sleeps while another works; nothing that arrives wakes it, so the run would not end."""
    wirings = []
    for kind in (Lazy, FcfsScheduler):
        manager = SharedBytesManager(SPEC, HostBacking(1 << 20, 128), SharedBytesOptions())
        wirings.append(Wiring(manager, kind(FcfsOptions()), ConstantExecutor(10)))
    arrival_ns = np.array([0, 50], dtype=np.int64)
    trace = Trace("two", np.array([4, 4]), np.array([1, 1]), arrival_ns)
    fleet = Fleet(tuple(wirings), RoundRobin(RoundRobinOptions()))
    with pytest.raises(RuntimeError, match="runs nothing, yet 1 requests have not ended"):
        engine(trace, fleet).run()
