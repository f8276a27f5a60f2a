"""The paper's harness: requests come and go by a tick clock, whatever becomes of their memory.

A request arrives, is given pages for its prompt and its state layer by layer, grows as tokens are
generated, and leaves after as many ticks as it has prompt and output tokens. There is no queue,
no scheduler and no batch limit, so all of a trace's requests may overlap, and time does not depend
on what an allocator does (arXiv 2605.22416; the readings are in `docs/validation.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import simpy

from allocator.interface import OutOfMemoryError
from allocator.paper.interface import KV, STATE
from allocator.spec import ceil_div
from sim.event_log import NO_SUBJECT, EventKind, EventLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.interface import Migration
    from allocator.paper.interface import LayerAllocator, Witness
    from sim.event_log import LogHeader
    from traces.ticks import TickStream

# At one tick departures come first, then growth, then arrivals; equals go by number of request.
DEPARTURE_RANK, GROWTH_RANK, ARRIVAL_RANK = 0, 1, 2
EVENTS_PER_SAMPLE = 100


@dataclass(frozen=True, slots=True)
class LayerCalls:
    """The calls that a request makes.

    Attributes:
        attention_layers: KV calls of a prompt, and of every page that output opens.
        state_layers: State calls of a prompt, of a page each.
        page_tokens: Tokens of a KV page.
    """

    attention_layers: int
    state_layers: int
    page_tokens: int


class Reaction(Protocol):
    """What becomes of a request to which something happened."""

    def apply(self, loop: OpenLoopRun, request: int) -> None:
        """Let it live on, or end it."""


class CarryOn:
    """The request goes on as if nothing had happened (the paper)."""

    def apply(self, loop: OpenLoopRun, request: int) -> None:
        """Do nothing."""


class GiveUp:
    """The request ends at once, gives back all it holds, and does not complete."""

    def apply(self, loop: OpenLoopRun, request: int) -> None:
        """End it."""
        loop.end(request)


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What a run is made of, besides the stream.

    Attributes:
        header: What a reader of its log must know.
        calls: The calls that a request makes.
        build: Makes the allocator, which tells the run what it does to others.
        after_failure: What becomes of a request when one of its calls fails.
        after_eviction: What becomes of a request that loses its pages.
    """

    header: LogHeader
    calls: LayerCalls
    build: Callable[[Witness], LayerAllocator]
    after_failure: Reaction
    after_eviction: Reaction

    def run(self, stream: TickStream) -> EventLog:
        """Run a stream to its end; a tick of it is a nanosecond of the log."""
        return OpenLoopRun(self, stream).run()


class _Life:
    """A request between arrival and departure."""

    __slots__ = ("failures", "losses", "output_tokens")

    def __init__(self, output_tokens: int) -> None:
        self.output_tokens = output_tokens
        self.failures = 0
        self.losses = 0


class _Happening(simpy.Event):
    """Something that happens to a request at a tick."""

    def __init__(self, run: OpenLoopRun, delay: int, rank: int, request: int) -> None:
        self.env = run.env
        self.request = request
        self.callbacks = run.reactions[rank]
        self._ok = True
        self._value = None
        order = rank * run.num_requests + request
        self.env.schedule(self, order, delay)  # type: ignore[arg-type] # any integer orders


class OpenLoopRun:
    """One run; the witness of its allocator.

    Attributes:
        env: SimPy's environment; its time is in ticks.
        num_requests: Requests of the stream.
        reactions: What a happening of each rank calls.
        log: What has happened.
    """

    def __init__(self, loop: OpenLoop, stream: TickStream) -> None:
        self.env = simpy.Environment()
        self.log = EventLog(loop.header)
        self.num_requests = len(stream.arrival_ticks)
        acts = (self._depart, self._grow, self._arrive)
        self.reactions: tuple[list[Callable[[Any], None]], ...] = tuple(
            [act, self._count] for act in acts
        )
        self._loop = loop
        self._allocator = loop.build(self)
        self._arrivals = stream.arrival_ticks.tolist()
        self._prompts = stream.prompt_tokens.tolist()
        self._outputs = stream.output_tokens.tolist()
        self._live: dict[int, _Life] = {}
        self._num_events = 0
        self._peak_bytes = 0

    def run(self) -> EventLog:
        """Run to the last departure; returns the log."""
        for request, tick in enumerate(self._arrivals):
            _Happening(self, tick, ARRIVAL_RANK, request)
        self.env.run()
        self._sample()
        self._append(EventKind.END, NO_SUBJECT, self._peak_bytes, self._allocator.footprint_bytes())
        return self.log

    def end(self, request: int) -> None:
        """End a request before its departure; it gives back all it holds."""
        if self._live.pop(request, None) is not None:
            self._allocator.release(request)

    def evicted(self, victim: int, pool: int, num_pages: int, asker: int) -> None:
        """See `Witness.evicted`."""
        self._lose(EventKind.EVICTION, victim, (pool, num_pages, asker))

    def freed_by_other(self, owner: int, pool: int, num_pages: int, caller: int) -> None:
        """See `Witness.freed_by_other`."""
        self._lose(EventKind.FREED_BY_OTHER, owner, (pool, num_pages, caller))

    def migrated(self, migration: Migration) -> None:
        """See `Witness.migrated`."""
        moved = (migration.donor, migration.recipient, migration.num_bytes)
        self._append(EventKind.MIGRATION, NO_SUBJECT, *moved)

    def migration_blocked(self, recipient: int) -> None:
        """See `Witness.migration_blocked`."""
        self._append(EventKind.MIGRATION_BLOCKED, NO_SUBJECT, 0, recipient)

    def _arrive(self, event: _Happening) -> None:
        request, calls = event.request, self._loop.calls
        prompt, output = self._prompts[request], self._outputs[request]
        self._live[request] = _Life(output)
        self._append(EventKind.ARRIVAL, request, prompt, output)
        _Happening(self, prompt + output, DEPARTURE_RANK, request)
        for step in range(-prompt % calls.page_tokens, output, calls.page_tokens):
            _Happening(self, prompt + step + 1, GROWTH_RANK, request)
        self._ask(request, KV, ceil_div(prompt, calls.page_tokens), calls.attention_layers)
        self._ask(request, STATE, 1, calls.state_layers)

    def _grow(self, event: _Happening) -> None:
        self._ask(event.request, KV, 1, self._loop.calls.attention_layers)

    def _depart(self, event: _Happening) -> None:
        life = self._live.pop(event.request, None)
        if life is not None:
            self._allocator.release(event.request)
            how = (life.output_tokens, life.losses, life.failures)
            self._append(EventKind.COMPLETION, event.request, *how)

    def _ask(self, request: int, group: int, count: int, layers: int) -> None:
        """Call once a layer, as long as the request lives."""
        live, allocate = self._live, self._allocator.allocate
        if request not in live:
            return
        for _ in range(layers):
            try:
                allocate(request, group, count)
            except OutOfMemoryError as error:
                self._fail(request, group, error)
            if request not in live:
                self._allocator.release(request)  # its own call may have ended it, and succeeded
                return

    def _fail(self, request: int, group: int, error: OutOfMemoryError) -> None:
        life = self._live.get(request)
        if life is not None:
            life.failures += 1
        self._append(EventKind.OOM, request, group, error.asked, error.free)
        self._loop.after_failure.apply(self, request)

    def _lose(self, kind: EventKind, request: int, how: tuple[int, int, int]) -> None:
        self._append(kind, request, *how)
        life = self._live.get(request)
        if life is not None:
            life.losses += 1
            self._loop.after_eviction.apply(self, request)

    def _count(self, event: _Happening) -> None:
        del event
        self._num_events += 1
        if self._num_events % EVENTS_PER_SAMPLE == 0:
            self._sample()

    def _sample(self) -> None:
        pools = self._allocator.pools()
        granted = sum(pool.num_live * pool.page_bytes for pool in pools)
        self._peak_bytes = max(self._peak_bytes, granted)
        self._append(EventKind.QUEUE_SAMPLE, NO_SUBJECT, len(self._live), 0, granted)
        for number, pool in enumerate(pools):
            self._append(EventKind.POOL_SAMPLE, number, pool.num_live, pool.num_pages)

    def _append(self, kind: EventKind, subject: int, *values: int) -> None:
        self.log.append(int(self.env.now), kind, subject, *values)
