from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scenarios.sweep_store import read_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """
[sweep]
summary = "enough cells to be stopped on the way"
models = ["nemotron-h-8b"]
device = "h200"
loads = [1, 2]
seeds = 8
allocators = ["shared-bytes", "static", "avmp"]

[memory]
sequences = 8
reference_tokens = 512

[mixes.chat]
trace = "poisson:n=40,prompt=300,output=60"
"""


CLUSTER = """
import sys, distributed
if __name__ == "__main__":
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=60
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
"""A Dask cluster with two workers, which goes when its process group is killed."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of a sweep that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "chat.toml").write_text(SCENARIO)
    process = _start(folder, "chat.toml", "--out", "out", "--jobs", 1)
    process.communicate(timeout=120)
    return (folder / "out" / "results.parquet").read_bytes()


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A scenario of 48 cells."""
    path = tmp_path / "chat.toml"
    path.write_text(SCENARIO)
    return path


def _start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", "sweep", *map(str, arguments), "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for_lines(file: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if file.exists() and len(file.read_bytes().splitlines()) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{file} did not grow to {count} lines")


def test_json_holds_every_row(twinpool: Twinpool, scenario: Path) -> None:
    result = twinpool("sweep", scenario, "--out", "o", "--jobs", 1, "--limit-cells", 4, "--json")
    found = result.json()
    assert result.exit_code == 0
    assert (found["command"], found["cells"], found["failed_cells"]) == ("sweep", 4, 0)
    assert [row["allocator"] for row in found["rows"]][2:] == ["avmp", "shared-bytes"]
    assert len(found["scenario_digest"]) == 64


def test_the_table_names_every_allocator(twinpool: Twinpool, scenario: Path) -> None:
    result = twinpool("sweep", scenario, "--out", "o", "--jobs", 1, "--limit-cells", 3)
    assert all(name in result.stdout for name in ("shared-bytes", "static", "avmp"))
    assert "results: o/results.parquet" in result.stderr


def test_a_mistake_is_one_sentence(twinpool: Twinpool, scenario: Path) -> None:
    scenario.write_text(SCENARIO.replace("seeds = 8", 'seeds = "8"'))
    result = twinpool("sweep", scenario)
    assert result.exit_code == 2
    assert result.stderr == (
        "twinpool: chat.toml: [sweep] seeds must be a positive whole number, not '8'\n"
    )


@pytest.mark.parametrize("backend", ["local", "dask", "ray"])
def test_a_killed_sweep_loses_and_repeats_nothing(
    twinpool: Twinpool, whole: bytes, scenario: Path, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip({"local": "joblib", "dask": "distributed", "ray": "ray"}[backend])
    cells = tmp_path / "killed" / "cells.jsonl"
    recorded = ""
    kills = 2 if backend == "local" else 1
    for count in sorted(random.sample(range(1, 44), kills)):  # other moments each time, on purpose
        process = _start(tmp_path, scenario, "--out", "killed", "--jobs", 2, "--backend", backend)
        _wait_for_lines(cells, count)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert cells.read_text().startswith(recorded), "what was recorded stays"
        recorded = cells.read_text()
        recorded = recorded[: recorded.rfind("\n") + 1]
    assert twinpool("sweep", scenario, "--out", "killed", "--jobs", 1).exit_code == 0
    _assert_whole_once(tmp_path / "killed", whole)
    assert cells.read_text().startswith(recorded)


def _assert_whole_once(folder: Path, whole: bytes) -> None:
    """A folder has every cell once, and the table that nothing disturbed."""
    assert (folder / "results.parquet").read_bytes() == whole
    lines = (folder / "cells.jsonl").read_text().splitlines()
    assert len({json.loads(line)["digest"] for line in lines}) == len(lines) == 48


def test_a_cluster_that_goes_away_is_said_and_loses_nothing(
    twinpool: Twinpool, whole: bytes, scenario: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    cluster = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", CLUSTER],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert cluster.stdout is not None
    address = cluster.stdout.readline().strip()
    place = ("--backend", "dask", "--address", address)
    process = _start(tmp_path, scenario, "--out", "left", *place)
    _wait_for_lines(tmp_path / "left" / "cells.jsonl", 5)
    os.killpg(cluster.pid, signal.SIGKILL)
    cluster.communicate(timeout=60)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    (sentence,) = stderr.splitlines()
    assert sentence.startswith("twinpool: the cluster has gone: ")
    assert sentence.endswith(" cells are done; they are kept in left, repeat the command to go on")
    rows = json.loads(stdout)["rows"]
    assert 5 <= len(rows) < 48
    assert read_results(tmp_path / "left" / "results.parquet") == rows
    assert twinpool("sweep", scenario, "--out", "left", "--jobs", 1).exit_code == 0
    _assert_whole_once(tmp_path / "left", whole)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_keeps_what_is_done_and_says_so(
    scenario: Path, tmp_path: Path, jobs: int
) -> None:
    process = _start(tmp_path, scenario, "--out", "here", "--jobs", jobs)
    _wait_for_lines(tmp_path / "here" / "cells.jsonl", 3)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cells are done; what is done is kept in here, repeat the command to go on" in stderr
    assert "Traceback" not in stderr
    rows = json.loads(stdout)["rows"]
    assert 3 <= len(rows) < 48
    assert read_results(tmp_path / "here" / "results.parquet") == rows
