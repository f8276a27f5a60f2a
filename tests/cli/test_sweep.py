from __future__ import annotations

import json
import os
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


def test_a_killed_sweep_loses_and_repeats_nothing(
    twinpool: Twinpool, scenario: Path, tmp_path: Path
) -> None:
    process = _start(tmp_path, scenario, "--out", "killed", "--jobs", 2)
    _wait_for_lines(tmp_path / "killed" / "cells.jsonl", 6)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    recorded = (tmp_path / "killed" / "cells.jsonl").read_text()
    assert 6 <= recorded.count("\n") < 48
    for folder in ("killed", "whole"):
        assert twinpool("sweep", scenario, "--out", folder, "--jobs", 1).exit_code == 0
    resumed, whole = (tmp_path / folder / "results.parquet" for folder in ("killed", "whole"))
    assert resumed.read_bytes() == whole.read_bytes()
    lines = (tmp_path / "killed" / "cells.jsonl").read_text()
    assert lines.startswith(recorded[: recorded.rfind("\n") + 1])
    assert len({json.loads(line)["digest"] for line in lines.splitlines()}) == 48
    assert lines.count("\n") == 48


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_keeps_what_is_done_and_says_so(
    scenario: Path, tmp_path: Path, jobs: int
) -> None:
    process = _start(tmp_path, scenario, "--out", "here", "--jobs", jobs)
    _wait_for_lines(tmp_path / "here" / "cells.jsonl", 3)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cells are done; they are kept in here, repeat the command to go on" in stderr
    assert "Traceback" not in stderr
    rows = json.loads(stdout)["rows"]
    assert 3 <= len(rows) < 48
    assert read_results(tmp_path / "here" / "results.parquet") == rows
