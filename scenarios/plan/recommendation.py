"""What to do: one setup of those planned, why, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.plan.estimate import Rate
from scenarios.plan.regret import is_bound
from scenarios.plan.sensitivity import swing_pct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.estimate import Estimate

    Answer = dict[str, Any]

PERCENT = 100


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The setup to take.

    Attributes:
        ask: What was asked.
        row: Its figures; None if no setup serves anything within the objective.
        best: Where they come from.
        criterion: What made it first.
        rivals: Allocators on the same device that cannot be told from it.
        lead_pct: By how much its rate exceeds that of the best other allocator on the device.
        bound_gap_pct: By how much the bound's rate exceeds it, if the bound was planned.
    """

    ask: PlanAsk
    row: Answer | None
    best: Estimate | None
    criterion: str
    rivals: tuple[str, ...] = ()
    lead_pct: float | None = None
    bound_gap_pct: float | None = None

    def to_json(self, fleet: Answer | None, changes: Sequence[Answer]) -> Answer:
        """The fields of the contract, and a sentence that says them."""
        first = next(iter(changes), None)
        return {
            "sentence": self._sentence(fleet, first),
            "criterion": self.criterion,
            **{key: None if self.row is None else self.row[key] for key in KEYS},
            "not_told_apart": list(self.rivals),
            "lead_pct": self.lead_pct,
            "bound_gap_pct": self.bound_gap_pct,
            "most_sensitive_to": None if first is None else first["input"],
            "fleet": fleet,
        }

    def _sentence(self, fleet: Answer | None, first: Answer | None) -> str:
        row = self.row
        if row is None:
            return (
                f"No allocator keeps to {self.ask.slo} at any load that was tried: loosen it,"
                " or take another device."
            )
        parts = [f"Take {row['allocator']} on {row['device']}: {_rate_text(row)}"]
        if row["limiting_resource"]:
            parts.append(f"more is limited by {row['limiting_resource']}")
        if row["devices_for_target"] is not None:
            parts.append(_fleet_text(row, fleet, self.ask))
        if row["cost_per_million_tokens"] is not None:
            parts.append(f"a million output tokens cost {row['cost_per_million_tokens']:.3g}")
        if self.rivals:
            parts.append(f"{_listed(self.rivals)} cannot be told from it")
        if first is not None:
            parts.append(
                f"the input that matters most is {first['input']} ({first['change_pct']:g} %"
                f" either way moves the load by {swing_pct(first):.0f} % in all)"
            )
        return "; ".join(parts) + "."


KEYS = (
    "allocator",
    "device",
    "max_rate_rps",
    "max_rate_low_rps",
    "max_rate_high_rps",
    "limiting_resource",
    "replicas_for_target",
    "devices_for_target",
    "cost_per_million_tokens",
)


def recommend(
    ask: PlanAsk, estimates: Sequence[Estimate], rows: Sequence[Answer]
) -> Recommendation:
    """The setup to take: the cheapest, or that with the fewest devices, or the highest rate.

    Cost decides where every device has a price: with a target that of the whole devices, without
    one that of a token. Without prices it is the number of devices, and without a target the rate.
    The bound stands beside the others and is none to take.
    """
    able = [
        (row, found)
        for row, found in zip(rows, estimates, strict=True)
        if found.rate_rps and not row["is_bound"]
    ]
    criterion = _criterion(ask)
    if not able:
        return Recommendation(ask, None, None, criterion)
    row, best = min(
        able, key=lambda pair: (_cost(ask, criterion, pair[0]), -pair[0]["max_rate_rps"])
    )
    same = [e for e in estimates if e.setup.device == best.setup.device and e is not best]
    peers = [e for e in same if e.rate_rps and not is_bound(e.setup.allocator)]
    return Recommendation(
        ask,
        row,
        best,
        criterion,
        tuple(e.setup.allocator for e in peers if not _is_apart(best, e, ask.accuracy.tolerance)),
        _lead(best, max((e.rate_rps or 0.0 for e in peers), default=0.0)),
        _gap(best, next((e for e in same if is_bound(e.setup.allocator)), None)),
    )


def _criterion(ask: PlanAsk) -> str:
    if all(ask.price_of(device) is not None for device in ask.devices):
        return "price of the devices" if ask.target_rps else "price of a token"
    return "number of devices" if ask.target_rps else "highest load"


def _cost(ask: PlanAsk, criterion: str, row: Answer) -> float:
    """What is to be small."""
    if criterion == "price of the devices":
        return float(row["devices_for_target"] * (ask.price_of(row["device"]) or 0.0))
    if criterion == "price of a token":
        return float(row["cost_per_million_tokens"])
    return float(row["devices_for_target"]) if ask.target_rps else -float(row["max_rate_rps"])


def _is_apart(one: Estimate, other: Estimate, tolerance: float) -> bool:
    """Whether two rates differ by more than the grid can tell, seed by seed.

    Searches of a seed share their requests, so their differences count, not the two intervals.
    With one seed the grid alone decides.
    """
    if None in one.numbers or None in other.numbers:
        return True
    steps = np.array(one.numbers, dtype=float) - np.array(other.numbers, dtype=float)
    if abs(steps.mean()) <= 1:
        return False
    spread = Rate.over([float(step) for step in steps * np.sign(steps.mean())], tolerance)
    return spread.low is None or spread.low > 0


def _lead(best: Estimate, other_rps: float) -> float | None:
    return PERCENT * ((best.rate_rps or 0.0) / other_rps - 1) if other_rps else None


def _gap(best: Estimate, bound: Estimate | None) -> float | None:
    if bound is None or not bound.rate_rps or not best.rate_rps:
        return None
    return PERCENT * (bound.rate_rps / best.rate_rps - 1)


def _rate_text(row: Answer) -> str:
    if row["max_rate_low_rps"] is None:
        return f"{row['max_rate_rps']:.3g} requests/s within the objective (one seed)"
    low, high = row["max_rate_low_rps"], row["max_rate_high_rps"]
    return (
        f"{row['max_rate_rps']:.3g} requests/s within the objective (95 %: {low:.3g} to {high:.3g})"
    )


def _fleet_text(row: Answer, fleet: Answer | None, ask: PlanAsk) -> str:
    count = row["devices_for_target"]
    text = (
        f"{count} device{'s' * (count != 1)} for {ask.target_rps:g} requests/s by its highest load"
    )
    if fleet is None:
        return text
    if fleet["devices"] is None:
        return (
            f"{text}, and no number up to {fleet['most_tried']} held when simulated behind a router"
        )
    return f"{text}, {fleet['devices']} when simulated behind a router"


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence holds them: `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
