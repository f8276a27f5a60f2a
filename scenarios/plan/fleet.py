"""How many replicas behind a router keep to the objective at a target: simulated, not divided."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scenarios.plan.part import shortest_s
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.estimate import Estimate
    from scenarios.plan.rounds import Runs
    from scenarios.plan.task import Setup

BEYOND = 1.25
"""Replicas that are tried at most, as a multiple of the first answer."""

MOST_REPLICAS = 64
"""More are not simulated: the first answer stands."""


def verified(ask: PlanAsk, found: Estimate, first: int | None, runs: Runs) -> dict[str, Any] | None:
    """The fewest replicas that keep to the objective at the target under every seed.

    The first answer divides the target by what one replica serves. Behind a router it may be too
    few, where requests are spread unevenly, or too many, since more traffic is smoother.

    Args:
        ask: What was asked.
        found: The recommended setup.
        first: The first answer; None if there is no target.
        runs: Makes runs.

    Returns:
        `replicas` and `devices`, None if none of those tried will do; `most_tried`, `router`.
        None altogether without a target, or if it takes more replicas than are simulated.
    """
    if first is None or ask.target_rps is None or first > MOST_REPLICAS:
        return None
    most = math.ceil(BEYOND * first)
    runs.stage("fleet")
    count: int | None
    if _is_good(ask, found, first, runs):
        fewer = range(first - 1, 0, -1)
        bad = next((number for number in fewer if not _is_good(ask, found, number, runs)), 0)
        count = bad + 1
    else:
        more = range(first + 1, most + 1)
        count = next((number for number in more if _is_good(ask, found, number, runs)), None)
    return {
        "replicas": count,
        "devices": None if count is None else count * ask.machine.tp,
        "most_tried": most,
        "router": ask.router,
    }


def _is_good(ask: PlanAsk, found: Estimate, count: int, runs: Runs) -> bool:
    setup = _fleet(ask, found, count)
    load = (ask.target_rps or 0.0) / setup.traffic.rate_rps
    rows = runs.at_load([(setup, load, seed) for seed in ask.seeds])
    return all(row["within"] for row in rows)


def _fleet(ask: PlanAsk, found: Estimate, count: int) -> Setup:
    """The setup with so many replicas, over about as many requests as one run has."""
    setup, traffic, best = found.setup, found.setup.traffic, found.best
    if ask.accuracy.requests_per_run and ask.target_rps is not None and best is not None:
        seconds = max(shortest_s(best["decode_s"]), ask.accuracy.requests_per_run / ask.target_rps)
        traffic = traffic.within(min(seconds, traffic.window_ns / NS_PER_S))
    cell = replace(setup.cell, replicas=count, router=ask.router)
    return replace(setup, variant=f"{count} replicas", cell=cell, traffic=traffic)
