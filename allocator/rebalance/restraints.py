"""What holds capacity back: one direction only, no hasty return."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.rebalance.policy import RebalancePolicy, Shortage


class Direction(Enum):
    """Which way capacity may move."""

    BOTH = "both"
    TO_KV = "to-kv"
    TO_STATE = "to-state"

    def allows(self, recipient: int) -> bool:
        """Whether a pool, KV (0) or state (1), may gain what the other has."""
        return self is Direction.BOTH or self is (Direction.TO_KV, Direction.TO_STATE)[recipient]


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

    def on_shortage(self, shortage: Shortage) -> int:
        """See `RebalancePolicy.on_shortage`."""
        turns = self._last_recipient not in (None, shortage.recipient)
        is_soon = shortage.operation - self._last_operation < self._operations
        units = shortage.move() if turns and is_soon else self._inner.on_shortage(shortage)
        if units:
            self._last_recipient = shortage.recipient
            self._last_operation = shortage.operation
        return units

    def on_admission(self, tokens: int) -> None:
        """See `RebalancePolicy.on_admission`."""
        self._inner.on_admission(tokens)

    def on_release(self, tokens: int) -> None:
        """See `RebalancePolicy.on_release`."""
        self._inner.on_release(tokens)
