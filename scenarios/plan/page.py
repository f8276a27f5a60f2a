"""The report of a plan: one HTML file that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB
from scenarios.plan.charts import charts_of
from scenarios.plan.terminal import allocator_texts
from scenarios.report.document import Document, Section, charts_html, document_html, list_html
from scenarios.report.quantity import SPACE
from scenarios.report.sheet import NOTHING, Sheet, lines_of, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    Answer = dict[str, Any]

LEAST_PCT = 0.05
"""Less is written as 0.0."""
PROVENANCE = ("twinpool_version", "scenario_digest", "trace_digest", "seed", "seeds")


def plan_html(answer: Answer) -> str:
    """The report as text.

    Args:
        answer: The JSON object of the contract.
    """
    charts, sheets = list(charts_of(answer)), list(_sheets(answer))
    sections = (
        Section("reading", "Recommendation", list_html(_reading(answer))),
        Section("charts", "Charts", charts_html(charts)),
        Section("figures", "Figures", "\n".join(sheet.html() for sheet in sheets)),
    )
    return document_html(
        Document(
            "Twinpool plan",
            f"{answer['model']} on {', '.join(answer['devices'])}",
            list(_facts(answer)),
            sections,
            [chart.figure for chart in charts],
            [(name, str(answer[name])) for name in PROVENANCE],
        )
    )


def _reading(answer: Answer) -> Iterator[str]:
    advice = answer["recommendation"]
    yield advice["sentence"]
    if advice["lead_pct"] is not None:
        yield f"It serves {_apart(advice['lead_pct'])} the best other allocator there."
    if advice["bound_gap_pct"] is not None:
        gap_pct = advice["bound_gap_pct"]
        too_slow = ": more sequences at once make steps too slow" * (gap_pct < -LEAST_PCT)
        yield f"Memory without any waste, the bound, serves {_apart(gap_pct)} it{too_slow}."
    yield from answer["notes"]


def _apart(pct: float) -> str:
    """How much more or less somebody serves than somebody else, who is named behind it."""
    if abs(pct) <= LEAST_PCT:
        return "as much as"
    return f"{abs(pct):.1f}{SPACE}% {'more' if pct > 0 else 'less'} than"


def _facts(answer: Answer) -> Iterator[tuple[str, str]]:
    yield "objective", answer["slo"]
    yield "trace", f"{answer['trace']}, {answer['requests']:,} requests"
    yield "its own rate", f"{answer['trace_rate_rps']:.3g} requests/s"
    for device, size in answer["budget_bytes"].items():
        seconds = answer["window_seconds"][device]
        yield f"caches on {device}", f"{size / GIB:.2f} GiB"
        yield (
            f"a run on {device}",
            f"{seconds:,.0f} s of arrivals, the first and last tenth unmeasured",
        )
    yield "scheduler", answer["scheduler"]
    if answer["target_rps"]:
        yield "target", f"{answer['target_rps']:g} requests/s"


def _sheets(answer: Answer) -> Iterator[Sheet]:
    yield Sheet(
        "Allocators",
        "Highest load in requests a second with its 95 % interval over seeds; sequences at once at"
        " that load; what the first failing run above it ran into; devices and cost.",
        ("", "device", "highest", "95 %", "at once", "limited by", "devices", "cost, 1e6 tokens"),
        lines_of(
            [
                (row["allocator"], row["device"], *allocator_texts(row))
                for row in answer["allocators"]
            ]
        ),
    )
    for splits in answer["ratios"]:
        yield Sheet(
            f"Static splits on {splits['device']}",
            "Percent of the highest load that a split loses.",
            ("state ratio", "highest", "against the best split", "against the best allocator"),
            lines_of([_split_texts(row) for row in splits["splits"]]),
        )
    if answer["sensitivity"]:
        yield Sheet(
            "What the answer depends on",
            "Percent that the highest load of the recommended allocator changes by.",
            ("input", "change, %", "less of it", "more of it"),
            lines_of([_input_texts(row) for row in answer["sensitivity"]]),
        )


def _split_texts(row: Answer) -> tuple[str, ...]:
    return (
        f"{row['state_ratio']:g}",
        number(row["max_rate_rps"], 2),
        number(row["regret_against_best_static_pct"]),
        number(row["regret_against_best_pct"]),
    )


def _input_texts(row: Answer) -> tuple[str, ...]:
    ends = (row["less_effect_pct"], row["more_effect_pct"])
    texts = (NOTHING if end is None else f"{end:+.1f}" for end in ends)
    return (row["input"], f"{row['change_pct']:g}", *texts)
