"""Commands that are stopped from outside: what they wrote is whole, and they go on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.faults.shell import PLAN, ROOT, WHERE, one_sentence, run, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def _wait_until(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < deadline, "nothing was written in a minute"
        time.sleep(0.02)


def _living(group: int) -> set[int]:
    """Processes of a group that compute; resource trackers only tidy up behind them."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,pgid,args"],  # noqa: S607 - wherever it is
        capture_output=True,
        check=True,
        text=True,
    )
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines()[1:])
    return {int(pid) for pid, pgid, args in rows if int(pgid) == group and "tracker" not in args}


def test_sweeps_killed_at_random_moments_lose_and_double_no_cell() -> None:
    """`python -m tests.faults.killed_sweep` kills a hundred."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_sweep", "--kills", "8", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["killed"] == 8
    assert found["sweeps compared"] > 0


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_replay_keeps_the_runs_that_were_done(number: signal.Signals, tmp_path: Path) -> None:
    """`padded` rejects every request of this trace at once, `static` would take a minute."""
    requests = "poisson:n=20000,rate=50,prompt=64,output=600"
    command = ("replay", requests, *WHERE[:4], "--memory-gib", "0.5", "--out", "here", "--quiet")
    process = start(tmp_path, *command, "--allocator", "padded", "--allocator", "static")
    kept = tmp_path / "here" / "events-padded.parquet"
    _wait_until(kept.exists)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    if number is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        said = one_sentence(stderr.decode())
        assert "interrupted: 1 of 2 runs are done; what is done is kept" in said
        json.loads((tmp_path / "here" / "result.json").read_text())
    _wait_until(lambda: not _living(process.pid))
    before = kept.stat().st_mtime_ns
    assert pq.read_table(kept).num_rows > 20_000
    assert not (tmp_path / "here" / "events-static.parquet").exists()
    code, _, stderr_again = run(tmp_path, *command, "--allocator", "padded")
    assert code == 0, stderr_again
    assert kept.stat().st_mtime_ns == before, "a run that is kept was run again"
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        *("events-padded.parquet", "report.html", "result.json"),
    ]


@pytest.mark.parametrize("number", SIGNALS[1:], ids=lambda number: number.name)
def test_a_plan_goes_on_from_the_runs_that_were_done(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = [*PLAN[: PLAN.index("--tolerance")], *PLAN[PLAN.index("--jobs") :]]
    command += ["--out", "here", "--json", "--quiet"]
    ledger = tmp_path / "here" / "runs.jsonl"
    process = start(tmp_path, *command)
    _wait_until(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 1)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number is signal.SIGTERM else -number)
    done = ledger.read_bytes().count(b"\n")
    assert not (tmp_path / "here" / "plan.json").exists()
    code, stdout, stderr = run(tmp_path, *command)
    assert code == 0, stderr
    digests = Counter(json.loads(line)["digest"] for line in ledger.read_text().splitlines())
    assert set(digests.values()) == {1}
    assert json.loads(stdout)["runs_made"] == len(digests) - done
    assert json.loads(stdout) == json.loads((tmp_path / "here" / "plan.json").read_text())


def test_two_commands_at_once_do_not_mix_their_results(tmp_path: Path) -> None:
    command = ("replay", "poisson:n=2000", *WHERE, "--allocator", "avmp", "--out", "here")
    both = [start(tmp_path, *command, "--quiet") for _ in range(2)]
    said = [process.communicate(timeout=120)[1].decode() for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    for code, text in zip(codes, said, strict=True):
        assert code in {0, 2}
        assert code == 0 or "another twinpool writes to here" in one_sentence(text)
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert result["runs"][0]["completed"] == 2000
    assert not [path for path in (tmp_path / "here").iterdir() if path.name.startswith(".")]


def test_closed_streams_do_not_end_up_in_results(tmp_path: Path) -> None:
    """Without them the next files that are opened would get their numbers."""
    command = ("replay", "poisson:n=8", *WHERE, "--allocator", "avmp", "--out", "here")
    words = " ".join(map(str, (sys.executable, "-m", "cli", *command)))
    closed = subprocess.run(  # noqa: S602 - the shell is what closes them
        f"{words} <&- >&- 2>&-",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert closed.returncode == 0
    assert json.loads((tmp_path / "here" / "result.json").read_text())["runs"][0]["completed"] == 8
    pq.read_table(tmp_path / "here" / "events-avmp.parquet")


def test_a_full_disk_behind_stdout_is_said(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - no regular file
        code, _, stderr = run(tmp_path, "list", "devices", stdout=full)
    assert code == 1
    assert "No space left on device" in one_sentence(stderr)
