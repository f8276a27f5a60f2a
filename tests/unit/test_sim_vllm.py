"""Plans of `vllm`, one at a time; blocks of four tokens, memory counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.costs.constant import ConstantExecutor
from sim.engine import Wiring
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader, RejectionReason
from sim.schedulers.vllm import Policy, Switch, VllmScheduler, VllmSchedulerOptions
from traces.record import Request

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.step import StepPlan

BLOCK = 4
KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 32)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 128)


def blocks(count: int, *groups: CacheGroup, caching: Caching = Caching.OFF) -> CacheManager:
    """`vllm` with so many blocks beside the null block."""
    backing = HostBacking((count + 1) * 128, 128)
    spec = CacheSpec(groups or (KV,), BLOCK)
    return VllmManager.build(spec, backing, VllmOptions(caching=caching))


def options(**values: Any) -> VllmSchedulerOptions:  # noqa: ANN401 - options of any type
    return VllmSchedulerOptions(**{"max_num_seqs": 8, "max_num_batched_tokens": 16} | values)


class Rig:
    """A scheduler with a batch of its own."""

    def __init__(self, manager: CacheManager, options: VllmSchedulerOptions) -> None:
        (pool,) = manager.usage().pools
        header = LogHeader(9, 1, 1, (PoolHeader(pool.name, pool.page_bytes),))
        self.log = EventLog(header)
        self.scheduler = VllmScheduler(options)
        assert not self.scheduler.objection(manager)
        queue, most = self.scheduler.new_queue(), self.scheduler.max_tokens
        self.batch = Batch(manager, self.log, queue, most)
        self.manager = manager

    def arrive(self, number: int, prompt: int, output: int, **more: Any) -> None:  # noqa: ANN401 - as above
        self.batch.arrive(Request(number, 0, prompt, output, **more))

    def step(self) -> dict[int, int]:
        """Tokens of each sequence in the next step."""
        self.batch.begin_step()
        plan = self.scheduler.plan(self.batch)
        self.batch.finish_step(plan)
        return tokens_of(plan)

    def running(self) -> list[int]:
        return [sequence.request_id for sequence in self.batch.running]

    def waiting(self) -> list[int]:
        return [sequence.request_id for sequence in self.batch.waiting]

    def subjects(self, kind: EventKind) -> list[int]:
        found: list[int] = self.log.of(kind)[:, 2].tolist()
        return found


def tokens_of(plan: StepPlan) -> dict[int, int]:
    counts = {sequence.request_id: 1 for sequence in plan.decodes}
    return counts | {chunk.sequence.request_id: chunk.tokens for chunk in plan.chunks}


def test_running_sequences_come_first_in_order_of_admission() -> None:
    rig = Rig(blocks(40), options())
    rig.arrive(0, 20, 9)
    rig.arrive(1, 9, 9)
    assert rig.step() == {0: 16}
    assert rig.step() == {0: 4, 1: 9}
    assert rig.step() == {0: 1, 1: 1}


def test_a_prompt_under_way_may_leave_others_without_a_token() -> None:
    """Unlike `fcfs`, where decoding comes before every prompt."""
    rig = Rig(blocks(40), options())
    rig.arrive(0, 17, 9)
    rig.arrive(1, 1, 9)
    assert rig.step() == {0: 16}
    assert rig.step() == {0: 1, 1: 1}
    rig.arrive(2, 30, 1)
    assert rig.step() == {0: 1, 1: 1, 2: 14}
    assert rig.step() == {0: 1, 1: 1, 2: 14}


def test_chunks_are_limited() -> None:
    rig = Rig(blocks(40), options(long_prefill_token_threshold=5))
    rig.arrive(0, 12, 1)
    rig.arrive(1, 3, 1)
    assert [rig.step() for _ in range(3)] == [{0: 5, 1: 3}, {0: 5}, {0: 2}]


def test_room_comes_by_the_chunk_but_the_whole_prompt_must_have_some() -> None:
    rig = Rig(blocks(10), options(max_num_batched_tokens=8))
    rig.arrive(0, 24, 1)
    rig.arrive(1, 24, 1)
    rig.step()
    assert rig.manager.usage().pools[0].num_live == 2
    assert rig.log.of(EventKind.ADMISSION)[:, 2:4].tolist() == [[0, 8]]
    assert (rig.running(), rig.waiting()) == ([0], [1])


@pytest.mark.parametrize(
    ("rule", "steps"),
    [(Switch.ON, [{0: 4}] * 3), (Switch.OFF, [{0: 4, 1: 4}, {0: 4, 1: 4}, {0: 4}])],
)
def test_without_that_rule_prompts_enter_together_and_run_out_together(
    rule: Switch, steps: list[dict[int, int]]
) -> None:
    chunks = options(long_prefill_token_threshold=4, reserve_full_prompt=rule)
    rig = Rig(blocks(5), chunks)
    rig.arrive(0, 20, 1)
    rig.arrive(1, 20, 1)
    assert [rig.step() for _ in range(3)] == steps
    assert rig.waiting() == [1]


def test_a_head_that_is_refused_step_after_step_counts_once_until_pages_are_released() -> None:
    rig = Rig(blocks(5), options(max_num_batched_tokens=8, reserve_full_prompt=Switch.OFF))
    rig.arrive(0, 16, 3)
    rig.arrive(1, 7, 1)
    assert [rig.step() for _ in range(4)] == [{0: 8}, {0: 8}, {0: 1}, {0: 1}]
    assert rig.subjects(EventKind.OOM) == [1]
    assert rig.step() == {1: 7}


def test_a_whole_prompt_waits_for_a_step_with_budget_for_it() -> None:
    rig = Rig(blocks(40), options(chunked_prefill=Switch.OFF, max_model_len=16))
    rig.arrive(0, 10, 2)
    rig.arrive(1, 7, 2)
    rig.arrive(2, 1, 2)
    assert rig.step() == {0: 10}  # 6 tokens left; nobody overtakes request 1
    assert rig.step() == {0: 1, 1: 7, 2: 1}


def test_the_last_admitted_makes_way_and_resumes_first() -> None:
    rig = Rig(blocks(4), options())
    for number in range(3):
        rig.arrive(number, 4, 9)
    assert rig.step() == {0: 4, 1: 4, 2: 4}
    rig.arrive(3, 1, 1)
    assert rig.step() == {0: 1, 1: 1}  # the fourth block; then the third sequence's
    assert (rig.running(), rig.waiting()) == ([0, 1], [2, 3])
    assert rig.subjects(EventKind.PREEMPTION) == [2]


def test_a_victim_by_priority_may_be_scheduled_already_and_gives_its_token_back() -> None:
    rig = Rig(blocks(3), options(policy=Policy.PRIORITY))
    rig.arrive(0, 4, 9, priority=5)
    rig.step()
    rig.arrive(1, 4, 9, priority=1)
    rig.step()  # request 0 takes the second block, request 1 the third
    assert rig.running() == [0, 1]
    plan = rig.step()  # 0 feeds a token; 1 needs a block, and 0 ranks last
    assert plan == {1: 1}
    assert (rig.running(), rig.waiting()) == ([1], [0])


def test_by_priority_the_best_is_admitted_first_but_nobody_makes_way_for_it() -> None:
    rig = Rig(blocks(4), options(policy=Policy.PRIORITY))
    rig.arrive(0, 12, 3, priority=5)
    rig.step()
    rig.arrive(1, 8, 1, priority=9)
    rig.arrive(2, 8, 1, priority=0)
    assert rig.step() == {0: 1}
    assert rig.subjects(EventKind.OOM) == [2]
    assert rig.waiting() == [2, 1]


def test_a_better_arrival_is_tried_though_the_old_head_was_refused() -> None:
    rig = Rig(blocks(5), options(policy=Policy.PRIORITY))
    rig.arrive(0, 12, 9, priority=5)
    rig.step()
    rig.arrive(1, 9, 1, priority=9)
    rig.step()
    assert rig.subjects(EventKind.OOM) == [1]
    rig.arrive(2, 3, 1, priority=0)
    assert rig.step() == {0: 1, 2: 3}


def test_a_watermark_counts_only_while_others_run() -> None:
    rig = Rig(blocks(9), options(watermark=0.3))  # int(0.3 x 10) = 3 blocks
    rig.arrive(0, 16, 5)
    rig.arrive(1, 9, 1)
    rig.step()
    assert rig.running() == [0]  # 9 - 4 leaves 5; 3 + 3 are asked
    rig.arrive(2, 16, 1)
    alone = Rig(blocks(9), options(watermark=0.9))
    alone.arrive(0, 16, 5)
    assert alone.step() == {0: 16}


def test_sequences_end_at_the_greatest_length() -> None:
    rig = Rig(blocks(40), options(max_model_len=8))
    rig.arrive(0, 6, 9)
    rig.arrive(1, 8, 1)
    rig.arrive(2, 7, 1)
    for _ in range(3):
        rig.step()
    assert rig.log.of(EventKind.COMPLETION)[:, 2:4].tolist() == [[2, 1], [0, 2]]
    rejection = rig.log.of(EventKind.REJECTION)
    assert rejection[:, 2:6].tolist() == [[1, RejectionReason.TOO_LONG, 8, 7]]


class BoastfulManager(SharedBytesManager):
    """Promises sequences of any length, so that one can outgrow all of memory."""

    @property
    def max_sequence_tokens(self) -> int:
        return 1000


def boastful(tokens: int) -> CacheManager:
    backing = HostBacking(tokens * 128, 128)
    spec = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 128),))
    return BoastfulManager(spec, backing, SharedBytesOptions())


def test_who_outgrows_memory_alone_preempts_itself_and_does_not_fit_again() -> None:
    rig = Rig(boastful(9), options())
    rig.arrive(0, 8, 9)
    rig.step()
    assert rig.step() == {0: 1}
    assert rig.step() == {}
    assert (rig.running(), rig.waiting()) == ([], [0])
    assert rig.step() == {}
    assert rig.batch.short_pool == 0  # upon which the engine refuses the head


def test_who_would_be_let_in_again_for_ever_is_refused() -> None:
    rig = Rig(boastful(9), options(reserve_full_prompt=Switch.OFF))
    rig.arrive(0, 8, 9)
    for _ in range(3):
        rig.step()
    rejection = rig.log.of(EventKind.REJECTION)
    assert rejection[:, 2:4].tolist() == [[0, RejectionReason.OUTGREW]]
    assert rig.manager.usage().granted_bytes == 0


def test_chunks_end_where_a_state_can_be_kept() -> None:
    rig = Rig(blocks(40, KV, SSM, caching=Caching.ON), options())
    rig.arrive(0, 22, 2)
    assert [rig.step() for _ in range(3)] == [{0: 16}, {0: 4}, {0: 2}]  # 16, 20, and the tail
    rig.arrive(1, 22, 2, text=((5, 13),))
    rig.arrive(2, 3, 9)
    # 15 tokens beside a decoding one round down to 12; then 3 are left for request 2.
    assert rig.step() == {0: 1, 1: 12, 2: 3}


def test_a_prefix_found_is_not_computed_again() -> None:
    rig = Rig(blocks(40, caching=Caching.ON), options())
    rig.arrive(0, 10, 9, text=((5, 8),))
    rig.arrive(1, 12, 9, text=((5, 8),))
    assert rig.step() == {0: 10, 1: 4}  # attention blocks may be used in the same step
    assert rig.log.of(EventKind.PREFIX_HIT)[:, 2:5].tolist() == [[1, 8, 12]]
    assert rig.log.of(EventKind.CHUNK)[:, 2:5].tolist() == [[0, 10, 0], [1, 4, 8]]


def test_a_state_of_this_step_makes_the_next_one_wait() -> None:
    rig = Rig(blocks(40, KV, SSM, caching=Caching.ON), options())
    rig.arrive(0, 8, 9, text=((5, 8),))
    rig.arrive(1, 9, 9, text=((5, 8),))
    assert rig.step() == {0: 8}
    assert rig.subjects(EventKind.OOM) == []
    assert rig.step() == {0: 1, 1: 1}


def test_where_texts_part_a_state_is_left() -> None:
    rig = Rig(blocks(40, KV, SSM, caching=Caching.ON), options(max_num_batched_tokens=32))
    rig.arrive(0, 20, 1, text=((5, 20),))
    rig.step()  # states at 20 only
    rig.arrive(1, 20, 1, text=((5, 12),))
    assert rig.step() == {1: 12}
    rig.arrive(2, 20, 1, text=((5, 12),))
    rig.step()
    assert rig.log.of(EventKind.PREFIX_HIT)[:, 2:4].tolist() == [[2, 12]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_num_seqs": 0}, "max_num_seqs must be at least 1"),
        ({"max_num_seqs": 17}, "max_num_batched_tokens at least max_num_seqs"),
        ({"long_prefill_token_threshold": -1}, "must be at least 0"),
        ({"max_model_len": -1}, "must be at least 0"),
        ({"watermark": 1.0}, "watermark must lie between 0 and 1"),
        ({"watermark": -0.1}, "watermark must lie between 0 and 1"),
        ({"chunked_prefill": Switch.OFF}, "needs a max_model_len up to"),
        ({"chunked_prefill": Switch.OFF, "max_model_len": 17}, "needs a max_model_len up to"),
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        options(**values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_num_seqs": 3, "max_num_batched_tokens": 3}, "must be at least 4"),
        ({"long_prefill_token_threshold": 3}, "must be at least 4"),
        ({"chunked_prefill": Switch.OFF, "max_model_len": 16}, "needs chunked_prefill=on"),
    ],
)
def test_what_the_engine_refuses_at_start_up_is_refused(values: dict[str, Any], said: str) -> None:
    manager, scheduler = blocks(9, KV, SSM, caching=Caching.ON), VllmScheduler(options(**values))
    with pytest.raises(ValueError, match=said):
        Wiring(manager, scheduler, ConstantExecutor(1))
    assert not scheduler.objection(blocks(9, KV, caching=Caching.ON))
    assert not scheduler.objection(blocks(9, KV, SSM))
