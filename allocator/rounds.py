"""A count that many tokens follow, so that one addition adds to all of them."""

from __future__ import annotations


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
