"""Move capacity towards the split that the traffic seen so far would need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.rebalance.policy import Shortage
    from allocator.spec import CacheSpec

WEIGHT = 1 / 16
"""Weight of the latest sequence in the running mean: about the last 16 count."""

STATE_POOL = 1


class Predictive:
    """When a pool is short, moves it to its share of the budget under the learnt mix.

    Knows what an engine knows at that moment: the lengths that sequences were admitted with, and
    those they had when they were released; never the future. It assumes that the next sequences
    are about as long as the last ones, and that the budget will be full of them: then n sequences
    of L tokens need n x state bytes and n x L x KV bytes, which gives each pool its share.
    """

    def __init__(self, spec: CacheSpec) -> None:
        self._state_bytes = spec.bytes_per_sequence()
        self._token_bytes = spec.bytes_per_token()
        self._mean_tokens: float | None = None
        self._has_lengths = False  # final lengths, not only those at admission

    def on_shortage(self, shortage: Shortage) -> int:
        """See `RebalancePolicy.on_shortage`."""
        due = int(self._share(shortage.recipient) * shortage.total_units)
        return shortage.move(max(0, due - shortage.recipient_units))

    def on_admission(self, tokens: int) -> None:
        """A first idea of lengths, until sequences have ended."""
        if not self._has_lengths:
            self._learn(tokens)

    def on_release(self, tokens: int) -> None:
        """A sequence's length at its end (or when it was preempted)."""
        if not self._has_lengths:
            self._has_lengths, self._mean_tokens = True, None
        self._learn(tokens)

    def _learn(self, tokens: int) -> None:
        mean = self._mean_tokens
        self._mean_tokens = tokens if mean is None else mean + WEIGHT * (tokens - mean)

    def _share(self, pool: int) -> float:
        """Share of the budget that a pool needs; nothing before the first sequence."""
        if self._mean_tokens is None:
            return 0.0
        kv_bytes = self._mean_tokens * self._token_bytes
        state_share = self._state_bytes / (self._state_bytes + kv_bytes)
        return state_share if pool == STATE_POOL else 1 - state_share
