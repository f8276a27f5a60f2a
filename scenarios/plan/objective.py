"""Texts such as `ttft_p99=2s,tpot_p99=50ms` become limits on the latencies of a whole run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.errors import UserError
from scenarios.slo import seconds_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LATENCIES = ("ttft", "tpot", "e2e")
MEAN = "mean"
_TERM = re.compile(rf"({'|'.join(LATENCIES)})_({MEAN}|p(\d{{1,2}}(?:\.\d+)?))")


@dataclass(frozen=True, slots=True)
class Term:
    """A limit on one statistic of one latency.

    Attributes:
        latency: A name in `LATENCIES`.
        statistic: `mean`, or `p` and a percentile.
        most_s: Seconds that it may be at most.
    """

    latency: str
    statistic: str
    most_s: float

    @property
    def name(self) -> str:
        """As the user writes it: `ttft_p99`."""
        return f"{self.latency}_{self.statistic}"

    def value_s(self, seconds: NDArray[np.float64], num_unserved: int) -> float | None:
        """The statistic, linearly interpolated; None if it falls among those never served.

        A request that was refused counts as one that takes for ever: leaving it out would make a
        design look better the more it refuses.

        Args:
            seconds: Latencies of the requests that were served, in any order.
            num_unserved: Requests that were not.
        """
        if not len(seconds) + num_unserved:
            return 0.0
        if self.statistic == MEAN:
            return None if num_unserved else float(seconds.mean())
        rank = float(self.statistic[1:]) / 100 * (len(seconds) + num_unserved - 1)
        if math.ceil(rank) >= len(seconds):
            return None
        below, above = np.partition(seconds, (math.floor(rank), math.ceil(rank)))[
            [math.floor(rank), math.ceil(rank)]
        ]
        return float(below + (above - below) * (rank - math.floor(rank)))


def parse_objective(text: str) -> tuple[Term, ...]:
    """Read `LATENCY_pNN=TIME` or `LATENCY_mean=TIME`, separated by commas.

    Raises:
        UserError: An unknown objective, one given twice, or a time without unit or not above 0.
    """
    terms: dict[str, Term] = {}
    for part in text.split(","):
        name, _, time = (word.strip() for word in part.partition("="))
        found = _TERM.fullmatch(name)
        if found is None:
            raise UserError(
                f"--slo knows no {name!r}: write ttft, tpot or e2e, then _p and a percentile or"
                " _mean, for example ttft_p99=2s,tpot_p99=50ms"
            )
        if name in terms:
            raise UserError(f"--slo gives {name} twice: give it once")
        terms[name] = Term(found[1], found[2], seconds_of(name, time))
    return tuple(terms.values())
