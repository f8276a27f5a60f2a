"""What becomes of a victim, row by row; a link of 1 GB/s moves a byte a ns and starts in 100."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from scenarios.cell import Cell, simulate
from scenarios.device import load_device
from scenarios.machine import Machine, MachineOptions, machine_of
from scenarios.model_file import load_model
from sim.batch import Batch
from sim.costs.constant import ConstantExecutor
from sim.costs.host_link import HostLink, HostMemory
from sim.costs.roofline import RooflineExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog, LogHeader, Loss, PoolHeader
from sim.metric import Slo, measure
from sim.preemption import Means
from sim.preemptions.swap import Rule, SwapOptions, SwapToHost
from sim.request import Sequence
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.sglang import SglangScheduler, SglangSchedulerOptions
from sim.schedulers.vllm import VllmScheduler, VllmSchedulerOptions
from sim.step import Chunk, StepPlan, StepPricer
from traces.record import Request, Trace

TOKEN_BYTES, STATE_BYTES = 128, 512
SPEC = CacheSpec(
    (
        CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),
        CacheGroup("ssm", CacheKind.STATE, 1, STATE_BYTES),
    )
)
MADE_TOKENS = 41
LINK = HostLink(bytes_per_s=1e9, start_ns=100.0)
BUDGET_BYTES = 3 * STATE_BYTES + 40 * TOKEN_BYTES


def bytes_of(tokens: int) -> int:
    return STATE_BYTES + tokens * TOKEN_BYTES


def swap_to(host_bytes: int, executor: StepPricer, choice: Rule = Rule.ALWAYS) -> SwapToHost:
    means = Means(SPEC, HostMemory(LINK, host_bytes), executor)
    return SwapToHost.build(SwapOptions(choice=choice), means)


class Rig:
    """A batch with room for three states and 40 tokens, in front of so much host memory."""

    def __init__(self, host_bytes: int = 1 << 20) -> None:
        backing = HostBacking(BUDGET_BYTES, TOKEN_BYTES)
        self.log = EventLog(LogHeader(9, BUDGET_BYTES, 1, (PoolHeader("bytes", 1),)))
        self.batch = Batch(SharedBytesManager(SPEC, backing, SharedBytesOptions()), self.log)
        self.swap = swap_to(host_bytes, ConstantExecutor(1))
        self.batch.preemption = self.swap

    def admit(self, number: int, prompt: int, computed: int, output: int = 30) -> Sequence:
        self.batch.arrive(Request(number, 0, prompt, output))
        sequence = self.batch.admit_head()
        assert sequence is not None
        if computed:
            self.batch.finish_step(StepPlan(chunks=[Chunk(sequence, computed, 0)]))
        return sequence

    def rows(self, kind: EventKind) -> list[list[int]]:
        rows: list[list[int]] = self.log.of(kind)[:, 2:].tolist()
        return rows


def test_who_was_decoding_owes_its_newest_token_only() -> None:
    rig = Rig()
    sequence = rig.admit(4, prompt=8, computed=8)
    assert rig.batch.extend(sequence)
    rig.batch.finish_step(StepPlan([sequence]))
    rig.batch.preempt(sequence)
    assert rig.rows(EventKind.PREEMPTION) == [[4, 9, 2, Loss.SWAPPED]]
    moved = [4, bytes_of(9), bytes_of(9), 100 + bytes_of(9)]
    assert rig.rows(EventKind.SWAP_OUT) == [moved]
    assert (sequence.computed_tokens, sequence.owed_tokens) == (9, 1)
    assert rig.batch.next_tokens == 10  # room for all it has computed, and the token it feeds
    assert rig.batch.admit_head() is sequence
    assert rig.rows(EventKind.SWAP_IN) == [[4, bytes_of(9), 0, 100 + bytes_of(9)]]
    rig.batch.finish_step(StepPlan(chunks=[Chunk(sequence, 1, 9)]))
    assert (sequence.made_tokens, sequence.owed_tokens) == (3, 0)
    assert rig.batch.decoding.members == [sequence]
    assert len(rig.rows(EventKind.FIRST_TOKEN)) == 1


def test_who_was_in_its_prompt_keeps_what_it_computed() -> None:
    rig = Rig()
    sequence = rig.admit(0, prompt=12, computed=5)
    rig.batch.preempt(sequence)
    assert (sequence.computed_tokens, sequence.owed_tokens) == (5, 7)
    assert rig.batch.admit_head() is sequence
    assert rig.rows(EventKind.ADMISSION)[-1] == [0, 12, 1, 0]


def test_who_has_computed_nothing_has_nothing_to_swap() -> None:
    rig = Rig()
    rig.batch.preempt(rig.admit(0, prompt=12, computed=0))
    assert rig.rows(EventKind.PREEMPTION) == [[0, 0, 0, Loss.RECOMPUTED]]
    assert rig.swap.held_bytes == 0


def test_a_full_host_means_computing_again() -> None:
    rig = Rig(host_bytes=bytes_of(8) + bytes_of(3))
    first, second, third = (rig.admit(i, prompt, prompt) for i, prompt in enumerate((8, 4, 3)))
    for sequence in (first, second, third):
        rig.batch.preempt(sequence)
        rig.swap.check_integrity()
    losses = [row[3] for row in rig.rows(EventKind.PREEMPTION)]
    assert losses == [Loss.SWAPPED, Loss.HOST_FULL, Loss.SWAPPED]
    assert rig.swap.held_bytes == bytes_of(8) + bytes_of(3)
    assert (second.computed_tokens, second.owed_tokens) == (0, 5)
    figures = measure_of(rig.log)
    assert figures["host_full_count"] == 1
    assert figures["peak_host_bytes"] == bytes_of(8) + bytes_of(3)
    assert figures["kept_tokens"] == 8 + 3


def measure_of(log: EventLog) -> dict[str, int]:
    log.append(9, EventKind.END, -1)
    found: dict[str, int] = measure(log, Slo())["swaps"]
    return found


def test_a_refused_head_gives_its_host_memory_back() -> None:
    rig = Rig()
    rig.batch.preempt(rig.admit(0, prompt=8, computed=8))
    rig.batch.short_pool = 0
    rig.batch.reject_head()
    assert rig.swap.held_bytes == 0


def test_a_step_pays_once_for_all_that_moved_before_it() -> None:
    rig = Rig()
    for sequence in [rig.admit(number, prompt, prompt) for number, prompt in enumerate((8, 3))]:
        rig.batch.preempt(sequence)
    assert rig.batch.admit_head() is not None
    first, second = StepPlan(), StepPlan()
    rig.swap.charge(first)
    rig.swap.charge(second)
    assert (first.swaps_out, first.swapped_out_bytes) == (2, bytes_of(8) + bytes_of(3))
    assert (first.swaps_in, first.swapped_in_bytes) == (1, bytes_of(3))
    assert second == StepPlan()


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A hybrid model: 98 MiB of state and 16 KiB a token."""
    return machine_of(load_model("nemotron-h-8b"), load_device("h200"), MachineOptions())


def swap_on(machine: Machine) -> tuple[SwapToHost, RooflineExecutor]:
    executor = RooflineExecutor(machine.model_costs, machine.device_costs)
    means = Means(machine.spec, machine.host, executor)
    return SwapToHost(SwapOptions(choice=Rule.CHEAPER), means), executor


def decoding(computed: int) -> Sequence:
    sequence = Sequence(Request(0, 0, computed, 10))
    sequence.computed_tokens, sequence.made_tokens = computed, 1
    return sequence


def test_the_choice_turns_where_the_prices_cross(machine: Machine) -> None:
    """By the executor itself: with and without the tokens; the state moves whatever the length."""
    swap, executor = swap_on(machine)
    link = machine.host.link
    verdicts = []
    for tokens in range(1, 2000, 7):
        moved = tokens * machine.spec.bytes_per_token() + machine.spec.bytes_per_sequence()
        anew = executor.execute(StepPlan(chunks=[Chunk(decoding(tokens), tokens + 1, 0)]))
        on = executor.execute(StepPlan(chunks=[Chunk(decoding(tokens), 1, tokens)]))
        copies_ns = 2 * (link.start_ns + moved / link.bytes_per_s * 1e9)
        verdicts.append(swap.is_cheaper(decoding(tokens)))
        assert verdicts[-1] == (copies_ns < anew - on)
    assert verdicts == sorted(verdicts)
    assert 0 < sum(verdicts) < len(verdicts)


def test_a_wider_link_swaps_shorter_sequences(machine: Machine) -> None:
    def shortest(bytes_per_s: float) -> int:
        link = replace(machine.host.link, bytes_per_s=bytes_per_s)
        host = replace(machine.host, link=link)
        swap, _ = swap_on(replace(machine, host=host))
        return next(n for n in range(1, 10**5) if swap.is_cheaper(decoding(n)))

    assert shortest(110e9) < shortest(55e9) < shortest(27.5e9)


def test_experts_that_others_read_cost_recomputing_nothing() -> None:
    """Alone, 500 tokens wake nearly all experts and the next one few; beside 64 the rest wakes."""
    moe = machine_of(load_model("granite-4.0-h-tiny"), load_device("h200"), MachineOptions())
    swap, executor = swap_on(moe)
    alone_ns = swap.recompute_ns(decoding(500))
    swap.charge(StepPlan([decoding(9) for _ in range(64)]))
    beside_ns = swap.recompute_ns(decoding(500))
    pair = [
        StepPlan([decoding(9)] * 64, chunks=[Chunk(decoding(500), tokens, 501 - tokens)])
        for tokens in (501, 1)
    ]
    assert beside_ns == executor.execute(pair[0]) - executor.execute(pair[1])
    assert 0 < beside_ns < alone_ns / 2


def test_what_is_dearer_to_swap_is_computed_again(machine: Machine) -> None:
    swap, _ = swap_on(machine)
    rows = [swap.suspend(decoding(tokens)) for tokens in (10, 10_000)]
    losses = [values[2] for ((_, values), *_) in rows]
    assert losses == [Loss.CHEAPER, Loss.SWAPPED]


@pytest.mark.parametrize("device", ["h100-80gb", "a100-80gb"])
def test_runs_turn_where_the_prices_say(device: str) -> None:
    """32 hybrid sequences outgrow their memory once; victims resume beside those that decode."""
    machine = machine_of(load_model("nemotron-h-8b"), load_device(device), MachineOptions())
    swap, _ = swap_on(machine)
    swap.charge(StepPlan([decoding(9) for _ in range(31)]))
    turn = next(tokens for tokens in range(1, 2000) if swap.is_cheaper(decoding(tokens)))
    assert saved_s(machine, turn - 25) < 0 < saved_s(machine, turn + 25)


def saved_s(machine: Machine, lost_tokens: int) -> float:
    """What a run saves by swapping if its victims have about so many tokens."""
    prompt = lost_tokens - MADE_TOKENS
    spec = machine.spec
    one = spec.bytes_per_sequence() + spec.bytes_per_token() * (prompt + MADE_TOKENS)
    granules = -(-32 * one // machine.granule_bytes)
    tight = replace(machine, budget_bytes=granules * machine.granule_bytes)
    outputs = np.random.default_rng(0).integers(50, 350, 32)
    trace = Trace("t", np.full(32, prompt), outputs, np.zeros(32, dtype=np.int64))
    scheduler = "fcfs:max_batched_tokens=32768"
    seconds = []
    for preemption in ("recompute", "swap"):
        cell = Cell(tight, "shared-bytes", scheduler, Slo(), preemption=preemption)
        run = simulate(cell, trace)
        assert run.log.of(EventKind.PREEMPTION)[:, 3].tolist() == [
            pytest.approx(lost_tokens, abs=5)
        ]
        seconds.append(run.metrics["simulated_seconds"])
    return float(seconds[0] - seconds[1])


SCHEDULERS = (
    FcfsScheduler(FcfsOptions(max_seqs=8, max_batched_tokens=64)),
    VllmScheduler(VllmSchedulerOptions(max_num_seqs=8, max_num_batched_tokens=64)),
    SglangScheduler(SglangSchedulerOptions(conservativeness=0.01)),
)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler.name)
def test_no_token_is_computed_twice(
    scheduler: FcfsScheduler | VllmScheduler | SglangScheduler,
) -> None:
    """Four requests grow past the memory of two; a prompt is computed once, then token by token."""
    manager = SharedBytesManager(SPEC, HostBacking(BUDGET_BYTES, TOKEN_BYTES), SharedBytesOptions())
    trace = Trace("t", np.full(4, 9), np.full(4, 16), np.arange(4) * 10)
    swap, executor = swap_to(1 << 20, ConstantExecutor(10)), ConstantExecutor(10)
    wiring = Wiring(manager, scheduler, swap.priced(executor), preemption=swap)
    log = Engine(trace, wiring).run()
    preempted = len(log.of(EventKind.PREEMPTION))
    assert preempted == len(log.of(EventKind.SWAP_IN)) > 0
    assert log.of(EventKind.CHUNK)[:, 3].sum() == 4 * 9 + preempted
    assert len(log.of(EventKind.COMPLETION)) == 4
    figures = measure(log, Slo())
    assert figures["recomputed_tokens"] == 0
    assert figures["swaps"]["out_bytes"] == figures["swaps"]["in_bytes"] > 0
    assert swap.held_bytes == 0


def test_sglang_counts_only_what_a_swapped_prompt_owes() -> None:
    """After a prompt of 10, 2 tokens more may join the step: who was swapped asks for one."""
    rig = Rig()
    scheduler = SglangScheduler(SglangSchedulerOptions(max_prefill_tokens=12))
    rig.batch.waiting = scheduler.new_queue()
    sequence = rig.admit(0, prompt=12, computed=12, output=5)
    rig.batch.arrive(Request(1, 0, 10, 2))
    rig.batch.preempt(sequence)
    plan = scheduler.plan(rig.batch)
    chunks = [
        (chunk.sequence.request_id, chunk.tokens, chunk.context_tokens) for chunk in plan.chunks
    ]
    assert chunks == [(1, 10, 0), (0, 1, 12)]


def test_shared_pages_are_not_swapped() -> None:
    manager = VllmManager.build(SPEC, HostBacking(1 << 21), VllmOptions(caching=Caching.ON))
    scheduler = VllmScheduler(VllmSchedulerOptions())
    swap, executor = swap_to(1 << 20, ConstantExecutor(10)), ConstantExecutor(10)
    with pytest.raises(ValueError, match="preempt by recompute"):
        Wiring(manager, scheduler, executor, preemption=swap)
