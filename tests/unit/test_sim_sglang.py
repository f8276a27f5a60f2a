"""Plans of `sglang`, one at a time, over a manager that counts tokens only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.managers.sglang import Radix, SglangManager, SglangOptions
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader, RejectionReason
from sim.scheduler import known_schedulers
from sim.schedulers.sglang import Policy, SglangScheduler, SglangSchedulerOptions
from traces.record import Request

if TYPE_CHECKING:
    from allocator.interface import CacheManager

SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 128),), page_tokens=4)


class BoastfulManager(SharedBytesManager):
    """Promises sequences of any length, so that one can outgrow all of memory."""

    @property
    def max_sequence_tokens(self) -> int:
        return 1000


def room(tokens: int) -> CacheManager:
    return BoastfulManager(SPEC, HostBacking(tokens * 128, 128), SharedBytesOptions())


class Rig:
    """A scheduler with a batch of its own; requests are (prompt, output) tokens."""

    def __init__(self, manager: CacheManager, *requests: tuple[int, int], **options: Any) -> None:  # noqa: ANN401 - options of any type
        (pool,) = manager.usage().pools
        self.log = EventLog(LogHeader(9, 1, 1, (PoolHeader(pool.name, pool.page_bytes),)))
        self.scheduler = SglangScheduler(SglangSchedulerOptions(**options))
        self.batch = Batch(manager, self.log, self.scheduler.new_queue())
        for number, (prompt, output) in enumerate(requests):
            self.batch.arrive(Request(number, 0, prompt, output, text=((5, min(prompt, 8)),)))

    def step(self) -> dict[int, int]:
        """Tokens of each sequence in the next step; prompts and decoding never mix."""
        self.batch.begin_step()
        plan = self.scheduler.plan(self.batch)
        assert not (plan.chunks and plan.decodes)
        self.batch.finish_step(plan)
        counts = {sequence.request_id: 1 for sequence in plan.decodes}
        return counts | {chunk.sequence.request_id: chunk.tokens for chunk in plan.chunks}

    def waiting(self) -> list[int]:
        return [sequence.request_id for sequence in self.batch.waiting]

    def subjects(self, kind: EventKind) -> list[int]:
        found: list[int] = self.log.of(kind)[:, 2].tolist()
        return found

    def ratio(self) -> float:
        return self.scheduler._ratio  # noqa: SLF001 - it shows in admissions only


def test_prompts_come_before_decoding() -> None:
    rig = Rig(room(1000), (10, 5), (6, 5), chunked_prefill_size=12)
    assert [rig.step() for _ in range(3)] == [{0: 10, 1: 2}, {1: 4}, {0: 1, 1: 1}]


def test_no_prompt_joins_a_step_beyond_the_limit_but_one_alone_may_exceed_it() -> None:
    rig = Rig(room(1000), (10, 5), (6, 5), max_prefill_tokens=8)
    assert [rig.step() for _ in range(3)] == [{0: 10}, {1: 6}, {0: 1, 1: 1}]


def test_no_more_run_than_allowed() -> None:
    rig = Rig(room(1000), (4, 2), (4, 2), max_running_requests=1)
    assert [rig.step() for _ in range(3)] == [{0: 4}, {0: 1}, {1: 4}]


def test_newcomers_of_a_step_count_with_all_their_output() -> None:
    """4 + 9 and 4 + 9 tokens of 25: together one too many, in one step."""
    rig = Rig(room(25), (4, 10), (4, 10))
    assert rig.step() == {0: 4}
    assert rig.subjects(EventKind.OOM) == [1]


def test_running_sequences_count_with_a_share_of_theirs() -> None:
    """int(0.7 x 8) = 5 tokens beside 4 held and the 13 of the newcomer."""
    for tokens, admitted in ((22, {1: 4}), (21, {0: 1})):
        rig = Rig(room(tokens), (4, 10))
        rig.step()
        rig.batch.arrive(Request(1, 0, 4, 10))
        assert rig.step() == admitted


def test_the_share_falls_with_each_step_of_decoding_and_returns_when_idle() -> None:
    rig = Rig(room(1000), (4, 3))
    rig.step()
    assert rig.ratio() == pytest.approx(0.7)
    rig.step()
    assert rig.ratio() == pytest.approx(0.7 - (0.7 - 0.098) / 600)
    rig.step()
    assert rig.step() == {}
    assert rig.ratio() == pytest.approx(0.7)


def test_the_share_has_a_floor_and_follows_conservativeness() -> None:
    rig = Rig(room(5000), (4, 900), conservativeness=0.5)
    for _ in range(700):
        rig.step()
    assert rig.ratio() == pytest.approx(0.35 * 0.14)


def overcommitted(*later: tuple[int, int]) -> Rig:
    """Room for 24 tokens; the ratio is all but ignored, so that decoding runs out of memory."""
    rig = Rig(room(24), conservativeness=1e-6)
    for number, (prompt, output) in enumerate(later):
        rig.batch.arrive(Request(number, 0, prompt, output))
        rig.step()
    return rig


def test_who_made_the_fewest_outputs_is_retracted_then_who_has_the_longest_prompt() -> None:
    rig = overcommitted((6, 6), (5, 6), (6, 6))
    assert [s.made_tokens for s in rig.batch.running] == [1, 1, 1]
    while not rig.subjects(EventKind.PREEMPTION):
        rig.step()
    # Equal outputs: of the two longest prompts the one admitted last.
    assert rig.subjects(EventKind.PREEMPTION) == rig.subjects(EventKind.OOM) == [2]
    assert rig.waiting() == [2]


def test_fewer_outputs_weigh_more_than_a_longer_prompt() -> None:
    rig = Rig(room(20), (8, 9), conservativeness=1e-6)
    for _ in range(4):
        rig.step()  # request 0 holds 11 tokens
    rig.batch.arrive(Request(1, 0, 4, 6))
    while not rig.subjects(EventKind.PREEMPTION):
        assert rig.step()
    assert rig.subjects(EventKind.PREEMPTION) == [1]


def test_after_a_retraction_the_share_is_what_survivors_have_made_and_soon_will() -> None:
    rig = overcommitted((6, 6), (5, 6), (6, 6))
    while not rig.subjects(EventKind.PREEMPTION):
        rig.step()
    made = sum(s.made_tokens - 1 for s in rig.batch.running)  # before the step's own tokens
    assert rig.ratio() == pytest.approx(min(1.0, (made + 2 * 20) / (12 + 1)))


def test_retracted_sequences_wait_behind_all_others() -> None:
    rig = overcommitted((6, 6), (5, 6), (6, 6))
    rig.batch.arrive(Request(7, 0, 20, 2))
    while not rig.subjects(EventKind.PREEMPTION):
        rig.step()
    assert rig.waiting() == [7, 2]


def test_who_outgrows_memory_alone_is_refused() -> None:
    rig = Rig(room(9), (8, 2))
    rig.step()
    (sequence,) = rig.batch.running
    rig.batch.decoding.leave(sequence)
    sequence.output_tokens = 5  # more than it declared
    rig.batch.decoding.join(sequence)
    rig.step()
    assert rig.step() == {}
    rejection = rig.log.of(EventKind.REJECTION)
    assert rejection[:, 2:4].tolist() == [[0, RejectionReason.OUTGREW]]


def test_what_is_found_of_a_prompt_is_not_computed() -> None:
    manager = VllmManager.build(SPEC, HostBacking(1 << 16, 128), VllmOptions(caching=Caching.ON))
    rig = Rig(manager, (9, 2), (12, 2))
    assert rig.step() == {0: 9, 1: 4}
    assert rig.log.of(EventKind.PREFIX_HIT)[:, 2:4].tolist() == [[1, 8]]


@pytest.mark.parametrize(
    "options",
    [
        {"max_running_requests": 0},
        {"chunked_prefill_size": 0},
        {"max_prefill_tokens": 0},
        {"conservativeness": 0.0},
        {"conservativeness": float("inf")},
        {"conservativeness": float("nan")},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SglangSchedulerOptions(**options)


def radix(tokens: int, **options: Any) -> CacheManager:  # noqa: ANN401 - options of any type
    chosen = SglangOptions(radix=Radix.ON, **options)
    return SglangManager.build(SPEC, HostBacking(tokens * 128, 128), chosen)


class Talk(Rig):
    """Requests are texts; one output token each, unless told."""

    def ask(self, number: int, *text: tuple[int, int], output: int = 1) -> None:
        prompt = sum(tokens for _, tokens in text)
        self.batch.arrive(Request(number, 0, prompt, output, text=text))


def test_the_longest_prefix_goes_first_and_equals_stay_in_order() -> None:
    rig = Talk(radix(1000), policy=Policy.LPM, max_prefill_tokens=1)
    rig.ask(0, (1, 40), (2, 40))
    assert rig.step() == {0: 80}
    rig.ask(1, (7, 50))
    rig.ask(2, (1, 40), (3, 5))
    rig.ask(3, (8, 50))
    rig.ask(4, (1, 40), (2, 40), (3, 5))
    assert [rig.step() for _ in range(4)] == [{4: 5}, {2: 5}, {1: 50}, {3: 50}]


def test_of_texts_that_start_alike_one_is_computed_and_the_others_find_it() -> None:
    first = {Policy.LPM: {0: 80, 3: 9}, Policy.FCFS: {0: 80}}
    for policy, computed in first.items():
        rig = Talk(radix(1000), policy=policy, max_prefill_tokens=89)
        for number in range(3):
            rig.ask(number, (1, 40), (2 + number, 40))
        rig.ask(3, (9, 9))
        assert rig.step() == computed
        assert rig.step() == {1: 40, 2: 40} | ({} if 3 in computed else {3: 9})


def test_a_long_queue_stays_as_it_is() -> None:
    rig = Talk(radix(1000), policy=Policy.LPM, max_prefill_tokens=1)
    rig.ask(0, (1, 40))
    rig.step()
    for number in range(1, 130):
        rig.ask(number, (1000 + number, 2))
    rig.ask(130, (1, 40), (2, 1))
    assert rig.step() == {1: 2}
    assert rig.step() == {2: 2}
    assert rig.step() == {130: 1}  # 128 wait


def test_without_sharing_the_longest_prefix_is_first_come_first_served() -> None:
    rig = Rig(room(1000), (10, 5), (6, 5), policy=Policy.LPM)
    assert rig.step() == {0: 10, 1: 6}


@pytest.mark.parametrize("kind", ["sglang", "fcfs"])
def test_no_more_run_than_slots_allow(kind: str) -> None:
    """7 slots of 3 a request, each with its own: two at once."""
    spec = CacheSpec((*SPEC.groups, CacheGroup("ssm", CacheKind.STATE, 1, 128)))
    chosen = SglangOptions(radix=Radix.ON, ratio=0.087)
    manager = SglangManager.build(spec, HostBacking(100 * 128, 128), chosen)
    assert [pool.num_pages for pool in manager.usage().pools] == [92, 7]
    log = EventLog(LogHeader(9, 1, 1, (PoolHeader("kv", 128), PoolHeader("state", 128))))
    scheduler = known_schedulers()[kind](known_schedulers()[kind].Options())
    batch = Batch(manager, log, scheduler.new_queue())
    for number in range(4):
        batch.arrive(Request(number, 0, 5, 5))
    batch.finish_step(scheduler.plan(batch))
    assert [s.request_id for s in batch.running] == [0, 1]
    assert scheduler.plan(batch).decodes == batch.running
    assert scheduler.is_quiet(batch) == (kind == "fcfs")


def test_what_the_tree_alone_has_counts_as_room() -> None:
    rig = Talk(radix(100))
    rig.ask(0, (1, 60))
    assert rig.step() == {0: 60}
    rig.ask(1, (2, 70))
    assert rig.step() == {1: 70}
    assert not rig.subjects(EventKind.OOM)
