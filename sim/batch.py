"""Who waits, who runs, and the pages they hold: all that a scheduler acts on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from allocator.interface import OutOfMemoryError
from sim.event_log import NO_SUBJECT, EventKind, RejectionReason
from sim.request import Sequence

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.event_log import EventLog
    from sim.step import StepPlan
    from traces.record import Request


class Batch:
    """The engine's queues over one cache manager; every decision taken here is logged here.

    Attributes:
        now_ns: The present; the engine sets it before it asks for a plan.
        waiting: Sequences without pages, first come first.
        running: Sequences with pages, in order of admission.
        short_pool: Number of the pool that refused the head of the queue; None once pages have
            been released since, so that trying again makes sense.
        num_ended: Requests completed or rejected.
    """

    def __init__(self, manager: CacheManager, log: EventLog) -> None:
        self.now_ns = 0
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.short_pool: int | None = None
        self.num_ended = 0
        self._num_changes = 0  # admissions and releases
        self._manager = manager
        self._log = log
        self._max_sequence_tokens = manager.max_sequence_tokens
        self._pool_numbers = {pool.name: i for i, pool in enumerate(log.header.pools)}

    @property
    def occasion(self) -> tuple[int, int]:
        """What capacity ahead of need depends on: changes among the running, and the next."""
        return self._num_changes, self.waiting[0].request_id if self.waiting else NO_SUBJECT

    @property
    def next_tokens(self) -> int:
        """Tokens that the head of the queue asks room for; 0 if nobody waits."""
        return self.waiting[0].target_tokens if self.waiting else 0

    def arrive(self, request: Request) -> None:
        """Queue a request, or refuse it if it could not fit were it alone."""
        sequence = Sequence(request)
        self._record(EventKind.ARRIVAL, sequence, request.prompt_tokens, request.output_tokens)
        if sequence.max_tokens > self._max_sequence_tokens:
            self._reject(sequence, RejectionReason.TOO_LONG)
        else:
            self.waiting.append(sequence)

    def admit_head(self) -> Sequence | None:
        """Move the head of the queue to the running sequences if it gets room for its target.

        A head that was refused is not tried again before pages are released: nothing else can
        make room, so every try in between would fail alike.
        """
        if self.short_pool is not None:
            return None
        head = self.waiting[0]
        try:
            self._manager.admit(head.request_id, head.target_tokens)
        except OutOfMemoryError as error:
            self.short_pool = self._refused(head, error)
            return None
        self.waiting.popleft()
        self.running.append(head)
        self._num_changes += 1
        self._record(EventKind.ADMISSION, head, head.target_tokens, head.preemptions)
        return head

    def extend(self, sequence: Sequence) -> bool:
        """Give a running sequence room for the token it is about to feed; False if refused."""
        try:
            self._manager.extend(sequence.request_id, 1)
        except OutOfMemoryError as error:
            self._refused(sequence, error)
            return False
        return True

    def extend_all(self, sequences: list[Sequence]) -> bool:
        """Give running sequences room for the token each is about to feed; False if for not all.

        Nothing has changed then; who is refused shows when they are extended one by one.
        """
        try:
            self._manager.extend_all([sequence.request_id for sequence in sequences], 1)
        except OutOfMemoryError:
            return False
        return True

    def preempt(self, sequence: Sequence) -> None:
        """Take a running sequence's pages and put it at the head of the queue, to recompute."""
        self.running.remove(sequence)
        self._release(sequence)
        self._record(EventKind.PREEMPTION, sequence, sequence.computed_tokens, sequence.made_tokens)
        sequence.preemptions += 1
        sequence.computed_tokens = 0
        sequence.target_tokens = sequence.request.prompt_tokens + sequence.made_tokens
        self.waiting.appendleft(sequence)

    def reject_running(self, sequence: Sequence) -> None:
        """Refuse a running sequence that has outgrown all of memory."""
        self.running.remove(sequence)
        self._release(sequence)
        self._reject(sequence, RejectionReason.OUTGREW)

    def reject_head(self) -> None:
        """Refuse the head of the queue, which got no room though nothing else holds any."""
        self.short_pool = None
        self._reject(self.waiting.popleft(), RejectionReason.OUTGREW)

    def finish_step(self, plan: StepPlan) -> None:
        """Credit what a step has computed; sequences with all their tokens complete."""
        completed = []
        for sequence in plan.decodes:
            sequence.computed_tokens += 1
            sequence.made_tokens += 1
            if sequence.made_tokens == sequence.output_tokens:
                completed.append(sequence)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            sequence.computed_tokens += chunk.tokens
            if sequence.owed_tokens == 0 and self._make_token_after_prompt(sequence):
                completed.append(sequence)
        for sequence in completed:
            self._complete(sequence)

    def record_chunk(self, sequence: Sequence, tokens: int) -> None:
        """Log the start of a chunk."""
        self._record(EventKind.CHUNK, sequence, tokens, sequence.computed_tokens)

    def record_migrations(self) -> None:
        """Log the capacity that moved since the last call."""
        for move in self._manager.take_migrations():
            values = (move.donor, move.recipient, move.num_bytes)
            self._log.append(self.now_ns, EventKind.MIGRATION, NO_SUBJECT, *values)

    def _make_token_after_prompt(self, sequence: Sequence) -> bool:
        """The step that computes the last owed token also makes a token; True if it is the last."""
        if sequence.made_tokens == 0:
            self._record(EventKind.FIRST_TOKEN, sequence)
        sequence.made_tokens += 1
        return sequence.made_tokens == sequence.output_tokens

    def _complete(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._release(sequence)
        self.num_ended += 1
        values = (sequence.made_tokens, sequence.preemptions, sequence.failed_allocations)
        self._record(EventKind.COMPLETION, sequence, *values)

    def _release(self, sequence: Sequence) -> None:
        self._manager.release(sequence.request_id)
        self._num_changes += 1
        self.short_pool = None

    def _refused(self, sequence: Sequence, error: OutOfMemoryError) -> int:
        sequence.failed_allocations += 1
        pool = self._pool_numbers[error.pool]
        self._record(EventKind.OOM, sequence, pool, error.asked, error.free)
        if error.migration_blocked:
            self._log.append(self.now_ns, EventKind.MIGRATION_BLOCKED, NO_SUBJECT, 0, pool)
        return pool

    def _reject(self, sequence: Sequence, reason: RejectionReason) -> None:
        self.num_ended += 1
        values = (reason, sequence.max_tokens, self._max_sequence_tokens)
        self._record(EventKind.REJECTION, sequence, *values)

    def _record(self, kind: EventKind, sequence: Sequence, *values: int) -> None:
        self._log.append(self.now_ns, kind, sequence.request_id, *values)
