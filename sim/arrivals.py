"""Requests enter the engine: at the times of a trace, or when clients become free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import simpy

    from traces.record import Request, Trace


class Door(Protocol):
    """Where requests enter."""

    env: simpy.Environment

    def enter(self, requests: list[Request]) -> None:
        """Take requests that arrive now."""


class OpenLoop:
    """Arrivals at the times of the trace, whatever the engine does."""

    def __init__(self, trace: Trace) -> None:
        self._requests: Iterator[Request] = iter(trace)

    def process(self, door: Door) -> Generator[simpy.Event, None, None]:
        """SimPy process: requests of one instant enter together."""
        due: list[Request] = []
        for request in self._requests:
            if due and request.arrival_ns > due[0].arrival_ns:
                yield door.env.timeout(due[0].arrival_ns - door.env.now)
                door.enter(due)
                due = []
            due.append(request)
        yield door.env.timeout(due[0].arrival_ns - door.env.now)
        door.enter(due)

    def ended(self, count: int) -> list[Request]:
        """Requests that arrive because others ended: none."""
        del count
        return []


class ClosedLoop:
    """N clients that each send their next request when their last one ends."""

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


Arrivals = OpenLoop | ClosedLoop


def arrivals_of(trace: Trace) -> Arrivals:
    """The arrivals of a trace: a closed loop if it names clients, else open."""
    return ClosedLoop(trace) if trace.closed_loop_clients else OpenLoop(trace)
