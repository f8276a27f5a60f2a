"""Move capacity before a call is short of it, while the device is busy with a step."""

from __future__ import annotations

WEIGHT = 1 / 8
"""Weight of the latest sequence in the running mean of what admissions take."""

GROWTH_STEPS = 4
"""Steps' growth that should be at hand: a batch of like lengths crosses blocks in waves."""


class Ahead:
    """Tells how many blocks the calls before the next chance to move may take.

    Knows what an engine knows at that moment: the head of the queue, or while nobody waits what
    admissions took so far on the whole; and by how much running sequences grew since the last
    chance. It assumes that growth goes on as it did.
    """

    def __init__(self) -> None:
        self._mean_admission = 0.0
        self._num_admitted = 0  # blocks given to admissions since the last chance
        self._num_granted = 0  # blocks given in all until then

    def on_admission(self, blocks: int) -> None:
        """A sequence was admitted with so many blocks."""
        self._num_admitted += blocks
        self._mean_admission += WEIGHT * (blocks - self._mean_admission)

    def wanted_blocks(self, next_blocks: int, num_granted: int) -> tuple[int, int]:
        """Blocks that should be free for the next admission (0: for none), and for growth.

        Args:
            next_blocks: Blocks that the head of the queue asks for; 0 if nobody waits.
            num_granted: Blocks ever granted, to admissions and to growth.
        """
        grown = num_granted - self._num_granted - self._num_admitted
        self._num_granted, self._num_admitted = num_granted, 0
        return next_blocks or round(self._mean_admission), GROWTH_STEPS * grown
