"""Ranks of sequences that wait: what a queue keeps that has to part tenants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.request import Sequence

    Rank = Callable[[Sequence], tuple[int, ...]]


class Order(ABC):
    """Gives sequences ranks as they come to wait; ranks differ, and the lowest goes first."""

    @abstractmethod
    def of_arrival(self, sequence: Sequence) -> tuple[int, ...]:
        """The rank of a sequence that has arrived."""

    @abstractmethod
    def of_return(self, sequence: Sequence) -> tuple[int, ...]:
        """The rank of a sequence that has lost its pages."""


class ArrivalOrder(Order):
    """First come, first served; who has lost its pages goes to the front."""

    def __init__(self) -> None:
        self._num_behind = 0
        self._num_before = 0

    def of_arrival(self, sequence: Sequence) -> tuple[int, ...]:
        """See `Order.of_arrival`: behind all so far."""
        del sequence
        self._num_behind += 1
        return (self._num_behind,)

    def of_return(self, sequence: Sequence) -> tuple[int, ...]:
        """See `Order.of_return`: before all so far."""
        del sequence
        self._num_before -= 1
        return (self._num_before,)


class TailOrder(ArrivalOrder):
    """First come, first served; who has lost its pages comes again, after all others."""

    def of_return(self, sequence: Sequence) -> tuple[int, ...]:
        """See `Order.of_return`: behind all so far."""
        return self.of_arrival(sequence)


class RankOrder(Order):
    """By a rank of the sequence's own, which does not change while it waits."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    def of_arrival(self, sequence: Sequence) -> tuple[int, ...]:
        """See `Order.of_arrival`."""
        return self._rank(sequence)

    def of_return(self, sequence: Sequence) -> tuple[int, ...]:
        """See `Order.of_return`."""
        return self._rank(sequence)
