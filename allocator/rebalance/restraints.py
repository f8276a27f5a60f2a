"""Restraints that wrap any policy: one direction only, and no hasty return."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.rebalance.policy import RebalancePolicy, Shortage, SpanMove


class Direction(Enum):
    """Which way capacity may move."""

    BOTH = "both"
    TO_KV = "to-kv"
    TO_STATE = "to-state"


RECIPIENTS = {Direction.TO_KV: 0, Direction.TO_STATE: 1}


class OneWay:
    """Lets capacity move in one direction only; the paper's prototype only ever moved to KV."""

    def __init__(self, inner: RebalancePolicy, direction: Direction) -> None:
        self._inner = inner
        self._recipient = RECIPIENTS[direction]

    def on_shortage(self, shortage: Shortage) -> SpanMove | None:
        """See `RebalancePolicy.on_shortage`; the reserve may go either way."""
        if shortage.recipient_number != self._recipient and shortage.lacking_granules:
            return None
        return self._inner.on_shortage(shortage)

    def on_admission(self, tokens: int) -> None:
        """See `RebalancePolicy.on_admission`."""
        self._inner.on_admission(tokens)

    def on_release(self, tokens: int) -> None:
        """See `RebalancePolicy.on_release`."""
        self._inner.on_release(tokens)


class Hysteresis:
    """Soon after a move one way, moves the other way only what is needed.

    A batch that is moved to and fro costs mappings for nothing. What the call needs still moves:
    to refuse it would turn thrift into a failed allocation.
    """

    def __init__(self, inner: RebalancePolicy, operations: int) -> None:
        self._inner = inner
        self._operations = operations
        self._last_recipient: int | None = None
        self._last_operation = 0

    def on_shortage(self, shortage: Shortage) -> SpanMove | None:
        """See `RebalancePolicy.on_shortage`."""
        turns = self._last_recipient not in (None, shortage.recipient_number)
        is_soon = shortage.operation - self._last_operation < self._operations
        move = shortage.move() if turns and is_soon else self._inner.on_shortage(shortage)
        if move is not None and move.donor_spans:
            self._last_recipient = shortage.recipient_number
            self._last_operation = shortage.operation
        return move

    def on_admission(self, tokens: int) -> None:
        """See `RebalancePolicy.on_admission`."""
        self._inner.on_admission(tokens)

    def on_release(self, tokens: int) -> None:
        """See `RebalancePolicy.on_release`."""
        self._inner.on_release(tokens)
