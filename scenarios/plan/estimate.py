"""The highest load of a setup from several seeds, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.plan.rounds import Hunt, Runs
    from scenarios.plan.search import LoadGrid
    from scenarios.plan.task import Row, Setup

T_975 = (
    *(12.70620474, 4.30265273, 3.18244631, 2.77644511, 2.57058184),
    *(2.44691185, 2.36462425, 2.30600414, 2.26215716),
)
"""97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom, to eight digits."""

T_975_MANY = 2.22813885
"""The same with 10; more would make intervals narrower by a tenth at most."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second.

    Attributes:
        mean: Over seeds.
        low: Lower end of the 95 % interval of the mean; None with one seed.
        high: Its upper end.
    """

    mean: float
    low: float | None
    high: float | None

    @classmethod
    def over(cls, rates: Sequence[float], tolerance: float) -> Rate:
        """Student's interval over seeds, and above it the step of the grid.

        A search says that the highest load lies between the load it names and the next one, so the
        upper end is raised by that step.
        """
        mean = float(np.mean(rates))
        if len(rates) == 1:
            return cls(mean, None, None)
        df = len(rates) - 1
        t = T_975[df - 1] if df <= len(T_975) else T_975_MANY
        half = t * float(np.std(rates, ddof=1)) / math.sqrt(len(rates))
        return cls(mean, max(0.0, mean - half), (mean + half) * (1 + tolerance))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the searches of a setup found.

    Attributes:
        setup: What was searched.
        numbers: The highest passing number of the grid of each seed; None where nothing passed.
        rates_rps: The same in requests a second.
        rate: The highest load; None if it is none for some seed.
        is_monotone: Whether no evaluated load passed above one that failed.
        best: The row at the highest passing load of the first seed, if there is one.
        failing: The row just above it, if any load failed.
    """

    setup: Setup
    numbers: tuple[int | None, ...]
    rates_rps: tuple[float | None, ...]
    rate: Rate | None
    is_monotone: bool
    best: Row | None
    failing: Row | None

    @property
    def rate_rps(self) -> float | None:
        """The highest load, mean over seeds."""
        return None if self.rate is None else self.rate.mean


def estimate(grid: LoadGrid, hunts: Sequence[Hunt], runs: Runs) -> Estimate:
    """Put the searches of one setup together.

    Args:
        grid: Loads by number.
        hunts: One a seed, ended, the first seed first.
        runs: Has the rows of every load that they tried.
    """
    setup, first = hunts[0].setup, hunts[0].search
    numbers = tuple(hunt.search.low for hunt in hunts)
    rates = tuple(None if k is None else grid.load(k) * setup.traffic.rate_rps for k in numbers)
    found = [rate for rate in rates if rate is not None]

    def row_at(number: int | None) -> Row | None:
        return None if number is None else runs.at(grid, [(setup, number, hunts[0].seed)])[0]

    return Estimate(
        setup,
        numbers,
        rates,
        Rate.over(found, grid.tolerance) if len(found) == len(rates) else None,
        all(hunt.search.is_monotone for hunt in hunts),
        row_at(first.low),
        row_at(first.high),
    )
