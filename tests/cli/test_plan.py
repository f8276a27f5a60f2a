"""The command line of plans and reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.sweep_store import read_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

ROOT = Path(__file__).resolve().parents[2]
ASK = (
    *("plan", "--model", "nemotron-h-8b", "--device", "h200", "--memory-gib", "2"),
    *("--trace", "azure-like:n=150,rate=4", "--slo", "ttft_p99=2s,tpot_p95=50ms"),
    *("--allocator", "static", "--allocator", "avmp shared-bytes", "--jobs", "1"),
    *("--seeds", "2", "--tolerance", "0.1", "--requests-per-run", "150"),
)
MORE = ("--ratios", "0.7", "--target-rps", "9", "--price-per-hour", "3")


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A whole plan, and its folder."""
    folder = tmp_path_factory.mktemp("planned")
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", *ASK, *MORE, "--out", str(folder), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), folder


def test_the_answer_has_the_keys_of_the_contract(answer: tuple[dict[str, Any], Path]) -> None:
    found, _ = answer
    common = "schema_version twinpool_version command seed scenario_digest trace_digest"
    assert {*common.split(), "profile_digest", "wall_seconds"} <= found.keys()
    rows = {row["allocator"]: row for row in found["allocators"]}
    assert set(rows) >= {"static", "avmp", "shared-bytes", "static:state_ratio=0.7"}
    keys = "max_rate_rps max_concurrency limiting_resource devices_for_target"
    for row in rows.values():
        assert {*keys.split(), "cost_per_million_tokens"} <= row.keys()
        assert row["max_rate_low_rps"] <= row["max_rate_rps"] <= row["max_rate_high_rps"]
        assert row["devices_for_target"] == -(-9 // row["max_rate_rps"])
        tokens = row["output_tokens_per_s"]
        assert row["cost_per_million_tokens"] == pytest.approx(3 / 3600 / tokens * 1e6)
    bound = rows["shared-bytes"]["max_rate_by_seed_rps"]
    for row in rows.values():
        assert all(
            rate <= best for rate, best in zip(row["max_rate_by_seed_rps"], bound, strict=True)
        )
    assert rows["static"]["limiting_resource"] == "state"
    advice = found["recommendation"]
    assert advice["allocator"] != "shared-bytes"
    assert advice["sentence"].startswith(f"Take {advice['allocator']} on h200")
    assert advice["fleet"]["replicas"] >= 1


def test_splits_regrets_and_inputs_fit_together(answer: tuple[dict[str, Any], Path]) -> None:
    found, _ = answer
    (splits,) = found["ratios"]
    by_ratio = {row["state_ratio"]: row for row in splits["splits"]}
    assert set(by_ratio) == {0.4737, 0.5, 0.7}
    best = by_ratio[splits["best_state_ratio"]]
    assert best["regret_against_best_static_pct"] == 0
    assert splits["half_regret_pct"] == by_ratio[0.5]["regret_against_best_static_pct"] >= 0
    inputs = {row["input"]: row for row in found["sensitivity"]}
    assert set(inputs) == {"output length", "step times", "cache memory"}
    assert (
        inputs["output length"]["less_effect_pct"] >= 0 >= inputs["step times"]["more_effect_pct"]
    )


def test_every_run_is_in_the_tables_and_is_found_again(
    answer: tuple[dict[str, Any], Path], twinpool: Twinpool
) -> None:
    found, folder = answer
    rows = read_results(folder / "plan-runs.parquet")
    assert [row["digest"] for row in rows] == [run["digest"] for run in found["runs"]]
    assert len((folder / "plan-runs.csv").read_text().splitlines()) == len(rows) + 1
    again = twinpool(*ASK, *MORE, "--out", folder, "--json").json()
    assert again["runs_made"] == 0
    for key in ("allocators", "ratios", "sensitivity", "recommendation", "runs"):
        assert again[key] == found[key]
    page = (folder / "plan.html").read_text()
    for title in ("ttft_p99 against load", "Highest load", "Regret of a static", "depends on"):
        assert title in page


def test_two_processes_find_the_same(
    answer: tuple[dict[str, Any], Path], twinpool: Twinpool
) -> None:
    two = [*ASK[: ASK.index("--jobs")], "--jobs", 2, *ASK[ASK.index("--jobs") + 2 :]]
    found = twinpool(*two, "--no-sensitivity", "--json").json()
    rates = {row["allocator"]: row["max_rate_by_seed_rps"] for row in answer[0]["allocators"]}
    for row in found["allocators"]:
        assert row["max_rate_by_seed_rps"] == rates[row["allocator"]]
    assert found["sensitivity"] == []
    assert found["allocators"][0]["devices_for_target"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--slo", "ttft=2s"), "--slo knows no 'ttft': write ttft, tpot or e2e"),
        (("--slo", "ttft_p99=2"), "--slo ttft_p99=2 is no time"),
        (("--slo", "ttft_p99=2s,ttft_p99=1s"), "--slo gives ttft_p99 twice"),
        (("--ratios", "0.5,x"), "--ratios 0.5,x is no list of numbers"),
        (("--ratios", "1.5"), "--ratios must lie between 0 and 1, not 1.5"),
        (("--price-per-hour", "free"), "--price-per-hour free is no price"),
        (("--price-per-hour", "h20=2"), "'h20' is none of h200"),
        (("--target-rps", "-1"), "--target-rps must be above 0"),
        (("--tolerance", "0"), "--tolerance must lie from 0.001 to 1"),
        (("--device", "h20"), "unknown device 'h20'"),
        (("--allocator", "static"), "--allocator names something twice"),
        (("--router", "x", "--target-rps", "1"), "unknown router 'x'"),
        (("--trace", "poisson:n=1"), "at no rate that could be changed"),
    ],
)
def test_a_mistake_is_one_sentence(
    twinpool: Twinpool, arguments: tuple[str, ...], sentence: str
) -> None:
    result = twinpool(*ASK, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_objective_that_nothing_keeps_to_is_said(twinpool: Twinpool) -> None:
    result = twinpool(*ASK[:8], *("azure-like:n=60", "--slo", "ttft_p50=1ms"), *ASK[11:], "--json")
    found = result.json()
    assert result.exit_code == 0
    assert {row["max_rate_rps"] for row in found["allocators"]} == {None}
    assert found["recommendation"]["sentence"].startswith("No allocator keeps to")
    assert "no load keeps to the objective" in found["notes"][0]


def test_an_interrupt_keeps_the_runs_that_were_made(tmp_path: Path) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", *ASK, "--out", "here", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ledger, deadline = tmp_path / "here" / "runs.jsonl", time.monotonic() + 60
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") > 6):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "runs are done; what is done is kept in here, repeat the command to go on" in stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout)["recommendation"] is None
    assert len(json.loads(stdout)["runs"]) >= 3


def test_a_report_is_made_of_each_kind_of_folder(
    answer: tuple[dict[str, Any], Path], twinpool: Twinpool, small_trace: Path
) -> None:
    machine = ("--model", "nemotron-h-8b", "--device", "h200", "--memory-gib", "1")
    twinpool("replay", small_trace, *machine, "--allocator", "static avmp", "--out", "one")
    twinpool("replay", small_trace, *machine, "--allocator", "avmp", "--out", "two")
    twinpool("capacity", *machine, "--out", "sized")
    before = Path("one/report.html").read_text()
    for folder, command in (("one", "replay"), (answer[1], "plan"), ("sized", "capacity")):
        done = twinpool("report", folder, "--out", f"pages-{command}", "--no-png", "--json")
        (file,) = done.json()["files"]
        assert f"Twinpool {command}" in Path(file).read_text()
    assert Path("pages-replay/report.html").read_text() == before
    compared = twinpool("report", "one", "two", "--out", "pages", "--json")
    page = Path(compared.json()["files"][0]).read_text()
    assert "Nothing: both answer the same question" in page
    assert "+0.00" in page
    refused = twinpool("report", "one", "sized")
    assert refused.exit_code == 2
    assert "compare folders of one command" in refused.stderr
    assert twinpool("report", "pages").exit_code == 2
