"""The best static split, and what any other choice loses against the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.plan.ask import HALF, sglang_ratio, state_ratio_of
from scenarios.regret import BOUND

if TYPE_CHECKING:
    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.estimate import Estimate

PERCENT = 100


def regrets(ask: PlanAsk, estimates: list[Estimate]) -> list[dict[str, Any]]:
    """For each device the splits that were tried, and what they lose; empty without ratios."""
    if not ask.ratios:
        return []
    return [
        _of_device(device, [each for each in estimates if each.setup.device == device])
        for device in ask.devices
    ]


def regret_pct(rate_rps: float | None, best_rps: float | None) -> float | None:
    """Percent of the best rate that is lost; None where there is no best."""
    if not best_rps:
        return None
    return PERCENT * (1 - (rate_rps or 0.0) / best_rps)


def _of_device(device: str, estimates: list[Estimate]) -> dict[str, Any]:
    """Regret is against the best that could be had: not the bound, which nobody can."""
    rates = {
        ratio: each.rate_rps
        for each in estimates
        if (ratio := state_ratio_of(each.setup.allocator)) is not None
    }
    others = [e.rate_rps for e in estimates if not is_bound(e.setup.allocator)]
    best_rps = max((rate for rate in others if rate is not None), default=None)
    best = max(rates, key=lambda ratio: (rates[ratio] or 0.0, -abs(ratio - HALF)))
    static_rps = rates[best]
    return {
        "device": device,
        "best_state_ratio": best if static_rps else None,
        "best_static_max_rate_rps": static_rps,
        "best_static_regret_pct": regret_pct(static_rps, best_rps),
        "half_regret_pct": regret_pct(rates.get(HALF), static_rps),
        "sglang_state_ratio": sglang_ratio(),
        "sglang_regret_pct": regret_pct(rates.get(sglang_ratio()), static_rps),
        "splits": [
            {
                "state_ratio": ratio,
                "max_rate_rps": rate,
                "regret_against_best_static_pct": regret_pct(rate, static_rps),
                "regret_against_best_pct": regret_pct(rate, best_rps),
            }
            for ratio, rate in sorted(rates.items())
        ],
    }


def is_bound(allocator: str) -> bool:
    """Whether it is the bound, which stands beside the others and is not to be had."""
    return allocator.partition(":")[0] == BOUND
