"""Lengths like Mooncake's conversation trace (FAST 2025), made from its summary figures alone.

Matched are mean, median, 95th and 99th percentile and maximum of prompt and output tokens. No row
of the trace was used. Its times are rounded to 3 s ticks, so nothing is claimed about them, nor
about prefixes or how prompt and output go together. Measured with n=12031, the trace's own size,
over 16 seeds:

=============== ========= ======================
figure          published measured (mean +- sd)
=============== ========= ======================
prompt mean     12035.1   12035.1 +- 0.1
prompt p50      6909      6909 +- 1
prompt p95      39550     39548 +- 10
prompt p99      85400     85362 +- 35
prompt max      126195    126002 +- 94
output mean     342.6     342.6 +- 0.0
output p50      350       350 +- 0
output p95      698       698 +- 0
output p99      1119      1119 +- 0.4
output max      2000      1997 +- 2
=============== ========= ======================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from traces.quantiles import QuantilePreset, Quantiles

# (probability, tokens): the published percentiles and maximum, and one knot of our own each (at
# 0.85 and 0.75) that is placed so that the mean comes out as published: 12035.1 and 342.6.
PROMPT_QUANTILES = (
    (0.0, 1),
    (0.5, 6909),
    (0.85, 15840),
    (0.95, 39550),
    (0.99, 85400),
    (1.0, 126195),
)
OUTPUT_QUANTILES = ((0.0, 1), (0.5, 350), (0.75, 397), (0.95, 698), (0.99, 1119), (1.0, 2000))


@dataclass(frozen=True, slots=True, kw_only=True)
class MooncakeLike(QuantilePreset):
    """Very long prompts: half are over 6,900 tokens, one in a hundred over 85,000."""

    name: ClassVar[str] = "mooncake-like"
    description: ClassVar[str] = "lengths fitted to the Mooncake conversation trace, Poisson times"
    source: ClassVar[str] = "our own, from summary figures of kvcache-ai/Mooncake (Apache-2.0)"

    @property
    def quantiles(self) -> tuple[Quantiles, Quantiles]:
        """See `QuantilePreset.quantiles`."""
        return PROMPT_QUANTILES, OUTPUT_QUANTILES


PRESET = MooncakeLike
