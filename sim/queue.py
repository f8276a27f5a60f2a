"""Sequences that wait for memory, in the order in which they are to get it."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from sim.order import ArrivalOrder, RankOrder, TailOrder
from sim.tenant_queue import TenantQueue
from sim.waiting import WaitingQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.order import Rank
    from sim.request import Sequence


class ArrivalQueue(deque["Sequence"], WaitingQueue):
    """First come, first served; who has lost its pages goes to the front."""

    def with_quotas(self) -> WaitingQueue:
        """See `WaitingQueue.with_quotas`."""
        return TenantQueue(ArrivalOrder())

    def join(self, sequence: Sequence) -> bool:
        """See `WaitingQueue.join`: at the end."""
        self.append(sequence)
        return len(self) == 1

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`: at the front, so several victims end up in their old order."""
        self.appendleft(sequence)

    def head(self) -> Sequence:
        """See `WaitingQueue.head`."""
        return self[0]

    def leave(self) -> Sequence:
        """See `WaitingQueue.leave`."""
        return self.popleft()


class TailQueue(ArrivalQueue):
    """First come, first served; who has lost its pages comes again, after all others."""

    def with_quotas(self) -> WaitingQueue:
        """See `WaitingQueue.with_quotas`."""
        return TenantQueue(TailOrder())

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`: at the end."""
        self.join(sequence)


class SortedQueue(TailQueue):
    """A `TailQueue` that is put into another order now and then, and stays in it."""

    def with_quotas(self) -> WaitingQueue:
        """See `WaitingQueue.with_quotas`: it cannot.

        Raises:
            ValueError: Always.
        """
        raise ValueError("a queue that is sorted now and then (policy=lpm) knows no quotas")

    def sort(self, rank: Callable[[Sequence], float]) -> None:
        """The lowest rank first; equal ranks stay in the order they are in."""
        in_order = sorted(self, key=rank)
        self.clear()
        self.extend(in_order)


class RankedQueue(WaitingQueue):
    """The lowest rank first; ranks must differ and stay as they are while a sequence waits."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._heap: list[tuple[tuple[int, ...], Sequence]] = []

    def with_quotas(self) -> WaitingQueue:
        """See `WaitingQueue.with_quotas`."""
        return TenantQueue(RankOrder(self._rank))

    def join(self, sequence: Sequence) -> bool:
        """See `WaitingQueue.join`."""
        heapq.heappush(self._heap, (self._rank(sequence), sequence))
        return self.head() is sequence

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
