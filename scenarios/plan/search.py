"""The highest load that passes, on a grid of loads, by bracketing and bisection."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LOWEST, HIGHEST = 1e-4, 1e4
"""Loads beyond these, in multiples of the trace's own, are not looked at."""


@dataclass(frozen=True, slots=True)
class LoadGrid:
    """Loads at equal ratios; number 0 is the trace's own rate.

    Every search of a plan looks at loads of one grid, so that allocators are compared at the same
    arrivals, and what was run once serves every search that comes by.

    Attributes:
        tolerance: A load is this share above the one before.
    """

    tolerance: float

    def load(self, number: int) -> float:
        """The load of a number."""
        return math.exp(number * math.log1p(self.tolerance))

    def number(self, load: float) -> int:
        """The nearest number of a load."""
        return round(math.log(load) / math.log1p(self.tolerance))


@dataclass(slots=True)
class Search:
    """Looks for the highest passing load below the lowest failing one.

    It steps up from a load that passes, and down from one that fails, in steps that double, and
    then halves what lies between: bisection in the logarithm of the load.

    If a load passes above one that fails, the lowest failing one counts (`is_monotone` says no):
    a plan must not rest on a lucky run.

    Attributes:
        first: Where to start, a number of the grid.
        lowest: Where to give up if nothing passes.
        highest: Where to give up if nothing fails.
        step: Length of the first step.
        passed: What is known, by number.
    """

    first: int
    lowest: int
    highest: int
    step: int = 1
    passed: dict[int, bool] = field(default_factory=dict)

    @property
    def low(self) -> int | None:
        """The highest passing number below the lowest failing one, if there is any."""
        high = self.high
        return max(
            (k for k, ok in self.passed.items() if ok and (high is None or k < high)), default=None
        )

    @property
    def high(self) -> int | None:
        """The lowest failing number, if there is any."""
        return min((k for k, ok in self.passed.items() if not ok), default=None)

    @property
    def is_monotone(self) -> bool:
        """Whether no load passes above one that fails."""
        high = self.high
        return high is None or not any(ok and k > high for k, ok in self.passed.items())

    def wanted(self) -> int | None:
        """The number to try next; None if the search has ended."""
        low, high = self.low, self.high
        if high is None:
            return self._above(low)
        if low is None:
            return None if high == self.lowest else max(high - self._stride(), self.lowest)
        return None if high - low == 1 else (low + high) // 2

    def _above(self, low: int | None) -> int | None:
        """Where to look while nothing has failed."""
        if low is None:
            return min(max(self.first, self.lowest), self.highest)
        return None if low == self.highest else min(low + self._stride(), self.highest)

    def _stride(self) -> int:
        """Doubled with every answer, since all of them were the same so far."""
        return self.step << max(0, len(self.passed) - 1)
