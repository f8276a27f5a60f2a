"""A count that many tokens follow, so that one addition adds to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Rounds:
    """Rounds so far.

    Attributes:
        count: How many.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


STANDING = Rounds()
"""What is followed by whoever grows on its own; it is never advanced."""


def by_round(seats: Sequence[int], sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    """The seats of each of several rounds, which are so many each and lie end to end."""
    first = 0
    for size in sizes:
        yield seats[first : first + size]
        first += size
