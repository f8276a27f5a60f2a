"""Which part of the traffic is planned for, and how much of it a run takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scenarios.plan.window import WARM_UP_SHARE
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.task import Backlog, Setup
    from traces.loads import Traffic

PEAK_S = 3600.0
STEADY_HOURS = 2
"""A trace that lasts longer swings too much to be one load: its busiest hour is planned for."""

MIN_WINDOW_S = 120.0


def planned(ask: PlanAsk, traffic: Traffic) -> Traffic:
    """What is planned for: all of the traffic, or its busiest hour if it lasts over two.

    Over a day, rates differ by a factor of two and more. What serves the day's mean misses the
    objective in the evening, and a run at a random hour says nothing about it.
    """
    whole = traffic.period_ns <= STEADY_HOURS * PEAK_S * NS_PER_S
    return traffic if whole or not ask.accuracy.requests_per_run else traffic.busiest(PEAK_S)


def peak_facts(whole: Traffic, part: Traffic) -> dict[str, Any] | None:
    """Which part of the traffic is planned for; None if it is all."""
    if part is whole:
        return None
    return {
        "seconds": part.period_ns / NS_PER_S,
        "of_seconds": whole.period_ns / NS_PER_S,
        "rate_rps": part.rate_rps,
        "mean_rate_rps": whole.rate_rps,
    }


def peak_notes(peak: dict[str, Any] | None) -> list[str]:
    """What a reader must know of the part that is planned for."""
    if peak is None:
        return []
    ratio = peak["rate_rps"] / peak["mean_rate_rps"]
    note = (
        f"loads are those of the trace's busiest hour ({peak['rate_rps']:.3g}/s, {ratio:.2g} times"
        f" the mean of its {peak['of_seconds'] / PEAK_S:.3g} hours): --target-rps is a peak"
    )
    return [note]


def windowed(ask: PlanAsk, setups: Sequence[Setup], backlogs: Sequence[Backlog]) -> list[Setup]:
    """The same setups with traffic of so long that a run holds about the requests asked for.

    All allocators of a device get the same window, and so the same requests.
    """
    if not ask.accuracy.requests_per_run:
        return list(setups)
    seconds = {
        device: _window_s(
            ask,
            setups[0].traffic,
            [b for s, b in zip(setups, backlogs, strict=True) if s.device == device],
        )
        for device in ask.devices
    }
    return [replace(s, traffic=s.traffic.within(seconds[s.device])) for s in setups]


def shortest_s(decode_s: float) -> float:
    """How long a run lasts at least, whatever its requests.

    A machine that starts empty fills for about as long as a request decodes on average; the first
    tenth of the run, which is not measured, is as long as that.
    """
    return max(MIN_WINDOW_S, decode_s / WARM_UP_SHARE)


def _window_s(ask: PlanAsk, traffic: Traffic, backlogs: Iterable[Backlog]) -> float:
    fastest = max(backlogs, key=lambda backlog: backlog.rate_rps or 0.0)
    rate_rps = traffic.rate_rps if traffic.is_stretched else fastest.rate_rps or traffic.rate_rps
    return max(shortest_s(fastest.decode_s), ask.accuracy.requests_per_run / rate_rps)
