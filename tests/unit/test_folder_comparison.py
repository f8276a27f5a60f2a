"""Two results beside each other: what figures are called, and whether a change is good."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.folder_comparison.asked import SAME, asked
from scenarios.folder_comparison.change import Change, changes_of
from scenarios.folder_comparison.figure import Figure
from scenarios.folder_comparison.page import comparison_page
from scenarios.result_folder import ResultFolder

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"allocator": "avmp", "device": "h200", "max_rate_rps": 8.0, "limiting_resource": "kv"}
PLAN: dict[str, Any] = {
    "command": "plan",
    "devices": ["h200"],
    "slo": "ttft_p99=2s",
    "budget_bytes": {"h200": 1 << 30},
    "trace_digest": "a" * 64,
    "wall_seconds": 1.0,
    "allocators": [ROW],
}


def _folder(path: Path, **changed: object) -> ResultFolder:
    path.mkdir(parents=True, exist_ok=True)
    (path / "plan.json").write_text(json.dumps(PLAN | changed))
    return ResultFolder.open(path)


@pytest.mark.parametrize(
    ("key", "label", "values", "texts"),
    [
        ("ttft_s p99", "TTFT p99, ms", (0.5, 0.25), ("500", "250")),
        ("ttft_p99", "TTFT p99, s", (2.0, 0.5), ("2.00", "0.500")),
        ("ttft_s p50 measured", "TTFT p50 measured, s", (1.0, 2.0), ("1.00", "2.00")),
        ("throughput_tokens_per_s", "throughput, tokens/s", (1234.0, 9.0), ("1,234", "9.00")),
        ("max_rate_rps", "max rate, requests/s", (13.54, 2.0), ("13.5", "2.00")),
        ("waste internal_pct", "waste internal, %", (74.53, 1.0), ("74.5", "1.00")),
        ("migrations bytes", "migrations bytes, GiB", (2.0**31, 0.0), ("2.00", "0")),
        ("simulated_seconds", "simulated, s", (90.0, 9.0), ("90.0", "9.00")),
        ("preemptions", "preemptions", (38.5, 1200.0), ("38.50", "1,200")),
        ("oom_events", "OOM events", (None, 3.0), ("-", "3")),
        ("stability", "stability", ("stable", "overloaded"), ("stable", "overloaded")),
    ],
)
def test_a_figure_is_read_off_its_key(
    key: str, label: str, values: tuple[Any, Any], texts: tuple[str, str]
) -> None:
    change = Change(Figure.of(key), *values)
    assert change.line[:3] == (label, *texts)


@pytest.mark.parametrize(
    ("key", "values", "verdict"),
    [
        ("goodput_rps", (1.0, 2.0), "better"),
        ("goodput_rps", (2.0, 1.0), "worse"),
        ("goodput_rps", (1.0, 1.009), ""),
        ("preemptions", (0.0, 1.0), "worse"),
        ("ttft_s p99", (2.0, 1.0), "better"),
        ("cost_per_million_tokens", (1.0, 2.0), "worse"),
        ("peak_bytes", (1.0, 2.0), "changed"),
        ("limiting_resource", ("kv", "compute"), "changed"),
        ("devices_for_target", (None, 2.0), "changed"),
        ("stability", ("stable", "stable"), ""),
    ],
)
def test_a_change_is_judged_by_what_is_good(
    key: str, values: tuple[Any, Any], verdict: str
) -> None:
    assert Change(Figure.of(key), *values).verdict == verdict


def test_latencies_of_an_overloaded_run_are_neither_better_nor_worse() -> None:
    first: dict[str, float | str] = {"stability": "stable", "ttft_s p99": 1.0, "goodput_rps": 2.0}
    second: dict[str, float | str] = {
        "stability": "overloaded",
        "ttft_s p99": 9.0,
        "goodput_rps": 1.0,
    }
    changes = changes_of({"avmp": first}, {"avmp": second, "vllm": first})["avmp"]
    assert {key: change.verdict for key, change in changes.items()} == {
        "stability": "changed",
        "ttft_s p99": "changed",
        "goodput_rps": "worse",
    }
    assert changes["ttft_s p99"].line[1:3] == ("1.00†", "9.00†")


def test_what_was_asked_differently_is_said_and_what_was_found_is_not(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one", target_rps=None)
    other = {
        "devices": ["l40s"],
        "budget_bytes": {"l40s": 1 << 30},
        "trace_digest": "b" * 64,
        "wall_seconds": 2.0,
        "target_rps": 35.0,
    }
    assert asked(one, _folder(tmp_path / "other", **other)) == [
        "devices: h200 and l40s",
        "budget h200: 1.00\N{NO-BREAK SPACE}GiB and none",
        "trace digest: aaaaaaaaaaaa... and bbbbbbbbbbbb...",
        "budget l40s: none and 1.00\N{NO-BREAK SPACE}GiB",
        "target: none and 35.0\N{NO-BREAK SPACE}requests/s",
    ]
    assert asked(one, one) == [SAME]
    damaged = {"target_rps": 10**400, "tolerance": float("nan")}
    assert asked(one, _folder(tmp_path / "damaged", **damaged)) == [SAME]


def test_plans_of_one_device_each_stand_beside_each_other(tmp_path: Path) -> None:
    one = _folder(tmp_path / "a/out", allocators=[ROW, ROW | {"allocator": "vllm"}])
    faster = ROW | {"device": "l40s", "max_rate_rps": 4.0}
    page = comparison_page(one, _folder(tmp_path / "b/out", allocators=[faster], devices=["l40s"]))
    assert "8.00 → 4.00" in page
    assert "-50.0\N{NO-BREAK SPACE}% worse" in page
    assert f"Only in {one.path}: vllm." in page
    assert f"{one.path} and {tmp_path}/b/out</h1>" in page


def test_where_nothing_differs_that_is_said_in_place_of_a_table(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one")
    same = comparison_page(one, _folder(tmp_path / "two"))
    assert "No figure differs." in same
    assert "change,<wbr> %" not in same
    faster = _folder(tmp_path / "three", allocators=[ROW | {"max_rate_rps": 9.0}])
    assert "change,<wbr> %" in comparison_page(one, faster)
