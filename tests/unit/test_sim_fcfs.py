"""Plans of `fcfs`, one at a time, over a manager that counts tokens only."""

from collections.abc import Iterable

import pytest

from allocator.backing import Backing, HostBacking
from allocator.cohort import ListedCohort
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader, RejectionReason
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.step import StepPlan
from traces.record import Request

TOKEN_BYTES = 128
SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),))


class BoastfulManager(SharedBytesManager):
    """Promises sequences of any length, so that one can outgrow all of memory."""

    @property
    def max_sequence_tokens(self) -> int:
        return 1000


class CountingManager(SharedBytesManager):
    """Counts the sequences of each call that extends some."""

    def __init__(self, spec: CacheSpec, backing: Backing, options: SharedBytesOptions) -> None:
        super().__init__(spec, backing, options)
        self.calls: list[int | str] = []

    def new_cohort(self) -> ListedCohort:
        return ListedCohort(self)

    def extend(self, sequence: int, tokens: int) -> None:
        self.calls.append("one")
        super().extend(sequence, tokens)

    def extend_all(self, sequences: Iterable[int], tokens: int) -> None:
        sequences = tuple(sequences)
        self.calls.append(len(sequences))
        super().extend_all(sequences, tokens)


class Rig:
    """A scheduler with a batch of its own; requests are (prompt, output) tokens."""

    def __init__(
        self,
        requests: list[tuple[int, int]],
        options: FcfsOptions,
        room_tokens: int,
        manager: type[SharedBytesManager] = SharedBytesManager,
    ) -> None:
        backing = HostBacking(room_tokens * TOKEN_BYTES, TOKEN_BYTES)
        header = LogHeader(len(requests), backing.num_granules, 1, (PoolHeader("bytes", 1),))
        self.log = EventLog(header)
        self.manager = manager(SPEC, backing, SharedBytesOptions())
        self.batch = Batch(self.manager, self.log)
        self.scheduler = FcfsScheduler(options)
        for number, (prompt, output) in enumerate(requests):
            self.batch.arrive(Request(number, 0, prompt, output))

    def step(self) -> StepPlan:
        plan = self.scheduler.plan(self.batch)
        self.batch.finish_step(plan)
        return plan

    def running(self) -> list[int]:
        return [sequence.request_id for sequence in self.batch.running]

    def waiting(self) -> list[int]:
        return [sequence.request_id for sequence in self.batch.waiting]


def decoded(plan: StepPlan) -> list[int]:
    return [sequence.request_id for sequence in plan.decodes]


def chunked(plan: StepPlan) -> list[tuple[int, int, int]]:
    return [
        (chunk.sequence.request_id, chunk.tokens, chunk.context_tokens) for chunk in plan.chunks
    ]


def test_nobody_there_means_an_empty_plan() -> None:
    assert not Rig([], FcfsOptions(), 10).step()


def test_prompts_are_cut_to_the_token_budget() -> None:
    rig = Rig([(10, 1)], FcfsOptions(max_seqs=4, max_batched_tokens=4), 100)
    assert [chunked(rig.step()) for _ in range(3)] == [[(0, 4, 0)], [(0, 4, 4)], [(0, 2, 8)]]
    assert rig.batch.num_ended == 1
    assert rig.log.of(EventKind.CHUNK)[:, 3:5].tolist() == [[4, 0], [4, 4], [2, 8]]


def test_decoding_comes_first_and_prompts_get_the_rest() -> None:
    rig = Rig([(2, 9), (9, 9)], FcfsOptions(max_seqs=4, max_batched_tokens=4), 100)
    assert chunked(rig.step()) == [(0, 2, 0), (1, 2, 0)]
    plan = rig.step()
    assert (decoded(plan), chunked(plan)) == ([0], [(1, 3, 2)])


def test_context_of_decoding_counts_the_token_just_fed() -> None:
    rig = Rig([(3, 9), (5, 9)], FcfsOptions(), 100)
    rig.step()
    assert rig.step().decode_context_tokens == (3 + 1) + (5 + 1)
    assert rig.step().decode_context_tokens == (3 + 2) + (5 + 2)


def test_those_that_decode_are_extended_together_and_apart_if_not_all_fit() -> None:
    """Three prompts hold 6 of 11 tokens; a token each fits once, then there is room for two."""
    rig = Rig([(2, 9), (2, 9), (2, 9)], FcfsOptions(), 11, CountingManager)
    manager = rig.manager
    assert isinstance(manager, CountingManager)
    rig.step()
    manager.calls.clear()
    assert decoded(rig.step()) == [0, 1, 2]
    assert manager.calls == [3]
    manager.calls.clear()
    plan = rig.step()  # 9 tokens are held: room for two of three
    assert decoded(plan) == [0, 1]
    assert plan.decode_context_tokens == 4 + 4
    assert manager.calls == [3, "one", "one", "one"]
    assert rig.waiting() == [2]
    assert rig.log.of(EventKind.OOM)[:, 2].tolist() == [2]


def test_prompts_under_way_come_before_admissions() -> None:
    rig = Rig([(6, 1), (3, 1), (3, 1)], FcfsOptions(max_seqs=4, max_batched_tokens=4), 100)
    assert chunked(rig.step()) == [(0, 4, 0)]
    assert chunked(rig.step()) == [(0, 2, 4), (1, 2, 0)]
    assert chunked(rig.step()) == [(1, 1, 2), (2, 3, 0)]


def test_nobody_overtakes_a_head_that_does_not_fit() -> None:
    rig = Rig([(6, 3), (5, 1), (1, 1)], FcfsOptions(), 10)
    rig.step()
    assert (rig.running(), rig.waiting()) == ([0], [1, 2])


def test_no_more_run_than_allowed() -> None:
    rig = Rig([(1, 5)] * 3, FcfsOptions(max_seqs=2), 100)
    rig.step()
    assert (rig.running(), rig.waiting()) == ([0, 1], [2])
    assert len(rig.log.of(EventKind.OOM)) == 0


def test_nobody_is_admitted_without_budget() -> None:
    rig = Rig([(1, 5), (1, 5)], FcfsOptions(max_seqs=1, max_batched_tokens=1), 100)
    rig.step()
    plan = rig.step()
    assert (decoded(plan), chunked(plan), rig.waiting()) == ([0], [], [1])


def test_the_latest_arrival_makes_way() -> None:
    rig = Rig([(3, 5), (3, 5), (3, 5)], FcfsOptions(), 10)
    rig.step()  # 9 of 10 tokens
    plan = rig.step()  # the first takes the last; the second needs one more
    assert decoded(plan) == [0, 1]
    assert rig.waiting() == [2]
    preemption = rig.log.of(EventKind.PREEMPTION)
    assert preemption[:, 2:5].tolist() == [[2, 3, 1]]


def test_the_latest_arrival_makes_way_itself_rather_than_an_earlier_one() -> None:
    rig = Rig([(5, 5), (5, 5)], FcfsOptions(), 11)
    rig.step()
    assert decoded(rig.step()) == [0]
    assert (rig.running(), rig.waiting()) == ([0], [1])


def test_a_prompt_under_way_makes_way_too() -> None:
    rig = Rig([(3, 5), (6, 2)], FcfsOptions(max_seqs=4, max_batched_tokens=4), 10)
    rig.step()  # the first 3 tokens, and 1 of the second
    rig.step()  # 1 decoded, 3 of the second
    plan = rig.step()
    assert (decoded(plan), chunked(plan)) == ([0], [])
    assert rig.log.of(EventKind.PREEMPTION)[:, 2:5].tolist() == [[1, 4, 0]]


def test_victims_wait_in_order_of_arrival_ahead_of_the_queue() -> None:
    options = FcfsOptions(max_seqs=3, max_batched_tokens=64)
    rig = Rig([(7, 4), (1, 4), (1, 4), (1, 4)], options, 10)
    rig.step()
    assert (rig.running(), rig.waiting()) == ([0, 1, 2], [3])
    rig.step()
    rig.step()
    assert rig.log.of(EventKind.PREEMPTION)[:, 2].tolist() == [2, 1]
    assert (rig.running(), rig.waiting()) == ([0], [1, 2, 3])


def test_nobody_is_admitted_in_a_step_with_a_preemption() -> None:
    rig = Rig([(7, 4), (2, 4)], FcfsOptions(), 10)
    rig.step()
    assert decoded(rig.step()) == [0]
    assert len(rig.log.of(EventKind.OOM)) == 1  # the extension; no admission was tried
    rig.step()
    assert len(rig.log.of(EventKind.OOM)) == 2


def test_a_sequence_alone_that_outgrows_memory_is_refused() -> None:
    rig = Rig([(8, 9), (2, 1)], FcfsOptions(), 9, BoastfulManager)
    rig.step()
    rig.step()
    assert rig.running() == [0]
    assert not rig.step()
    rejection = rig.log.of(EventKind.REJECTION)
    assert rejection[:, 2:4].tolist() == [[0, RejectionReason.OUTGREW]]
    assert chunked(rig.step()) == [(1, 2, 0)]


@pytest.mark.parametrize(("max_seqs", "max_batched_tokens"), [(0, 10), (-1, 10), (11, 10)])
def test_options_let_every_running_sequence_make_a_token(
    max_seqs: int, max_batched_tokens: int
) -> None:
    with pytest.raises(ValueError, match="max_batched_tokens at least max_seqs"):
        FcfsOptions(max_seqs, max_batched_tokens)
