"""Each decision of a batch and the row it leaves, over a manager that counts tokens only."""

from dataclasses import dataclass

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.event_log import NO_SUBJECT, EventKind, EventLog, LogHeader, PoolHeader, RejectionReason
from sim.request import Sequence
from sim.step import Chunk, StepPlan
from traces.record import Request

TOKEN_BYTES = 128
SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),))


@dataclass
class Rig:
    """A batch whose manager has room for 10 tokens."""

    manager: SharedBytesManager
    log: EventLog
    batch: Batch

    def arrive(self, request_id: int, prompt_tokens: int, output_tokens: int) -> None:
        now_ns = self.batch.now_ns
        self.batch.arrive(Request(request_id, now_ns, prompt_tokens, output_tokens))

    def admit(self, request_id: int, prompt_tokens: int, output_tokens: int) -> Sequence:
        self.arrive(request_id, prompt_tokens, output_tokens)
        sequence = self.batch.admit_head()
        assert sequence is not None
        return sequence

    def last_row(self) -> list[int]:
        row: list[int] = self.log.table()[-1].tolist()
        return row


@pytest.fixture
def rig() -> Rig:
    manager = SharedBytesManager(
        SPEC, HostBacking(10 * TOKEN_BYTES, TOKEN_BYTES), SharedBytesOptions()
    )
    log = EventLog(LogHeader(9, 10 * TOKEN_BYTES, 1, (PoolHeader("bytes", 1),)))
    batch = Batch(manager, log)
    batch.now_ns = 77
    return Rig(manager, log, batch)


def prefill(rig: Rig, sequence: Sequence) -> None:
    chunk = Chunk(sequence, sequence.owed_tokens, sequence.computed_tokens)
    rig.batch.finish_step(StepPlan(chunks=[chunk]))


def decode(rig: Rig, sequence: Sequence) -> None:
    assert rig.batch.extend(sequence)
    rig.batch.finish_step(StepPlan([sequence]))


def test_an_arrival_waits(rig: Rig) -> None:
    rig.arrive(3, 4, 2)
    assert [waiting.request_id for waiting in rig.batch.waiting] == [3]
    assert rig.last_row() == [77, EventKind.ARRIVAL, 3, 4, 2, 0]


def test_a_request_fits_if_all_but_its_last_token_do(rig: Rig) -> None:
    rig.arrive(0, 8, 3)
    assert len(rig.batch.waiting) == 1
    assert rig.batch.num_ended == 0


def test_a_request_that_can_never_fit_is_refused_at_once(rig: Rig) -> None:
    rig.arrive(0, 8, 4)
    assert not rig.batch.waiting
    assert rig.batch.num_ended == 1
    assert rig.last_row() == [77, EventKind.REJECTION, 0, RejectionReason.TOO_LONG, 11, 10]


def test_admission_gives_room_for_the_prompt(rig: Rig) -> None:
    sequence = rig.admit(5, 4, 3)
    assert rig.batch.running == [sequence]
    assert not rig.batch.waiting
    assert rig.manager.usage().granted_bytes == 4 * TOKEN_BYTES
    assert rig.last_row() == [77, EventKind.ADMISSION, 5, 4, 0, 0]


def test_a_refused_head_keeps_its_place_and_is_not_tried_in_vain(rig: Rig) -> None:
    rig.admit(0, 6, 1)
    rig.arrive(1, 7, 1)
    assert rig.batch.admit_head() is None
    assert rig.batch.short_pool == 0
    asked, free = 7 * TOKEN_BYTES, 4 * TOKEN_BYTES
    assert rig.last_row() == [77, EventKind.OOM, 1, 0, asked, free]
    num_rows = len(rig.log)
    assert rig.batch.admit_head() is None
    assert len(rig.log) == num_rows
    assert rig.batch.waiting.head().failed_allocations == 1


def test_a_refused_head_is_tried_again_once_pages_are_released(rig: Rig) -> None:
    first = rig.admit(0, 6, 1)
    rig.arrive(1, 7, 1)
    assert rig.batch.admit_head() is None
    prefill(rig, first)
    assert rig.batch.short_pool is None
    second = rig.batch.admit_head()
    assert second is not None
    prefill(rig, second)
    assert rig.last_row() == [77, EventKind.COMPLETION, 1, 1, 0, 1]


def test_a_chunk_is_logged_with_what_came_before(rig: Rig) -> None:
    sequence = rig.admit(2, 6, 1)
    sequence.computed_tokens = 4
    rig.batch.record_chunk(sequence, 2)
    assert rig.last_row() == [77, EventKind.CHUNK, 2, 2, 4, 0]


def test_part_of_a_prompt_makes_no_token(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 2)
    num_rows = len(rig.log)
    rig.batch.finish_step(StepPlan(chunks=[Chunk(sequence, 4, 0)]))
    assert (sequence.computed_tokens, sequence.owed_tokens, sequence.made_tokens) == (4, 2, 0)
    assert len(rig.log) == num_rows


def test_the_end_of_a_prompt_makes_the_first_token(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 2)
    prefill(rig, sequence)
    assert (sequence.owed_tokens, sequence.made_tokens) == (0, 1)
    assert rig.last_row() == [77, EventKind.FIRST_TOKEN, 0, 0, 0, 0]


def test_the_last_token_completes_and_needs_no_room(rig: Rig) -> None:
    sequence = rig.admit(0, 8, 3)  # 8 + 3 tokens pass through a memory of 10
    prefill(rig, sequence)
    decode(rig, sequence)
    assert rig.batch.running == [sequence]
    decode(rig, sequence)
    assert rig.batch.running == []
    assert rig.manager.usage().granted_bytes == 0
    assert rig.batch.num_ended == 1
    assert rig.last_row() == [77, EventKind.COMPLETION, 0, 3, 0, 0]


def test_a_request_of_one_token_completes_with_its_prompt(rig: Rig) -> None:
    prefill(rig, rig.admit(0, 5, 1))
    kinds = rig.log.table()[-2:, 1].tolist()
    assert kinds == [EventKind.FIRST_TOKEN, EventKind.COMPLETION]


def test_completions_come_in_running_order_whatever_was_computed(rig: Rig) -> None:
    first, second = rig.admit(0, 4, 1), rig.admit(1, 3, 2)
    prefill(rig, second)
    assert rig.batch.extend(second)
    rig.batch.finish_step(StepPlan([second], chunks=[Chunk(first, 4, 0)]))
    assert rig.log.of(EventKind.COMPLETION)[:, 2].tolist() == [0, 1]


def test_a_refused_extension_changes_nothing_but_the_books(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 3)
    rig.admit(1, 4, 1)
    prefill(rig, sequence)
    assert not rig.batch.extend(sequence)
    assert rig.manager.usage().granted_bytes == 10 * TOKEN_BYTES
    assert sequence.failed_allocations == 1
    assert rig.batch.short_pool is None
    assert rig.last_row() == [77, EventKind.OOM, 0, 0, TOKEN_BYTES, 0]


def test_preemption_takes_all_pages_and_owes_prompt_and_output(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 4)
    prefill(rig, sequence)
    decode(rig, sequence)
    rig.arrive(1, 1, 1)
    rig.batch.preempt(sequence)
    assert rig.batch.running == []
    assert [waiting.request_id for waiting in rig.batch.waiting] == [0, 1]
    assert rig.manager.usage().granted_bytes == 0
    assert rig.last_row() == [77, EventKind.PREEMPTION, 0, 7, 2, 0]
    assert (sequence.owed_tokens, sequence.made_tokens, sequence.preemptions) == (8, 2, 1)


def test_recomputing_makes_the_next_token_and_no_second_first_one(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 3)
    prefill(rig, sequence)
    rig.batch.preempt(sequence)
    assert rig.batch.admit_head() is sequence
    assert rig.last_row() == [77, EventKind.ADMISSION, 0, 7, 1, 0]
    prefill(rig, sequence)
    assert sequence.made_tokens == 2
    assert len(rig.log.of(EventKind.FIRST_TOKEN)) == 1
    decode(rig, sequence)
    assert rig.last_row() == [77, EventKind.COMPLETION, 0, 3, 1, 0]


def test_preemption_during_the_prompt_starts_it_again(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 3)
    rig.batch.finish_step(StepPlan(chunks=[Chunk(sequence, 4, 0)]))
    rig.batch.preempt(sequence)
    assert rig.last_row() == [77, EventKind.PREEMPTION, 0, 4, 0, 0]
    assert sequence.owed_tokens == 6


def test_a_running_sequence_that_outgrew_memory_is_refused(rig: Rig) -> None:
    sequence = rig.admit(0, 6, 3)
    rig.batch.reject_running(sequence)
    assert rig.batch.running == []
    assert rig.manager.usage().granted_bytes == 0
    assert rig.batch.num_ended == 1
    assert rig.last_row() == [77, EventKind.REJECTION, 0, RejectionReason.OUTGREW, 8, 10]


def test_a_head_without_room_in_empty_memory_is_refused(rig: Rig) -> None:
    rig.arrive(0, 6, 3)
    rig.arrive(1, 2, 1)
    rig.batch.short_pool = 0
    rig.batch.reject_head()
    assert rig.last_row() == [77, EventKind.REJECTION, 0, RejectionReason.OUTGREW, 8, 10]
    assert rig.batch.short_pool is None
    assert rig.batch.waiting.head().request_id == 1


def test_a_migration_in_the_way_of_live_pages_is_logged(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sequence: int, tokens: int) -> None:
        del sequence
        raise OutOfMemoryError("bytes", tokens, 2, largest=2, migration_blocked=True)

    sequence = rig.admit(0, 4, 3)
    monkeypatch.setattr(rig.manager, "extend", refuse)
    assert not rig.batch.extend(sequence)
    assert rig.log.table()[-2:].tolist() == [
        [77, EventKind.OOM, 0, 0, 1, 2],
        [77, EventKind.MIGRATION_BLOCKED, NO_SUBJECT, 0, 0, 0],
    ]


def test_the_next_tokens_are_those_of_the_head(rig: Rig) -> None:
    assert rig.batch.next_tokens == 0
    sequence = rig.admit(0, 4, 4)
    assert rig.batch.next_tokens == 0
    rig.arrive(1, 3, 1)
    rig.arrive(2, 9, 1)
    assert rig.batch.next_tokens == 3
    prefill(rig, sequence)
    decode(rig, sequence)
    rig.batch.preempt(sequence)  # it waits for its prompt and the two tokens it has made
    assert rig.batch.next_tokens == 4 + 2


def test_an_occasion_to_prepare_is_another_head_or_a_change_of_who_runs(rig: Rig) -> None:
    assert rig.batch.occasion == (0, NO_SUBJECT)
    rig.arrive(5, 4, 3)
    assert rig.batch.occasion == (0, 5)
    rig.arrive(6, 2, 1)
    assert rig.batch.occasion == (0, 5)
    first = rig.batch.admit_head()
    assert first is not None
    assert rig.batch.occasion == (1, 6)
    prefill(rig, first)
    decode(rig, first)
    assert rig.batch.occasion == (1, 6)
    second = rig.batch.admit_head()
    assert second is not None
    assert rig.batch.occasion == (2, NO_SUBJECT)
    prefill(rig, second)  # it completes
    assert rig.batch.occasion == (3, NO_SUBJECT)
    rig.batch.preempt(first)
    assert rig.batch.occasion == (4, 5)


def test_a_batch_is_extended_by_a_token_each(rig: Rig) -> None:
    assert rig.batch.extend_decoding()
    for sequence in (rig.admit(0, 4, 3), rig.admit(1, 3, 3)):
        prefill(rig, sequence)
    num_rows = len(rig.log)
    assert rig.batch.extend_decoding()
    assert rig.manager.usage().granted_bytes == (5 + 4) * TOKEN_BYTES
    assert len(rig.log) == num_rows


def test_a_batch_that_does_not_fit_is_not_extended_and_nobody_refused_yet(rig: Rig) -> None:
    sequences = [rig.admit(0, 4, 3), rig.admit(1, 5, 2)]
    for sequence in sequences:
        prefill(rig, sequence)
    num_rows = len(rig.log)
    assert not rig.batch.extend_decoding()
    assert rig.manager.usage().granted_bytes == 9 * TOKEN_BYTES
    assert len(rig.log) == num_rows
    assert [sequence.failed_allocations for sequence in sequences] == [0, 0]
    assert rig.batch.short_pool is None
    assert rig.batch.extend(sequences[0])
    assert not rig.batch.extend(sequences[1])
    assert rig.last_row()[:3] == [77, EventKind.OOM, 1]
