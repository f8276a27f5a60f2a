"""Who waits, who runs, and the pages they hold: all that a scheduler acts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.interface import NO_TERMS, UNBOUNDED_TOKENS, OutOfMemoryError, Terms
from allocator.prefix.interface import UNBOUNDED_SEQUENCES, PrefixSharing
from sim.account import Accounts
from sim.decoding import PLACE, Decoding
from sim.event_log import NO_SUBJECT, EventKind, RejectionReason
from sim.preemptions.recompute import Recompute
from sim.queue import ArrivalQueue
from sim.request import Sequence, content_of
from sim.shortage import ShortageLog

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from allocator.prefix.interface import Prefix
    from sim.admission import AdmissionControl
    from sim.event_log import LogWriter
    from sim.preemption import Preemption
    from sim.step import StepPlan
    from sim.waiting import WaitingQueue
    from traces.record import Request


class Batch:
    """The engine's queues over one cache manager; every decision taken here is logged here.

    Attributes:
        now_ns: The present; the engine sets it before it asks for a plan.
        waiting: Sequences without pages, in the order of the scheduler's policy.
        running: Sequences with pages, in order of admission.
        decoding: Those of them that owe nothing, and are not extended on their own just now.
        short_pool: Number of the pool that refused the head of the queue; None once pages have
            been released since, so that trying again makes sense.
        num_ended: Requests completed or rejected.
        preemption: Where the tokens of victims go; they are lost unless the engine says otherwise.
        accounts: What each tenant has here; the engine opens those of its run.
        shares_prefixes: Whether the manager does; see `PrefixSharing`.
        checkpoint_tokens, max_sequences: See there; 0 and unbounded where it shares none.
    """

    def __init__(
        self,
        manager: CacheManager,
        log: LogWriter,
        queue: WaitingQueue | None = None,
        max_tokens: int = UNBOUNDED_TOKENS,
        control: AdmissionControl | None = None,
    ) -> None:
        """Start empty.

        Args:
            manager: The allocator.
            log: Where decisions go.
            queue: Where sequences wait; by default first come, first served.
            max_tokens: Prompt and output tokens at which a sequence ends.
            control: What raises the terms of admissions; nothing does by default.
        """
        self.now_ns = 0
        self.waiting = ArrivalQueue() if queue is None else queue
        self.running: list[Sequence] = []
        self.short_pool: int | None = None
        self.num_ended = 0
        self.accounts = Accounts()
        self._num_changes = self._num_admissions = 0  # changes are admissions and releases
        self._manager = manager
        self.preemption: Preemption = Recompute()
        self.decoding = Decoding(manager.new_cohort())
        self._sharing = sharing = manager if isinstance(manager, PrefixSharing) else None
        self.shares_prefixes = sharing is not None
        self.checkpoint_tokens = 0 if sharing is None else sharing.checkpoint_tokens
        self.max_sequences = UNBOUNDED_SEQUENCES if sharing is None else sharing.max_sequences
        self._control = control
        self._log = log
        self._max_tokens = max_tokens
        self._max_sequence_tokens = min(manager.max_sequence_tokens, max_tokens - 1)
        self._shortages = ShortageLog(log)

    @property
    def occasion(self) -> tuple[int, int]:
        """What capacity ahead of need depends on: changes among the running, and the next."""
        return self._num_changes, self.waiting.head().request_id if self.waiting else NO_SUBJECT

    @property
    def next_tokens(self) -> int:
        """Tokens that the head of the queue asks room for; 0 if nobody waits."""
        return self.waiting.head().target_tokens if self.waiting else 0

    def arrive(self, request: Request) -> None:
        """Queue a request, or refuse it if it could not fit were it alone."""
        sequence = self.announce(request)
        if sequence is not None:
            self.enter(sequence)

    def announce(self, request: Request) -> Sequence | None:
        """Note that a request arrives; None if it is refused, since it could never fit."""
        account = self.accounts.of(request.tenant)
        account.present += 1
        sequence = Sequence(request, account)
        prompt, output = request.prompt_tokens, request.output_tokens
        values = (request.request_id, prompt, output, account.number)
        self._log.append(self.now_ns, EventKind.ARRIVAL, *values)
        if prompt + output > self._max_tokens:
            sequence.limit(self._max_tokens)
        if not self.could_fit(sequence):
            self.refuse(sequence, RejectionReason.TOO_LONG)
        elif not account.could_hold(sequence.max_tokens):
            self.refuse(sequence, RejectionReason.OVER_QUOTA)
        else:
            return sequence
        return None

    def enter(self, sequence: Sequence) -> None:
        """Let a sequence wait; where it may come first, who was refused before does not matter."""
        if self._sharing is not None:
            sequence.content = content_of(sequence.request)
        if self.waiting.join(sequence):
            self.short_pool = None

    def could_fit(self, sequence: Sequence) -> bool:
        """Whether a sequence could be given all it will need were it alone."""
        return sequence.max_tokens <= self._max_sequence_tokens

    def begin_step(self) -> None:
        """Say that a step is to be planned; the one before has been computed."""
        if self._sharing is not None:
            self._sharing.begin_step()

    def admit_head(self) -> Sequence | None:
        """Move the head of the queue to the running sequences if it gets room for its target.

        A head that was refused is not tried again before pages are released: nothing else makes
        room, so every try in between would fail alike.
        """
        if self.short_pool is not None:
            return None
        prefix = None if self._sharing is None else self.find_prefix()
        if prefix is not None and prefix.is_pending:
            return None
        terms = NO_TERMS if prefix is None else Terms(prefix=prefix)
        return self.admit(self.waiting.head().target_tokens, terms)

    def find_prefix(self, sequence: Sequence | None = None) -> Prefix | None:
        """What there is of the text of one that waits, by default the head; None if none is shared.

        Its last token is not looked for: one must be computed, so that the next can be made.
        """
        sequence = self.waiting.head() if sequence is None else sequence
        if self._sharing is None or sequence.content is None:
            return None
        return self._sharing.find_prefix(sequence.content, sequence.target_tokens - 1)

    def admit(self, tokens: int, terms: Terms = NO_TERMS) -> Sequence | None:
        """Move the head of the queue to the running sequences if it gets room for some tokens.

        A head may be refused step after step; it counts once until pages are released.
        """
        head = self.waiting.head()
        if self._control is not None:
            most = self._max_sequence_tokens
            terms = self._control.raised_within(most, terms, head, self.running)
        try:
            self._manager.admit(head.request_id, tokens, terms)
        except OutOfMemoryError as error:
            if self.short_pool is None:
                self.short_pool = self._shortages.record(self.now_ns, head, error)
            return None
        self.short_pool = None
        self.running.append(self.waiting.leave())
        head.account.admit(head)
        self._num_changes += 1
        self._num_admissions += 1
        head.place = self._num_admissions
        values = (head.request_id, tokens, head.preemptions)
        self._log.append(self.now_ns, EventKind.ADMISSION, *values)
        if head.computed_tokens:
            self._record(EventKind.SWAP_IN, head, *self.preemption.resume(head))
        if terms.prefix is not None and terms.prefix.tokens:
            head.computed_tokens = terms.prefix.tokens
            values = (head.computed_tokens, head.target_tokens, head.preemptions)
            self._record(EventKind.PREFIX_HIT, head, *values)
        return head

    def extend(self, sequence: Sequence, tokens: int = 1) -> bool:
        """Give a running sequence room for the tokens it is about to feed; False if refused."""
        self.decoding.part(sequence)
        if self._sharing is not None:
            self._sharing.trim(sequence.request_id)
        try:
            self._manager.extend(sequence.request_id, tokens)
        except OutOfMemoryError as error:
            self._shortages.record(self.now_ns, sequence, error)
            return False
        return True

    def extend_decoding(self, blamed: Sequence | None = None) -> bool:
        """Give all that decode room for the token each is about to feed; False if not for all.

        Nothing has changed then. The failure counts as that of who is blamed; without one it does
        not count, and who is refused shows when they are extended one by one.
        """
        try:
            self.decoding.cohort.extend()
        except OutOfMemoryError as error:
            if blamed is not None:
                self._shortages.record(self.now_ns, blamed, error)
            return False
        return True

    def preempt(self, sequence: Sequence, asked_by: Sequence | None = None) -> None:
        """Take a running sequence's pages and let it wait again; for whom, if one alone asked."""
        self.decoding.part(sequence)
        self.running.remove(sequence)
        self._release(sequence)
        for kind, values in self.preemption.suspend(sequence):
            self._record(kind, sequence, *values)
        if asked_by is not None and self._log.header.tenants:
            self._record(EventKind.MADE_WAY, sequence, asked_by.request_id)
        self.waiting.rejoin(sequence)

    def reject_running(self, sequence: Sequence) -> None:
        """Refuse a running sequence that has outgrown all of memory."""
        self.decoding.part(sequence)
        self.running.remove(sequence)
        self._release(sequence)
        self.refuse(sequence, RejectionReason.OUTGREW)

    def reject_head(self) -> None:
        """Refuse the head of the queue, which got no room though nothing else holds any."""
        self.short_pool = None
        self.preemption.drop(self.waiting.head())
        self.refuse(self.waiting.leave(), RejectionReason.OUTGREW)

    def refuse(self, sequence: Sequence, reason: RejectionReason) -> None:
        """End a sequence that neither waits nor runs any more; it gets no more tokens."""
        self.num_ended += 1
        sequence.account.present -= 1
        values = (reason, sequence.max_tokens, self._max_sequence_tokens)
        self._record(EventKind.REJECTION, sequence, *values)

    def finish_step(self, plan: StepPlan, steps: int = 1) -> None:
        """Credit what a step has computed; who has all its tokens completes, in running order.

        Args:
            plan: What was computed.
            steps: How often its sequences decoded; 1 if there are chunks.
        """
        completed = self.decoding.advance(steps) if plan.together else []
        for sequence in () if plan.together else plan.decodes:
            sequence.computed_tokens += 1
            if self._make_token(sequence):
                completed.append(sequence)
        for sequence, tokens, _ in plan.chunks:
            if sequence.compute(tokens) and self._make_token(sequence):
                completed.append(sequence)
            elif self._sharing is not None:
                self._sharing.keep(sequence.request_id, sequence.computed_tokens)
        if len(completed) > 1 and plan.chunks:
            completed.sort(key=PLACE)
        for sequence in completed:
            self._complete(sequence)

    def record_chunk(self, sequence: Sequence, tokens: int) -> None:
        """Log the start of a chunk."""
        values = (sequence.request_id, tokens, sequence.computed_tokens)
        self._log.append(self.now_ns, EventKind.CHUNK, *values)

    def _make_token(self, sequence: Sequence) -> bool:
        """Credit a sequence with a token; True if it is the last, else it decodes with the rest."""
        number = sequence.make_token()
        if number == 1:
            self._log.append(self.now_ns, EventKind.FIRST_TOKEN, sequence.request_id)
        if number == sequence.output_tokens:
            return True
        self.decoding.join(sequence)
        return False

    def _complete(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._release(sequence, has_ended=True)
        self.num_ended += 1
        sequence.account.present -= 1
        if self._control is not None:
            self._control.completed(sequence)
        values = (sequence.made_tokens, sequence.preemptions, sequence.failed_allocations)
        self._log.append(self.now_ns, EventKind.COMPLETION, sequence.request_id, *values)

    def _release(self, sequence: Sequence, *, has_ended: bool = False) -> None:
        sharing = self._sharing if has_ended else None
        (self._manager.release if sharing is None else sharing.retire)(sequence.request_id)
        sequence.account.release(sequence)
        self.waiting.reconsider()
        self._num_changes += 1
        self.short_pool = None

    def _record(self, kind: EventKind, sequence: Sequence, *values: int) -> None:
        self._log.append(self.now_ns, kind, sequence.request_id, *values)
