"""Tables of plans, sweeps, capacities and the like on narrow and on wide terminals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from scenarios.capacity.budget import BudgetOptions
from scenarios.capacity.run import CapacityAsk, capacity
from scenarios.capacity.tables import capacity_tables
from scenarios.compare.comparison import CompareOptions, compare
from scenarios.compare.terminal import comparison_table
from scenarios.compare.wording import figure_rows
from scenarios.plan.result import PlanResult
from scenarios.plan.terminal import allocator_texts, plan_tables
from scenarios.sweep import SweepResult
from scenarios.sweep_table import means, sweep_table
from scenarios.validation.result import ValidationResult
from scenarios.validation.terminal import validation_table
from tests.unit.compare_case import Writing, log_of, save, served

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.table import Table

WIDTHS = (80, 200)
NAMES = (
    "static:state_ratio=0.4737",
    "avmp:trigger=predictive,batch=4,direction=to-kv",
    "granule:cell=divisor",
    "shared-bytes",
)


def printed(tables: Iterable[Table], width: int) -> str:
    """What a terminal shows; no line is longer than it, and nothing is cut off."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    text = capture.get()
    assert max(map(len, text.splitlines())) <= width
    assert "\u2026" not in text
    return text


def assert_named(text: str, names: Iterable[str], width: int) -> None:
    """Wide, a name stands in one line; narrow, each of its parts does."""
    for name in names:
        for part in re.split("[:,]", name) if width < 100 else [name]:
            assert re.search(rf"(^|\s){re.escape(part)}[:,]?(\s|$)", text, re.MULTILINE), part


def plan_row(device: str, allocator: str, cost: float | None) -> dict[str, Any]:
    """A line of an answer with long figures."""
    return {
        "allocator": allocator,
        "device": device,
        "is_bound": allocator == "shared-bytes",
        "max_rate_rps": 1234.567,
        "max_rate_low_rps": 1170.2,
        "max_rate_high_rps": 2345.6,
        "max_concurrency": 4096,
        "limiting_resource": "scheduler",
        "devices_for_target": None if cost is None else 1234,
        "cost_per_million_tokens": cost,
    }


@pytest.mark.parametrize("cost", [None, 12.3456])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_plan_is_legible(width: int, cost: float | None) -> None:
    rows = [plan_row(device, name, cost) for device in ("l40s", "h100-80gb") for name in NAMES]
    effects = {"less_effect_pct": 14.9, "more_effect_pct": None}
    found = PlanResult(
        {"devices": ["l40s", "h100-80gb"], "model": "m", "slo": "ttft_p99=2s,tpot_p99=50ms"},
        rows,
        [
            {
                "device": "h100-80gb",
                "splits": [
                    {
                        "state_ratio": 0.4737,
                        "max_rate_rps": 18.15,
                        "regret_against_best_static_pct": 12.3,
                        "regret_against_best_pct": 45.6,
                    }
                ],
            }
        ],
        [{"input": "output length", "change_pct": 20.0, **effects}],
        None,
        [],
    )
    text = printed(plan_tables(found, width), width)
    assert_named(text, NAMES, width)
    for cell in (
        *allocator_texts(rows[0]),
        "1,170 to 2,346",
        "0.4737",
        "18.15",
        "12.3",
        "45.6",
        "+14.9",
    ):
        assert cell in text
    assert ("cost of" in text) == ("devices" in text) == (cost is not None)
    assert text.count("(bound)") == 2


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sweep_is_legible(width: int) -> None:
    row = {"error": None, "stability": "overloaded", "capacity_rps": 1.0, "rejected": 12345}
    row |= {"throughput_rps": 0.999, "goodput_rps": 0.5, "preemptions": 99999}
    rows = [{**row, "allocator": name, "migrations_count": 123456} for name in NAMES]
    facts = {"scenario": "a", "cells": 12345, "failed_cells": 1, "slo": "ttft=2s,tpot=100ms"}
    text = printed([sweep_table(SweepResult(facts, rows), width)], width)
    assert_named(text, NAMES, width)
    assert all(cell in text for cell in means(rows[:1]))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_capacity_is_legible(width: int) -> None:
    others = ("vllm", "sglang", *NAMES)
    ask = CapacityAsk("qwen3.5-27b", device="h200", compare=others[1:], budget=BudgetOptions())
    result = capacity(ask)
    text = printed(capacity_tables(result, None, width), width)
    assert_named(text, others, width)
    for name, sizing in result.others.items():
        assert f"{sizing.concurrency(1024):,.2f}" in text, name


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_is_legible(width: int, tmp_path: Path) -> None:
    case = served()
    writing = Writing("ns", 10**18)
    run, log = save(tmp_path / "run", log_of(case)), writing.write(tmp_path / "log", case, ())
    found = compare(CompareOptions(run, log, columns=writing.columns))
    text = printed([comparison_table(found)], width)
    for row in figure_rows(found):
        for cell in row:
            assert cell in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_validation_is_legible(width: int) -> None:
    row = {
        "backing": "torch",
        "rate_scale": 12.5,
        "decisions_identical": False,
        "corrupted_pages": 12_345,
        "steps": {"all": {"count": 1_234_567, "p50_error_pct": -123.4}},
        "throughput_error_pct": None,
        "ttft_error_pct": {"p50": 234.5, "p95": None},
    }
    rows = tuple({**row, "allocator": name} for name in NAMES)
    facts = {"model": "nemotron-h-8b", "device": "h200", "trace": "[b]azure.csv"}
    text = printed([validation_table(ValidationResult(facts, rows), width)], width)
    assert_named(text, NAMES, width)
    assert "nemotron-h-8b on h200, [b]azure.csv" in text
    for cell in ("torch", "12.5", "1,234,567", "DIFFER", "12,345", "-123.4", "+234.5"):
        assert text.count(cell) == len(NAMES)
