"""What an evaluation says, in sentences made from its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.sheet import number, percent
from scenarios.reproduce.workloads import SYNTHETIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Found = dict[str, Any]
BASELINE, SUBJECT = "fixed_dual_mr05", "avmp_dynamic_b128"
SIGNIFICANT = 0.05


def reading_of(found: Found) -> Iterator[str]:
    """The sentences, from what was published to what becomes of it."""
    for name, sweep in found["sweeps"].items():
        yield from _agreement(name, sweep)
    yield from _gain(found)
    if found.get("decomposition"):
        yield from _fixed(found["decomposition"]["cumulative"])
    if found.get("phases"):
        yield from _speed(found["phases"])
    if found.get("engine"):
        yield from _engine(found["engine"])


def _agreement(name: str, sweep: Found) -> Iterator[str]:
    compared = [row for row in sweep["rows"] if row["differs"] is not None]
    if compared and name in {"headline", "sharegpt"}:
        equal = sum(not row["differs"] for row in compared)
        yield (
            f"Sweep {name}: {equal} of {len(compared)} published rows come out with every"
            " deterministic figure."
        )


def _gain(found: Found) -> Iterator[str]:
    """The paper's claim on OOM events, with an interval that holds."""
    for entry in found["bootstrap"]:
        if (entry["variant"], entry["workload"]) != (SUBJECT, "all"):
            continue
        verdict = "is" if entry["p_holm"] < SIGNIFICANT else "is not"
        estimate, low, high = entry["as_published"]
        yield (
            f"{SUBJECT} has {estimate:+.2f} OOM events a cell against {BASELINE}; over single cells"
            f" the interval is {low:.2f} to {high:.2f}. By clusters of seeds, adjusted for"
            f" {entry['comparisons']} comparisons, p is {entry['p_holm']:.2f}: the difference"
            f" {verdict} beyond chance at 5 %."
        )


def _fixed(steps: Sequence[Found]) -> Iterator[str]:
    first, last = ({t["variant"]: t for t in steps[i]["totals"]} for i in (0, -1))
    for name in (BASELINE, SUBJECT, "padded_unified"):
        yield (
            f"{name}: {number(first[name]['oom'])} OOM events as published,"
            f" {number(last[name]['oom'])} with everything fixed; completed"
            f" {percent(first[name]['completion_ratio'])} % as the paper counts, of which"
            f" {percent(first[name]['clean_completion_ratio'])} points kept their pages; fixed,"
            f" {percent(last[name]['clean_completion_ratio'])} %."
        )


def _speed(phases: Found) -> Iterator[str]:
    rates = {(e["label"], e["workload"]): e["host_goodput"] for e in phases["table"]}
    texts = [
        f"{rates[SUBJECT, workload] / rates[BASELINE, workload]:.1f} against"
        f" {rates[SUBJECT, workload] / rates[BASELINE + ', keyed', workload]:.2f} ({workload})"
        for workload in SYNTHETIC
    ]
    equal = "with equal event logs" if phases["same_decisions"] else "WITH OTHER event logs"
    yield (
        f"Host time only: the paper's goodput of {SUBJECT} over {BASELINE}, with the baseline's"
        f" search and without it, {equal}: {', '.join(texts)}."
    )


def _engine(engine: Sequence[Found]) -> Iterator[str]:
    rates = {(e["allocator"], e["workload"]): e["throughput_tokens_per_s"] for e in engine}
    gains = [
        f"{rates['avmp', workload] / rates['static:state_ratio=0.5', workload]:.2f} ({workload})"
        for workload in SYNTHETIC
    ]
    yield (
        "Under the serving engine, in simulated time and at equal physical bytes, avmp of this"
        f" project gives so many times the tokens/s of the static split at 0.5: {', '.join(gains)}."
    )
