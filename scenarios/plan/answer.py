"""The figures of a plan, by the names of the JSON contract."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from scenarios.plan.cost import cost_per_million_tokens, replicas_for
from scenarios.plan.limits import limiting_resource
from scenarios.plan.regret import is_bound
from scenarios.profile import load_profile
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

if TYPE_CHECKING:
    from scenarios.plan.ask import PlanAsk
    from scenarios.plan.estimate import Estimate
    from scenarios.plan.task import Setup
    from traces.loads import Traffic

LOCAL_RATE = 1.2
"""A window whose rate is off the mean by this factor is said: loads are of the whole trace."""


def facts_of(ask: PlanAsk, traffic: Traffic, setups: list[Setup]) -> dict[str, Any]:
    """What is planned."""
    machines = repr([setup.cell.machine for setup in setups])
    digest = hashlib.sha256(f"{ask.digest} {machines} {traffic.is_stretched}".encode()).hexdigest()
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "plan",
        "seed": ask.seed,
        "seeds": len(ask.seeds),
        "scenario_digest": digest,
        "trace_digest": traffic.trace.digest(),
        "profile_digest": None if ask.profile is None else load_profile(ask.profile).digest,
        "trace": traffic.trace.name,
        "requests": len(traffic.trace),
        "trace_rate_rps": traffic.rate_rps,
        "model": ask.model,
        "devices": list(ask.devices),
        "tp": ask.machine.tp,
        "scheduler": ask.scheduler,
        "preemption": ask.preemption,
        "slo": ask.slo,
        "target_rps": ask.target_rps,
        "tolerance": ask.accuracy.tolerance,
        "is_stretched": traffic.is_stretched,
        "budget_bytes": {setup.device: setup.cell.machine.budget_bytes for setup in setups},
    }


def allocator_row(ask: PlanAsk, found: Estimate) -> dict[str, Any]:
    """The answer for one device and allocator; None where nothing passes, or it is not asked."""
    setup, best, rate = found.setup, found.best, found.rate
    replicas = replicas_of(ask, found)
    return {
        "allocator": setup.allocator,
        "device": setup.device,
        "is_bound": is_bound(setup.allocator),
        "max_rate_rps": found.rate_rps,
        "max_rate_low_rps": None if rate is None else rate.low,
        "max_rate_high_rps": None if rate is None else rate.high,
        "max_rate_by_seed_rps": found.rates_rps,
        "max_concurrency": None if best is None else best["running_max"],
        "limiting_resource": _limit(found),
        "missed": [] if found.failing is None else found.failing.get("missed", []),
        "is_monotone": found.is_monotone,
        "replicas_for_target": replicas,
        "devices_for_target": None if replicas is None else replicas * ask.machine.tp,
        "output_tokens_per_s": tokens_per_s(found),
        "cost_per_million_tokens": cost_of(ask, found),
        **{term.name: None if best is None else best[term.name] for term in setup.terms},
    }


def replicas_of(ask: PlanAsk, found: Estimate) -> int | None:
    """Replicas for the target, if there is one and a replica serves anything."""
    if ask.target_rps is None or not found.rate_rps:
        return None
    return replicas_for(ask.target_rps, found.rate_rps)


def tokens_per_s(found: Estimate) -> float | None:
    """Output tokens a second at the highest load: its rate times the mean output measured there."""
    if found.best is None or not found.rate_rps or not found.best["arrived_rps"]:
        return None
    tokens = float(found.best["output_tokens_per_s"]) / float(found.best["arrived_rps"])
    return found.rate_rps * tokens


def cost_of(ask: PlanAsk, found: Estimate) -> float | None:
    """Price of a million output tokens at the highest load, if the device has a price."""
    price, tokens = ask.price_of(found.setup.device), tokens_per_s(found)
    if price is None or not tokens:
        return None
    return cost_per_million_tokens(price, ask.machine.tp, tokens)


def notes_of(estimates: list[Estimate]) -> list[str]:
    """What a reader must know before trusting the figures."""
    notes = []
    for found in estimates:
        name = f"{found.setup.allocator} on {found.setup.device}"
        failed = found.failing
        if failed is not None and failed.get("error"):
            notes.append(f"{name}: a run failed ({failed['error']})")
        if not found.is_monotone:
            notes.append(
                f"{name}: a load passed above one that failed; the lowest failing one counts"
            )
        if found.best is not None and found.failing is None:
            notes.append(f"{name}: no load failed; its highest load is the highest that was tried")
        if found.best is None and failed is not None and not failed.get("error"):
            notes.append(
                f"{name}: no load keeps to the objective, not even {failed['rate_rps']:.3g}/s"
            )
    return [*notes, *_window_notes(estimates), *_reuse_notes(estimates)]


def _window_notes(estimates: list[Estimate]) -> list[str]:
    """Whether what was measured arrives at another rate than the trace does on average."""
    for found in estimates:
        best = found.best
        if best is None or not best["rate_rps"]:
            continue
        ratio = best["arrived_rps"] / best["rate_rps"]
        if not 1 / LOCAL_RATE < ratio < LOCAL_RATE:
            note = (
                f"the measured part of a run arrives at {ratio:.2f} times the mean rate: the"
                " traffic is not steady, so take it whole (--requests-per-run 0) or plan for a part"
                " of it (--start, --duration)"
            )
            return [note]
    return []


def _reuse_notes(estimates: list[Estimate]) -> list[str]:
    """What becomes of prefixes at a load that is not the trace's own."""
    for found in estimates:
        traffic, best = found.setup.traffic, found.best
        if not traffic.trace.prefixes or traffic.is_stretched or best is None:
            continue
        if best["load"] > 1:
            note = (
                "loads above the trace's own lay copies of it over each other, and no two copies"
                " share a text: a preamble that all users share is kept once a copy"
            )
            return [note]
    return []


def _limit(found: Estimate) -> str | None:
    return None if found.failing is None else limiting_resource(found.setup, found.failing)
