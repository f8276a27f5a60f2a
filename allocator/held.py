"""What one sequence holds in pools of pages, by count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.rounds import STANDING

if TYPE_CHECKING:
    from allocator.rounds import Rounds


class Held:
    """What one sequence holds: its seat, and tokens that have room.

    It has room for a whole number of blocks, the fewest that hold its tokens.

    Attributes:
        seat: The number that its pages are held by; see `Register`.
        tokens_beside: Those of its tokens that are not counted by the rounds it follows.
    """

    __slots__ = ("_rounds", "seat", "tokens_beside")

    def __init__(self, seat: int, tokens: int) -> None:
        self.seat = seat
        self.tokens_beside = tokens
        self._rounds = STANDING

    @property
    def tokens(self) -> int:
        """Tokens that have room."""
        return self.tokens_beside + self._rounds.count

    @tokens.setter
    def tokens(self, tokens: int) -> None:
        self.tokens_beside = tokens - self._rounds.count

    def follow(self, rounds: Rounds) -> None:
        """Let tokens rise with a count of rounds from now on."""
        self.tokens_beside += self._rounds.count - rounds.count
        self._rounds = rounds
