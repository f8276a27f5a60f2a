"""Lengths like ShareGPT conversations cut at 8k tokens, made from their summary figures alone.

Matched are mean, median, 90th, 95th and 99th percentile and maximum of the prompt and output tokens
in the table of Sarathi-Serve (OSDI 2024). No row of it was used, and it holds no times. Prompts
and outputs are drawn independently, so a few exceed the table's 8,149 tokens together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from traces.quantiles import QuantilePreset, Quantiles

# (probability, tokens): the published percentiles and maximum, and one knot of our own each, at
# 0.7, that is placed so that the mean comes out as published: 2340.0 and 438.7.
PROMPT_QUANTILES = (
    (0.0, 1),
    (0.5, 1730),
    (0.7, 2502),
    (0.9, 5696),
    (0.95, 6563),
    (0.99, 7434),
    (1.0, 8141),
)
OUTPUT_QUANTILES = (
    (0.0, 1),
    (0.5, 415),
    (0.7, 588),
    (0.9, 834),
    (0.95, 920),
    (0.99, 998),
    (1.0, 1024),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGptLike(QuantilePreset):
    """Chats that carry their history: prompts of some thousand tokens, long answers."""

    name: ClassVar[str] = "sharegpt-like"
    description: ClassVar[str] = "lengths fitted to ShareGPT cut at 8k tokens, Poisson times"
    source: ClassVar[str] = "our own, from summary figures of a table in microsoft/sarathi-serve"

    @property
    def quantiles(self) -> tuple[Quantiles, Quantiles]:
        """See `QuantilePreset.quantiles`."""
        return PROMPT_QUANTILES, OUTPUT_QUANTILES


PRESET = ShareGptLike
