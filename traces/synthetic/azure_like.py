"""Requests that look like Azure's conversation trace of 2023, made from its summary figures alone.

Matched are the published mean, median, 95th and 99th percentile and maximum of prompt and output
tokens, the rate, the coefficient of variation (CV) of the gaps, and the index of dispersion (IoD:
variance over mean of the counts) in bins of 1, 10 and 60 s. No row of the trace was used, prompts
and outputs are drawn independently (nothing is published on how they go together), and nothing
beyond these figures is claimed. Measured over 16 seeds with n=19366, the trace's own size:

=============== ========= ======================
figure          published measured (mean +- sd)
=============== ========= ======================
prompt mean     1154.7    1154.7 +- 0.0
prompt p50      1020      1020 +- 0
prompt p95      4083      4082 +- 0.4
prompt p99      4142      4145 +- 3
prompt max      14050     14024 +- 14
output mean     211.1     211.2 +- 0.0
output p50      129       129 +- 0
output p95      451       451 +- 0
output p99      601       601 +- 0.2
output max      1000      999 +- 1
rate /s         5.530     5.530 +- 0.001
CV              1.09      1.09 +- 0.02
IoD 1 s         1.39      1.38 +- 0.11
IoD 10 s        4.00      4.18 +- 0.98
IoD 60 s        20.6      20.0 +- 5.9
=============== ========= ======================

Bins start at the first request and the last, part-filled one counts, as in the published figures.
The spread of the last rows is real: an hour holds few swings of a rate that wanders over minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, exp, sqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.options import about
from traces.preset import Preset
from traces.quantiles import lengths
from traces.record import Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from traces.record import Int64Array

# (probability, tokens): the published percentiles and maximum, and one knot of our own each (at 0.9
# and 0.75) that is placed so that the mean comes out as published: 1154.7 and 211.1.
PROMPT_QUANTILES = (
    (0.0, 1),
    (0.5, 1020),
    (0.9, 1502),
    (0.95, 4083),
    (0.99, 4142),
    (1.0, 14050),
)
OUTPUT_QUANTILES = ((0.0, 1), (0.5, 129), (0.75, 393), (0.95, 451), (0.99, 601), (1.0, 1000))

# Fitted to CV 1.09 and IoD 1.39, 4.00, 20.6 by simulation. The log of the rate is an
# Ornstein-Uhlenbeck process of this deviation and relaxation time; gaps are gamma on top of it.
PUBLISHED_RATE = 5.53
RATE_DEVIATION = 0.25
RATE_RELAXATION_S = 300.0
GAP_CV = 1.035
RATE_STEP_S = 0.5
# The trace's times have seven fractional digits, and so has what is written in its format.
TICK_NS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureLike(Preset):
    """Lengths by their quantile functions, arrivals by a slowly wandering rate.

    Times are scaled so that the rate is met.

    Attributes:
        n: Requests.
        rate: Mean requests a second.
    """

    name: ClassVar[str] = "azure-like"
    description: ClassVar[str] = (
        "lengths and burstiness fitted to the Azure 2023 conversation trace"
    )
    source: ClassVar[str] = "our own, from summary figures of AzurePublicDataset (CC-BY-4.0)"

    n: int = field(default=3000, metadata=about("requests", low=2, high=10**7))
    rate: float = field(
        default=PUBLISHED_RATE, metadata=about("mean requests a second", low=1e-3, high=10**6)
    )

    def generate(self) -> Trace:
        """Draw prompts, then outputs, then the rate, then the gaps."""
        rng = np.random.default_rng(self.seed)
        return Trace(
            name=self.label,
            prompt_tokens=lengths(rng, self.n, PROMPT_QUANTILES),
            output_tokens=lengths(rng, self.n, OUTPUT_QUANTILES),
            arrival_ns=self._arrival_ns(rng),
        )

    def _arrival_ns(self, rng: np.random.Generator) -> Int64Array:
        """Gamma gaps in operational time, read back through the integral of the rate."""
        # The wandering has the published trace's pace, so another rate only scales the clock.
        span_s = self.n / PUBLISHED_RATE
        steps = ceil(span_s / RATE_STEP_S)
        integral = np.concatenate(([0.0], np.cumsum(np.exp(_log_rate(rng, steps)))))
        operational = np.cumsum(rng.gamma(1 / GAP_CV**2, GAP_CV**2, self.n))
        times = np.interp(
            operational / operational[-1],
            integral / integral[-1],
            np.linspace(0.0, self.n / self.rate, steps + 1),
        )
        ticks = np.rint((times - times[0]) * (1e9 / TICK_NS))
        return np.asarray(ticks, dtype=np.int64) * TICK_NS


def _log_rate(rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """An Ornstein-Uhlenbeck path in its stationary state, shape (steps,)."""
    keep = exp(-RATE_STEP_S / RATE_RELAXATION_S)
    noise = rng.standard_normal(steps)
    noise[1:] *= sqrt(1 - keep**2)
    level, path = 0.0, []
    for shock in noise.tolist():
        level = keep * level + shock
        path.append(level)
    return RATE_DEVIATION * np.array(path)


PRESET = AzureLike
