"""One figure in two results: how far apart, and whether that is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.folder_comparison.figure import Figure
from scenarios.report.quantity import SPACE, unit_for
from scenarios.report.sheet import BETTER, CHANGED, NOTHING, WORSE, Cell
from scenarios.report.table import HIGHER, NEITHER
from sim.metrics.stability import OVERLOADED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.report.quantity import Unit
    from scenarios.result_folder import Figures, Value

MOST_PCT = 1.0
"""A change beyond this is marked."""
LEAST_PCT = 0.005
"""A change below this is written as 0.00."""
STABILITY = "stability"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of one thing in both results.

    Attributes:
        figure: What it is.
        first: Its value in the first; None if it is not there.
        second: The same in the second.
        is_moot: Whether it depends on how long the trace is, so that neither can be better.
    """

    figure: Figure
    first: Value | None
    second: Value | None
    is_moot: bool = False

    @property
    def is_none(self) -> bool:
        """Whether both are the same, or so near that no table would show it."""
        return self.first == self.second or (self.pct is not None and abs(self.pct) < LEAST_PCT)

    @property
    def pct(self) -> float | None:
        """By how many percent the second exceeds the first, where both are numbers."""
        if isinstance(self.first, float) and isinstance(self.second, float) and self.first:
            return 100 * (self.second / self.first - 1)
        return None

    @property
    def verdict(self) -> str:
        """`BETTER`, `WORSE`, `CHANGED` where nobody can say, or nothing where it is too small."""
        if self.is_none or (self.pct is not None and abs(self.pct) <= MOST_PCT):
            return ""
        first, second = self.first, self.second
        if not isinstance(first, float) or not isinstance(second, float):
            return CHANGED
        if self.is_moot or self.figure.better == NEITHER:
            return CHANGED
        return BETTER if (second > first) == (self.figure.better == HIGHER) else WORSE

    @property
    def unit(self) -> Unit:
        """The one unit of both."""
        return unit_for(self.numbers, self.figure.units)

    @property
    def numbers(self) -> list[float | None]:
        """Both values, where they are numbers."""
        values = (self.first, self.second)
        return [value if isinstance(value, float) else None for value in values]

    @property
    def line(self) -> tuple[str | Cell, ...]:
        """A line of a table: figure, first, second, change in percent."""
        pct = NOTHING if self.pct is None else f"{self.pct:+.2f}"
        label = self.figure.label_in(self.unit)
        return label, *self.texts(self.unit), Cell(pct, verdict=self.verdict)

    def step(self, unit: Unit) -> Cell:
        """Both values in one field."""
        first, second = self.texts(unit)
        pct = f"{self.pct:+.1f}{SPACE}%" if self.verdict and self.pct is not None else ""
        text = first if self.is_none else f"{first} → {second}"
        return Cell(text, verdict=self.verdict, note=pct)

    def texts(self, unit: Unit) -> tuple[str, str]:
        """Both values, without their unit; marked where they depend on the length of the trace."""
        mark = "†" if self.is_moot else ""
        first, second = (
            self.figure.text(value, unit) + mark for value in (self.first, self.second)
        )
        return first, second


def changes_of(first: Figures, second: Figures) -> dict[str, dict[str, Change]]:
    """By thing and key, for each thing that both have figures of."""
    return {
        name: {change.figure.key: change for change in _changes(first[name], second[name])}
        for name in first
        if name in second
    }


def _changes(first: dict[str, Value], second: dict[str, Value]) -> Iterator[Change]:
    is_overloaded = OVERLOADED in {first.get(STABILITY), second.get(STABILITY)}
    for key in dict.fromkeys((*first, *second)):
        figure = Figure.of(key)
        is_moot = is_overloaded and figure.is_latency
        yield Change(figure, first.get(key), second.get(key), is_moot)
