"""Who loses its pages when memory is full: rules that a scheduler can be given."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.request import Sequence


class Victim(Enum):
    """Names of the rules."""

    LATEST = "latest"
    FEWEST_OUTPUTS = "fewest-outputs"
    LONGEST = "longest"


def _latest(sequence: Sequence) -> tuple[int, int]:
    """Admitted last."""
    return sequence.place, 0


def _fewest_outputs(sequence: Sequence) -> tuple[int, int]:
    """Fewest output tokens made; of equals the one admitted last."""
    return -sequence.made_tokens, sequence.place


def _longest(sequence: Sequence) -> tuple[int, int]:
    """Most tokens, so most pages; of equals the one admitted last."""
    return sequence.total_tokens, sequence.place


RULES: dict[Victim, Callable[[Sequence], tuple[int, int]]] = {
    Victim.LATEST: _latest,
    Victim.FEWEST_OUTPUTS: _fewest_outputs,
    Victim.LONGEST: _longest,
}
"""By each rule the running sequence with the greatest key makes way."""
