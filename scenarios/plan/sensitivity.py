"""How much the highest load depends on inputs that nobody knows exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.plan.rounds import Hunt
from scenarios.plan.search import Search
from scenarios.plan.variants import INPUTS

if TYPE_CHECKING:
    from scenarios.plan.estimate import Estimate
    from scenarios.plan.rounds import Runs
    from scenarios.plan.search import LoadGrid

PERCENT = 100
SIGNS = (-1, 1)


def sensitivities(grid: LoadGrid, found: Estimate, runs: Runs, seed: int) -> list[dict[str, Any]]:
    """Search again with each input changed in both directions, the widest effect first.

    Args:
        grid: Loads by number.
        found: The setup that is recommended, with a highest load.
        runs: Makes runs.
        seed: The requests are those of one seed, so that only the input differs.
    """
    first = found.numbers[0]
    if first is None:
        return []
    lowest, highest = first - _span(grid), first + _span(grid)
    hunts = {
        (entry.name, sign): Hunt(entry.at(found.setup, sign), seed, Search(first, lowest, highest))
        for entry in INPUTS
        for sign in SIGNS
    }
    runs.hunt(grid, list(hunts.values()), "sensitivity")
    base_rps = grid.load(first) * found.setup.traffic.rate_rps
    rows = [
        {
            "input": entry.name,
            "change_pct": PERCENT * entry.change,
            "base_rps": base_rps,
            **_effect("less", hunts[entry.name, -1], grid, base_rps),
            **_effect("more", hunts[entry.name, 1], grid, base_rps),
        }
        for entry in INPUTS
    ]
    return sorted(rows, key=lambda row: -swing_pct(row))


def swing_pct(row: dict[str, Any]) -> float:
    """How far apart the two directions lie, in percent of the highest load."""
    ends = [row[f"{end}_effect_pct"] or 0.0 for end in ("less", "more")]
    return max(*ends, 0.0) - min(*ends, 0.0)


def _effect(name: str, hunt: Hunt, grid: LoadGrid, base_rps: float) -> dict[str, Any]:
    low = hunt.search.low
    rate_rps = None if low is None else grid.load(low) * hunt.setup.traffic.rate_rps
    effect = None if rate_rps is None else PERCENT * (rate_rps / base_rps - 1)
    return {f"{name}_rps": rate_rps, f"{name}_effect_pct": effect}


def _span(grid: LoadGrid) -> int:
    """Numbers to a load twice as high: no input is changed by nearly as much."""
    return grid.number(2.0)
