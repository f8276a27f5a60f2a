"""Sequences that wait for memory, in the order in which they are to get it."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.request import Sequence

    Rank = Callable[[Sequence], tuple[int, ...]]


class WaitingQueue(ABC):
    """Where sequences wait; a scheduler says of which kind."""

    @abstractmethod
    def join(self, sequence: Sequence) -> None:
        """Let a sequence that has arrived wait."""

    @abstractmethod
    def rejoin(self, sequence: Sequence) -> None:
        """Let a sequence wait that has lost its pages."""

    @abstractmethod
    def head(self) -> Sequence:
        """The one whose turn it is; IndexError if nobody waits."""

    @abstractmethod
    def leave(self) -> Sequence:
        """Take the head out; IndexError if nobody waits."""

    @abstractmethod
    def __len__(self) -> int:
        """How many wait."""

    @abstractmethod
    def __iter__(self) -> Iterator[Sequence]:
        """All that wait, head first."""


class ArrivalQueue(WaitingQueue):
    """First come, first served; who has lost its pages goes to the front."""

    def __init__(self) -> None:
        self._sequences: deque[Sequence] = deque()

    def join(self, sequence: Sequence) -> None:
        """See `WaitingQueue.join`: at the end."""
        self._sequences.append(sequence)

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`: at the front, so several victims end up in their old order."""
        self._sequences.appendleft(sequence)

    def head(self) -> Sequence:
        """See `WaitingQueue.head`."""
        return self._sequences[0]

    def leave(self) -> Sequence:
        """See `WaitingQueue.leave`."""
        return self._sequences.popleft()

    def __len__(self) -> int:
        return len(self._sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._sequences)


class TailQueue(ArrivalQueue):
    """First come, first served; who has lost its pages comes again, after all others."""

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`: at the end."""
        self.join(sequence)


class SortedQueue(TailQueue):
    """A `TailQueue` that is put into another order now and then, and stays in it."""

    def sort(self, rank: Callable[[Sequence], float]) -> None:
        """The lowest rank first; equal ranks stay in the order they are in."""
        self._sequences = deque(sorted(self._sequences, key=rank))


class RankedQueue(WaitingQueue):
    """The lowest rank first; ranks must differ and stay as they are while a sequence waits."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._heap: list[tuple[tuple[int, ...], Sequence]] = []

    def join(self, sequence: Sequence) -> None:
        """See `WaitingQueue.join`."""
        heapq.heappush(self._heap, (self._rank(sequence), sequence))

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`: by its rank, like any other."""
        self.join(sequence)

    def head(self) -> Sequence:
        """See `WaitingQueue.head`."""
        return self._heap[0][1]

    def leave(self) -> Sequence:
        """See `WaitingQueue.leave`."""
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Sequence]:
        return (sequence for _, sequence in sorted(self._heap, key=lambda entry: entry[0]))
