"""Requests enter the engine: at the times of a trace, or when clients become free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import simpy

    from traces.record import Request, Trace


class Door(Protocol):
    """Where requests enter."""

    @property
    def env(self) -> simpy.Environment:
        """The simulation."""

    def enter(self, requests: list[Request]) -> None:
        """Take requests that arrive now."""


class OpenLoop:
    """Arrivals at the times of the trace, whatever the engine does.

    Attributes:
        next_ns: When the next requests enter; None once all have.
    """

    def __init__(self, trace: Trace) -> None:
        self._requests: Iterator[Request] = iter(trace)
        self._next = next(self._requests, None)
        self.next_ns = None if self._next is None else self._next.arrival_ns

    def process(self, door: Door) -> Generator[simpy.Event, None, None]:
        """SimPy process: requests of one instant enter together."""
        env = door.env
        while (arrival_ns := self.next_ns) is not None:
            yield env.timeout(arrival_ns - env.now)
            due = []
            while self.next_ns == arrival_ns:
                due.append(self.take())
            door.enter(due)

    def take(self) -> Request:
        """The next request; there must be one."""
        assert self._next is not None  # noqa: S101 - as asked for
        taken, self._next = self._next, next(self._requests, None)
        self.next_ns = None if self._next is None else self._next.arrival_ns
        return taken

    def ended(self, count: int) -> list[Request]:
        """Requests that arrive because others ended: none."""
        del count
        return []


class ClosedLoop:
    """N clients that each send their next request when their last one ends.

    Attributes:
        next_ns: None: who ends next, and when, is not known beforehand.
    """

    next_ns = None

    def __init__(self, trace: Trace) -> None:
        self._num_clients = trace.closed_loop_clients
        self._requests: Iterator[Request] = iter(trace)

    def process(self, door: Door) -> Generator[simpy.Event, None, None]:
        """SimPy process: every client sends its first request at once."""
        yield door.env.timeout(0)
        door.enter(self.ended(self._num_clients))

    def ended(self, count: int) -> list[Request]:
        """The next requests of clients whose last one ended."""
        return [request for _, request in zip(range(count), self._requests, strict=False)]

    def take(self) -> Request:
        """The next request; StopIteration if there is none."""
        return next(self._requests)


Arrivals = OpenLoop | ClosedLoop


def arrivals_of(trace: Trace) -> Arrivals:
    """The arrivals of a trace: a closed loop if it names clients, else open."""
    return ClosedLoop(trace) if trace.closed_loop_clients else OpenLoop(trace)
