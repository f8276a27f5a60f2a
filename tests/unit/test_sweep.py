from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scenarios import sweep_task
from scenarios.cell import simulate
from scenarios.errors import UserError
from scenarios.pools import Place
from scenarios.sweep import CAPACITIES, CELLS, SweepOptions, sweep
from scenarios.sweep_file import known_sweeps, load_sweep, summary_of
from scenarios.sweep_store import RESULTS, Ledger, read_results

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.cell import Cell
    from scenarios.result import RunResult
    from scenarios.sweep import SweepResult
    from traces.record import Trace

SMALL = """
[sweep]
summary = "small"
models = ["nemotron-h-8b", "jamba-1.5-mini"]
device = "h200"
loads = [0.5, 2]
seeds = 2
allocators = ["shared-bytes", "static:state_ratio=0.9"]

[memory]
sequences = 8
reference_tokens = 512

[capacity]
seeds = 1

[mixes.chat]
trace = "azure-like:n=12"

[mixes.bursts]
trace = "poisson:n=12,prompt=64,output=20"
arrivals = "gamma:rate=1,cv=4"
"""


class Silent:
    """Watches nothing, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def starts(self, stage: str, total: int) -> None:
        self.told.append((stage, total))

    def advanced(self, pieces: int) -> None:
        stage, left = self.told[-1]
        self.told[-1] = (stage, left - pieces)


def _file(folder: Path, text: str = SMALL) -> str:
    path = folder / "small.toml"
    path.write_text(text)
    return str(path)


def _run(folder: Path, jobs: int = 1, limit_cells: int | None = None) -> SweepResult:
    folder.mkdir(exist_ok=True)
    scenario = load_sweep(_file(folder.parent))
    return sweep(scenario, SweepOptions(folder, Place(jobs), limit_cells), Silent())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResult, Path]:
    """A sweep that nothing disturbed, and its folder."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    return _run(folder), folder


def test_every_cell_of_the_grid_has_its_row_in_order(whole: tuple[SweepResult, Path]) -> None:
    result, _ = whole
    places = [
        (row["model"], row["mix"], row["load"], row["seed"], row["allocator"])
        for row in result.rows
    ]
    assert places == [
        (model, mix, load, seed, allocator)
        for model in ("nemotron-h-8b", "jamba-1.5-mini")
        for mix in ("chat", "bursts")
        for load in (0.5, 2.0)
        for seed in (0, 1)
        for allocator in ("shared-bytes", "static:state_ratio=0.9")
    ]
    assert result.facts["cells"] == len(places)
    assert result.facts["failed_cells"] == 0
    assert len({row["digest"] for row in result.rows}) == len(places)


def test_the_table_on_disk_is_the_result(whole: tuple[SweepResult, Path]) -> None:
    result, folder = whole
    assert read_results(folder / RESULTS) == result.rows
    lines = (folder / CELLS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == result.rows


def test_load_is_in_multiples_of_the_capacity(whole: tuple[SweepResult, Path]) -> None:
    result, folder = whole
    capacities = [json.loads(line) for line in (folder / CAPACITIES).read_text().splitlines()]
    known = {(row["model"], row["mix"]): row["capacity_rps"] for row in capacities}
    assert len(known) == 4
    for row in result.rows:
        assert row["capacity_rps"] == known[row["model"], row["mix"]]
        assert row["rate_rps"] == row["load"] * row["capacity_rps"]


def test_cells_of_a_group_share_their_trace_and_loads_share_requests(
    whole: tuple[SweepResult, Path],
) -> None:
    result, _ = whole
    traces: dict[tuple[object, ...], set[str]] = {}
    for row in result.rows:
        place = (row["model"], row["mix"], row["load"], row["seed"])
        traces.setdefault(place, set()).add(row["trace_digest"])
    assert all(len(digests) == 1 for digests in traces.values())
    assert len({digest for digests in traces.values() for digest in digests}) == len(traces)


def test_the_mean_rate_of_a_mix_is_the_one_asked_for() -> None:
    mix = load_sweep("shift").mixes["azure"]
    slow, fast = mix.load_at(2.0, 3), mix.load_at(4.0, 3)
    for trace, rate_rps in ((slow, 2.0), (fast, 4.0)):
        assert trace.arrival_ns is not None
        span_s = float(trace.arrival_ns[-1] - trace.arrival_ns[0]) / 1e9
        assert (len(trace) - 1) / span_s == pytest.approx(rate_rps, rel=1e-6)
    assert (slow.prompt_tokens == fast.prompt_tokens).all()


def test_two_processes_make_the_same_table(whole: tuple[SweepResult, Path], tmp_path: Path) -> None:
    result, folder = whole
    again = _run(tmp_path / "out", jobs=2)
    assert again.rows == result.rows
    assert (tmp_path / "out" / RESULTS).read_bytes() == (folder / RESULTS).read_bytes()


def test_what_is_recorded_is_not_run_again(
    whole: tuple[SweepResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = whole
    assert _run(tmp_path / "out", limit_cells=7).rows == result.rows[:7]
    ran: list[str] = []

    def counted(cell: Cell, trace: Trace) -> RunResult:
        ran.append(cell.allocator)
        return simulate(cell, trace)

    monkeypatch.setattr(sweep_task, "simulate", counted)
    assert _run(tmp_path / "out").rows == result.rows
    assert len(ran) == len(result.rows) - 7


def test_a_line_cut_off_by_a_kill_is_run_again(
    whole: tuple[SweepResult, Path], tmp_path: Path
) -> None:
    result, folder = whole
    (tmp_path / "out").mkdir()
    lines = (folder / CELLS).read_text().splitlines(keepends=True)
    (tmp_path / "out" / CELLS).write_text("".join(lines[:5]) + lines[5][:40])
    assert _run(tmp_path / "out").rows == result.rows
    assert len((tmp_path / "out" / CELLS).read_text().splitlines()) == len(result.rows)


def test_other_options_or_other_code_are_other_cells(
    whole: tuple[SweepResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = whole
    _run(tmp_path / "out", limit_cells=4)
    monkeypatch.setattr("scenarios.cell.code_digest", lambda: "edited")
    again = _run(tmp_path / "out", limit_cells=4)
    assert not {row["digest"] for row in again.rows} & {row["digest"] for row in result.rows}
    assert len(Ledger(tmp_path / "out" / CELLS).rows) == 8


def test_a_failing_cell_is_recorded_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(cell: Cell, trace: Trace) -> RunResult:
        if cell.allocator != "shared-bytes":
            raise RuntimeError("on purpose")
        return simulate(cell, trace)

    monkeypatch.setattr(sweep_task, "simulate", failing)
    result = _run(tmp_path / "out")
    for row in result.rows:
        fails = row["allocator"] != "shared-bytes"
        assert row["error"] == ("RuntimeError: on purpose" if fails else None)
    assert result.facts["failed_cells"] == len(result.rows) / 2
    assert read_results(tmp_path / "out" / RESULTS)[1]["completed"] is None


def test_a_capacity_that_cannot_be_measured_fails_its_cells(tmp_path: Path) -> None:
    text = SMALL.replace("prompt=64", "prompt=50000")
    result = sweep(load_sweep(_file(tmp_path, text)), SweepOptions(tmp_path), Silent())
    for row in result.rows:
        assert (row["error"] is not None) == (row["mix"] == "bursts")
    assert "serves nothing" in result.rows[-1]["error"]
    again = sweep(load_sweep(_file(tmp_path, text)), SweepOptions(tmp_path), Silent())
    assert again.rows == result.rows


def test_a_backlog_holds_evenly_spaced_requests_of_a_long_trace(tmp_path: Path) -> None:
    text = SMALL.replace("[capacity]\nseeds = 1", "[capacity]\nseeds = 2\nrequests = 5")
    scenario = load_sweep(_file(tmp_path, text))
    mix = scenario.mixes["chat"]
    backlog = scenario.capacity.backlog(mix)
    wanted = [mix.load(seed).prompt_tokens[[0, 2, 4, 7, 9]] for seed in (0, 1)]
    assert sorted(backlog.prompt_tokens) == sorted(np.concatenate(wanted))
    assert backlog.arrival_ns is not None
    assert not np.any(backlog.arrival_ns)
    whole = replace(scenario.capacity, requests=12)
    assert len(whole.backlog(mix)) == 24


def test_progress_reaches_the_end_of_each_stage(tmp_path: Path) -> None:
    watcher = Silent()
    sweep(load_sweep(_file(tmp_path)), SweepOptions(tmp_path, limit_cells=3), watcher)
    assert watcher.told == [("capacities", 0), ("cells", 0)]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("loads = [0.5, 2]", "", r"small.toml: \[sweep\] loads is missing: give a list"),
        ("loads = [0.5, 2]", "loads = [0.5, -2]", r"\[sweep\] loads must be a list of positive"),
        ("loads = [0.5, 2]", "loads = [2, 2]", r"\[sweep\] loads names something twice"),
        ("seeds = 2", "seeds = 2.5", r"\[sweep\] seeds must be a positive whole number"),
        ("seeds = 2", "seed = 2", r"\[sweep\] seed is not known here: use .*seeds"),
        ("jamba-1.5-mini", "jamba", r"\[sweep\] models is wrong: unknown model 'jamba'"),
        ('"h200"', '"h20"', r"\[sweep\] device is wrong: unknown device"),
        ("ratio=0.9", "ratio=9", r"\[sweep\] allocators is wrong: static: state_ratio"),
        ("[memory]", 'slo = "x"\n[memory]', r"\[sweep\] slo is wrong"),
        ("[memory]", 'scheduler = "x"\n[memory]', r"\[sweep\] scheduler is wrong"),
        ("[memory]", 'preemption = "swop"\n[memory]', r"\[sweep\] preemption is wrong.*swap"),
        ("sequences = 8", "sequences = 800000", r"\[memory\] sequences is wrong: .*must lie"),
        ("[memory]", "[storage]", r"\[storage\] is not known: use sweep, memory"),
        ("azure-like:n", "azure-lik:n", r"\[mixes\] chat is wrong: .*no preset"),
        ("azure-like:n=12", "poisson:n=1", r"\[mixes\] chat is wrong: .*at no rate"),
        ("[mixes.chat]", "[mixes]\nchat = 1\n[mixes.b]", r"\[mixes\] chat must be a table"),
        ("[sweep]", "[sweep", r"small.toml is not valid TOML: .*line 2"),
    ],
)
def test_a_mistake_in_the_file_is_said_with_its_key(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in SMALL
    with pytest.raises(UserError, match=sentence):
        load_sweep(_file(tmp_path, SMALL.replace(old, new, 1)))


def test_a_file_without_mixes_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[mixes\] is missing"):
        load_sweep(_file(tmp_path, SMALL[: SMALL.index("[mixes")]))
    with pytest.raises(UserError, match=r"\[mixes\] is empty"):
        load_sweep(_file(tmp_path, SMALL[: SMALL.index("[mixes")] + "[mixes]\n"))
    with pytest.raises(UserError, match="cannot be read"):
        load_sweep(str(tmp_path / "none.toml"))
    with pytest.raises(UserError, match="unknown preset"):
        load_sweep("shifty")


def test_every_stands_for_all_allocators(tmp_path: Path) -> None:
    text = SMALL.replace('"shared-bytes"', '"every"')
    allocators = load_sweep(_file(tmp_path, text)).grid.allocators
    assert {"padded", "static", "avmp", "shared-bytes"} < set(allocators)
    assert allocators[-1] == "static:state_ratio=0.9"


def test_the_memory_rule_gives_room_for_its_sequences(tmp_path: Path) -> None:
    scenario = load_sweep(_file(tmp_path))
    for model in scenario.grid.models:
        machine = scenario.machine(model)
        one = machine.spec.bytes_per_sequence() + 512 * machine.spec.bytes_per_token()
        assert 0 <= machine.budget_bytes - 8 * one < machine.granule_bytes
        assert machine.budget_bytes % machine.granule_bytes == 0


@pytest.mark.parametrize("name", known_sweeps())
def test_presets_load_and_say_what_they_are_for(name: str) -> None:
    assert load_sweep(name).num_cells > 0
    assert summary_of(name)


def test_a_damaged_row_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / CELLS).write_text('{"digest": "a"}\nnonsense\n')
    with pytest.raises(UserError, match=r"cells.jsonl:2 is no row"):
        Ledger(tmp_path / CELLS)


def test_only_results_of_a_sweep_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_results(tmp_path / "none.parquet")
