"""Figures as people read them: three significant digits, one unit for a whole row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISSING = "-"
GIB = 1 << 30
SPACE = "\N{NO-BREAK SPACE}"
"""Between a figure and its unit, which no line break may part."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and how much of the base unit it is."""

    symbol: str
    size: float


COUNTS = (Unit("", 1),)
BYTES = (Unit("GiB", GIB), Unit("MiB", 1 << 20), Unit("KiB", 1 << 10), Unit("B", 1))
SECONDS = (Unit("s", 1), Unit("ms", 1e-3), Unit("µs", 1e-6))
DURATIONS = (Unit("h", 3600), Unit("min", 60), Unit("s", 1), Unit("ms", 1e-3))


def figure_at(metrics: Mapping[str, Any], path: str) -> float | None:
    """The finite number at a dotted path, or None if there is none."""
    value: Any = metrics
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None


def unit_for(values: Sequence[float | None], units: tuple[Unit, ...]) -> Unit:
    """The largest unit in which the largest of the values is at least one."""
    largest = max((abs(value) for value in values if value is not None), default=0)
    for unit in units:
        if largest >= unit.size:
            return unit
    return units[-1] if largest else units[0]


def number(value: float, unit: Unit) -> str:
    """A figure in a unit: counts in full, else three significant digits; thousands separated."""
    value /= unit.size
    if not value or unit in COUNTS:
        return f"{value:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def quantity(value: float | None, units: tuple[Unit, ...]) -> str:
    """One figure with the unit that suits it."""
    if value is None:
        return MISSING
    unit = unit_for([value], units)
    return f"{number(value, unit)}{SPACE}{unit.symbol}".rstrip()


def percent(fraction: float) -> str:
    """A fraction as a percentage; what is neither nothing nor all never reads as if it were."""
    if 0 < fraction < 0.01:  # noqa: PLR2004 - below one percent digits matter
        return f"{fraction * 100:.2g}{SPACE}%"
    if 0.99 < fraction < 1:  # noqa: PLR2004 - so they do just below all
        return f"{min(fraction * 100, 99.9):.1f}{SPACE}%"
    return f"{fraction * 100:,.0f}{SPACE}%"
