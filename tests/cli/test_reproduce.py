from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from scenarios.reproduce import decomposition, engine_grid, grid, phases, variants
from scenarios.reproduce.cell import PaperCell
from scenarios.reproduce.fixes import FIXES
from scenarios.reproduce.grid import SWEEPS, PaperSweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

pytestmark = pytest.mark.xdist_group("paper")
SMALL = PaperSweep(
    "headline", "a corner of the grid", variants.HEADLINE, ("agentic_burst",), pools_gib=(1,)
)
NUM_CELLS = 5 * 2 * 3


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a corner of the headline sweep, and of the studies."""
    monkeypatch.setattr(grid, "SWEEPS", {"headline": SMALL})
    for name in list(SWEEPS):
        if name != "headline":
            monkeypatch.delitem(SWEEPS, name)
    monkeypatch.setitem(SWEEPS, "headline", SMALL)
    for module in (phases, engine_grid):
        monkeypatch.setattr(module, "SYNTHETIC", ("agentic_burst",))
        monkeypatch.setattr(module, "MODELS", ("jamba_1_5_mini",))
        monkeypatch.setattr(module, "POOLS_GIB", (1,))
    monkeypatch.setattr(engine_grid, "SEEDS", 1)
    monkeypatch.setattr("scenarios.reproduce.reading.SYNTHETIC", ("agentic_burst",))


@pytest.mark.usefixtures("small")
def test_json_holds_rows_totals_and_intervals(twinpool: Twinpool) -> None:
    found = twinpool("reproduce", "avmp", "--sweep", "headline", "--jobs", 1, "--json").json()
    assert (found["command"], found["sweep"], found["fixes"]) == ("reproduce", "headline", [])
    assert found["cells"] == NUM_CELLS
    assert {"schema_version", "twinpool_version", "seed", "scenario_digest", "wall_seconds"} <= (
        found.keys()
    )
    contract = {
        *("variant", "workload", "model", "pool_gib", "oom_mean", "oom_std", "completion_ratio"),
        *("clean_completion_ratio", "migrations", "bytes_migrated", "published_oom_mean"),
    }
    assert all(contract <= row.keys() for row in found["rows"])
    assert all(row["oom_mean"] == row["published_oom_mean"] for row in found["rows"])
    assert [row["differs"] for row in found["rows"]] == [[]] * 10
    assert {total["variant"] for total in found["totals"]} == {v.label for v in variants.HEADLINE}
    assert found["bootstrap"][0]["workload"] == "agentic_burst"


@pytest.mark.usefixtures("small")
def test_a_fix_is_compared_with_nothing(twinpool: Twinpool) -> None:
    found = twinpool(
        "reproduce", "avmp", "--fix", "tell-victims", "--fix", "all", "--jobs", 1, "--json"
    ).json()
    assert found["fixes"] == sorted(fix.name for fix in FIXES if fix.in_all)
    assert {row["published_oom_mean"] for row in found["rows"]} == {None}
    assert {entry["published"] for entry in found["bootstrap"]} == {None}


@pytest.mark.usefixtures("small")
def test_an_interrupted_sweep_goes_on_where_it_was(
    twinpool: Twinpool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ("reproduce", "avmp", "--sweep", "headline", "--jobs", 1, "--out", "o")
    run, started = PaperCell.run, []

    def run_until_stopped(self: PaperCell) -> dict[str, object]:
        started.append(self)
        if len(started) == 8:
            raise KeyboardInterrupt
        return run(self)

    monkeypatch.setattr(PaperCell, "run", run_until_stopped)
    stopped = twinpool(*command)
    assert stopped.exit_code == 130
    assert "interrupted: 6 cells are done; what is done is kept in o" in stopped.stderr
    assert (tmp_path / "o" / "cells.jsonl").read_text().count("\n") == 6
    finished = twinpool(*command)
    assert finished.exit_code == 0
    assert len(started) == 8 + NUM_CELLS - 6
    assert "10 of 10 published rows" in finished.stdout
    assert "report: o/report.html" in finished.stderr
    assert len(pq.read_table(tmp_path / "o" / "headline.parquet")) == 10
    assert (tmp_path / "o" / "headline.csv").read_text().count("\n") == 11


@pytest.mark.usefixtures("small")
def test_a_folder_gets_the_whole_evaluation(
    twinpool: Twinpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "MODELS", ("jamba_1_5_mini",))
    result = twinpool("reproduce", "avmp", "--jobs", 1, "--out", "o", "--quiet", "--json")
    found = result.json()
    assert found == json.loads((tmp_path / "o" / "result.json").read_text())
    assert list(found["sweeps"]) == ["headline"]
    assert found["phases"]["same_decisions"]
    steps = [step["step"] for step in found["decomposition"]["cumulative"]]
    assert steps == [step.name for step in decomposition.steps()]
    assert {entry["allocator"] for entry in found["engine"]} == set(engine_grid.ALLOCATORS)
    page = (tmp_path / "o" / "report.html").read_text()
    for title in ("Each fix alone", "Phases, host time", "under the serving engine"):
        assert title in page
    assert 'class="differs"' not in page
    names = {path.name for path in (tmp_path / "o").iterdir()}
    tables = {"headline", "fixes-cumulative", "fixes-alone", "phases", "engine"}
    assert {f"{name}.{ending}" for name in tables for ending in ("csv", "parquet")} <= names


def test_fixes_are_listed_with_what_they_replace(twinpool: Twinpool) -> None:
    listed = twinpool("reproduce", "avmp", "--list-fixes")
    assert all(f"{fix.name}\n    paper: {fix.paper}\n" in listed.stdout for fix in FIXES)
    items = twinpool("reproduce", "avmp", "--list-fixes", "--json").json()["fixes"]
    assert [item["right"] for item in items] == [fix.right for fix in FIXES]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("avmpp",), "unknown paper 'avmpp': use one of avmp"),
        (("avmp", "--sweep", "headlin"), "unknown sweep 'headlin': use one of headline"),
        (("avmp", "--fix", "relocat"), "unknown fix 'relocat': use one of relocate"),
        (("avmp", "--sweep", "sharegpt"), "give their file (one column, prompt_tokens)"),
        (
            ("avmp", "--sweep", "sharegpt", "--sharegpt-prompts", "none.csv"),
            "none.csv cannot be read",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    twinpool: Twinpool, arguments: tuple[str, ...], sentence: str
) -> None:
    result = twinpool("reproduce", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
