"""What one sequence holds in pools of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.rounds import STANDING

if TYPE_CHECKING:
    from allocator.rounds import Rounds
    from allocator.run import Run


class Held:
    """What one sequence holds: tokens, room for how many, and entries of each group as runs."""

    __slots__ = ("_rounds", "_tokens", "entries", "room_tokens")

    def __init__(self, num_groups: int) -> None:
        self._tokens = 0  # beside the rounds it follows
        self._rounds = STANDING
        self.room_tokens = 0  # a whole number of blocks, the same in every attention group
        self.entries: list[list[Run]] = [[] for _ in range(num_groups)]

    @property
    def tokens(self) -> int:
        """Tokens that have room."""
        return self._tokens + self._rounds.count

    @tokens.setter
    def tokens(self, tokens: int) -> None:
        self._tokens = tokens - self._rounds.count

    def follow(self, rounds: Rounds) -> None:
        """Let tokens rise with a count of rounds from now on."""
        self._tokens += self._rounds.count - rounds.count
        self._rounds = rounds
