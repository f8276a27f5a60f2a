"""The highest load that each allocator serves within an SLO, and what follows from it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from scenarios.plan.answer import allocator_row, facts_of, notes_of, replicas_of
from scenarios.plan.estimate import estimate
from scenarios.plan.fleet import verified
from scenarios.plan.part import peak_facts, peak_notes, planned, windowed
from scenarios.plan.recommendation import recommend
from scenarios.plan.regret import regrets
from scenarios.plan.result import PlanResult
from scenarios.plan.rounds import Hunt, Runs
from scenarios.plan.search import HIGHEST, LOWEST, LoadGrid, Search
from scenarios.plan.sensitivity import sensitivities
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.estimate import Estimate
    from scenarios.plan.task import Setup
    from traces.loads import Traffic

FIRST_SHARE = 0.8
"""Of the rate at which a backlog is served: where the first search starts."""

FIRST_STEP = 0.08
NEXT_STEP = 2
"""Numbers of the grid; the first is a share of the load."""

BEYOND_SATURATION = 4.0
MIN_REQUESTS = 20
"""A run of fewer says nothing about a percentile."""

CHECKED_SHARES = (0.5, 0.8)
"""Of the highest load of the first seed: loads that must pass if passing is monotone."""


class PlanInterruptedError(Exception):
    """The user interrupted; `partial` holds the runs that were done, and no answer."""

    def __init__(self, partial: PlanResult) -> None:
        super().__init__(f"interrupted after {len(partial.runs)} runs")
        self.partial = partial


def plan(ask: PlanAsk, traffic: Traffic, runs: Runs) -> PlanResult:
    """Search every setup, and say what to do.

    Args:
        ask: What to plan.
        traffic: Requests at any load.
        runs: Makes runs, or finds them where an earlier plan left them.

    Raises:
        UserError: See `PlanAsk.setups`.
        PlanInterruptedError: The user interrupted.
    """
    start_s = time.perf_counter()
    part = planned(ask, traffic)
    setups = ask.setups(part)
    facts = facts_of(ask, part, setups) | {"peak": peak_facts(traffic, part)}
    try:
        found = _answer(ask, setups, runs)
    except KeyboardInterrupt:
        facts["wall_seconds"] = time.perf_counter() - start_s
        raise PlanInterruptedError(PlanResult(facts, [], [], [], None, runs.used)) from None
    facts["wall_seconds"] = time.perf_counter() - start_s
    facts["runs_made"] = runs.made
    found.facts["notes"][:0] = peak_notes(facts["peak"])
    return replace(found, facts=facts | found.facts)


def _answer(ask: PlanAsk, setups: list[Setup], runs: Runs) -> PlanResult:
    grid = LoadGrid(ask.accuracy.tolerance)
    backlogs = runs.backlogs(setups)
    setups = windowed(ask, setups, backlogs)
    saturations = [backlog.rate_rps for backlog in backlogs]
    estimates = _estimates(ask, grid, list(zip(setups, saturations, strict=True)), runs)
    rows = [allocator_row(ask, each) for each in estimates]
    chosen = recommend(ask, estimates, rows)
    changes, fleet = [], None
    if chosen.best is not None:
        fleet = verified(ask, chosen.best, replicas_of(ask, chosen.best), runs)
    if chosen.best is not None and ask.accuracy.has_sensitivity:
        changes = sensitivities(grid, chosen.best, runs, ask.seed)
    about = {
        "window_seconds": {s.device: s.traffic.window_ns / NS_PER_S for s in setups},
        "notes": notes_of(estimates),
    }
    answer = chosen.to_json(fleet, changes)
    return PlanResult(about, rows, regrets(ask, estimates), changes, answer, runs.used)


def _estimates(
    ask: PlanAsk, grid: LoadGrid, setups: Sequence[tuple[Setup, float | None]], runs: Runs
) -> list[Estimate]:
    """Search with the first seed, then with the others from where it ended."""
    first, *others = ask.seeds
    leaders = [Hunt(s, first, _first_search(grid, s, saturation)) for s, saturation in setups]
    runs.hunt(grid, leaders, "highest load")
    _check(grid, leaders, runs)
    teams = [
        [leader, *(Hunt(leader.setup, seed, _next_search(leader.search)) for seed in others)]
        for leader in leaders
    ]
    runs.hunt(grid, [hunt for team in teams for hunt in team], "other seeds")
    return [estimate(grid, team, runs) for team in teams]


def _first_search(grid: LoadGrid, setup: Setup, saturation_rps: float | None) -> Search:
    """Starts below the rate at which a backlog is served, or at the trace's own."""
    traffic = setup.traffic
    load = (saturation_rps or traffic.rate_rps) / traffic.rate_rps
    in_window = traffic.rate_rps * traffic.window_ns / NS_PER_S
    lowest = 1.0 if traffic.is_stretched else MIN_REQUESTS / in_window
    return Search(
        first=grid.number(FIRST_SHARE * load),
        lowest=grid.number(max(LOWEST, min(lowest, load / BEYOND_SATURATION))),
        highest=grid.number(min(HIGHEST, BEYOND_SATURATION * load)),
        step=max(1, grid.number(1 + FIRST_STEP)),
    )


def _next_search(ended: Search) -> Search:
    """Starts where a search of another seed ended, in small steps."""
    first = ended.lowest if ended.low is None else ended.low
    return Search(first, ended.lowest, ended.highest, NEXT_STEP)


def _check(grid: LoadGrid, hunts: Sequence[Hunt], runs: Runs) -> None:
    """Try loads well below the highest: one that fails lowers it."""
    points = [
        (hunt, grid.number(share * grid.load(hunt.search.low)))
        for hunt in hunts
        if hunt.search.low is not None
        for share in CHECKED_SHARES
    ]
    points = [(hunt, number) for hunt, number in points if number >= hunt.search.lowest]
    runs.try_all(grid, points, "lower loads")
