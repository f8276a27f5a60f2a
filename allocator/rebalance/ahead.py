"""Move capacity before a call is short of it, while the device is busy with a step."""

from __future__ import annotations

WEIGHT = 1 / 8
"""Weight of the latest sequence in the running mean of what admissions take."""


class Ahead:
    """Tells how many blocks the calls before the next chance to move may take.

    Knows what an engine knows at that moment: the head of the queue, or while nobody waits what
    admissions took so far on the whole. It assumes that every running sequence may come to need
    one more block.
    """

    def __init__(self) -> None:
        self._mean_admission = 0.0

    def on_admission(self, blocks: int) -> None:
        """A sequence was admitted with so many blocks."""
        self._mean_admission += WEIGHT * (blocks - self._mean_admission)

    def admission_blocks(self, next_blocks: int) -> int:
        """Blocks of the next admission: the head of the queue's, unless 0, else the usual."""
        return next_blocks or round(self._mean_admission)
