"""Where SGLang leaves states: the two strategies of its mamba radix cache, as arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class StateMarks(Protocol):
    """Says which of a sequence's states is kept."""

    @property
    def num_tracked(self) -> int:
        """Slots that a sequence holds beside its own, for states that may be kept."""

    def of_chunk(self, start: int, end: int, fork: int) -> int:
        """Tokens up to which a text is kept after a chunk; 0 if nothing is.

        Args:
            start: Tokens computed before the chunk.
            end: Tokens computed after it.
            fork: Tokens up to which the text has KV in the tree but no state; 0 if it has none.
        """

    def of_end(self, start: int, end: int) -> int:
        """Tokens up to which a text is kept when it ends, decoded from start to end; or 0."""


@dataclass(frozen=True, slots=True)
class LastState:
    """`no_buffer`: the state that there is when a chunk or a text ends, wherever that is.

    After a chunk it is copied, at the end the sequence leaves its own. Models without states keep
    all their KV by the same rule.
    """

    num_tracked: int = 0

    def of_chunk(self, start: int, end: int, fork: int) -> int:
        """See `StateMarks.of_chunk`."""
        del start, fork
        return end

    def of_end(self, start: int, end: int) -> int:
        """See `StateMarks.of_end`."""
        del start
        return end


@dataclass(frozen=True, slots=True)
class TrackedStates:
    """`extra_buffer`: kernels write states of some places aside as they pass them.

    In a chunk that is the last whole multiple of the grid from its start on, or where texts part
    if that lies before; in decoding every multiple of the interval.

    Attributes:
        grid_tokens: Distance of the states that a prefill kernel can give (its chunk size).
        interval_tokens: Distance of those that decoding leaves.
        num_tracked: Slots for them: 1, or 2 with overlap scheduling.
    """

    grid_tokens: int
    interval_tokens: int
    num_tracked: int

    def of_chunk(self, start: int, end: int, fork: int) -> int:
        """See `StateMarks.of_chunk`."""
        grid = self.grid_tokens
        mark = start + (end - start) // grid * grid
        parting = fork - fork % grid
        if start < parting < mark and (parting - start) % grid == 0:
            return parting
        return mark if mark > start else 0

    def of_end(self, start: int, end: int) -> int:
        """See `StateMarks.of_end`."""
        mark = end - end % self.interval_tokens
        return mark if mark > start else 0
