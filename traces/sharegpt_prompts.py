"""The paper's replay of ShareGPT prompts: lengths drawn from a file of prompt token counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.content import read_bytes
from traces.record import TraceError
from traces.ticks import TickPreset, TickStream
from traces.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

    from traces.record import Int64Array

COLUMN = "prompt_tokens"
MOST_DIGITS = 9
PROMPT_RANGE = (16, 4096)
OUTPUT_RANGE = (32, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGptReplay(TickPreset):
    """Prompts drawn with replacement, outputs log-normal(4.5, 1); paper seeds 4 to 6.

    It stands beside the presets rather than among them, since it needs the counts of a file.

    Attributes:
        counts: Prompt tokens to draw from, in the order of the file.
        n: Requests.
    """

    name: ClassVar[str] = "sharegpt-replay"
    description: ClassVar[str] = "512 requests with prompts from a file, one a tick (paper)"

    counts: tuple[int, ...]
    n: int = 512

    def __post_init__(self) -> None:
        """Check nothing: the counts were checked when they were read."""

    @property
    def label(self) -> str:
        """Name, seed and size; the counts are too many to spell out."""
        return f"{self.name}:seed={self.seed},n={self.n}"

    def ticks(self) -> TickStream:
        """Draw prompts, then outputs."""
        rng = np.random.default_rng(self.seed)
        drawn = rng.choice(np.array(self.counts, dtype=np.int64), self.n, replace=True)
        output = rng.lognormal(4.5, 1.0, self.n).astype(np.int64).clip(*OUTPUT_RANGE)
        return TickStream(np.arange(self.n, dtype=np.int64), drawn.clip(*PROMPT_RANGE), output)


def read_prompt_counts(path: Path) -> Int64Array:
    """Prompt token counts of a file with one column, `prompt_tokens`; int64, shape (n,).

    Raises:
        TraceError: If it cannot be read, or a line is no whole number above 0.
    """
    header, *lines = read_bytes(path).decode().split()
    if header != COLUMN:
        raise TraceError(f"{path}:1 must be the name of the one column, {COLUMN}, not {header!r}")
    if not lines:
        raise TraceError(f"{path} holds no counts below its column's name")
    return np.array([_count(path, i, line) for i, line in enumerate(lines, 2)], dtype=np.int64)


def _count(path: Path, number: int, line: str) -> int:
    if not line.isdecimal() or len(line) > MOST_DIGITS or int(line) < 1:
        raise TraceError(
            f"{path}:{number} must be a whole number of tokens above 0, not {shown(line)}"
        )
    return int(line)
