"""What only a process of its own can show: signals, pipes, terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "cli")
ROOT = Path(__file__).resolve().parents[2]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WHERE = ("--model", "nemotron-h-8b", "--device", "h200")


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_an_interrupt_keeps_what_is_done_and_says_so(tmp_path: Path) -> None:
    """`padded` rejects every request of this trace at once, `static` would take a minute."""
    requests = "poisson:n=20000,rate=50,prompt=64,output=600"
    given = ("--allocator", "padded", "--allocator", "static", "--memory-gib", "0.5")
    process = _start(tmp_path, "replay", requests, *WHERE, *given, "--out", "here", "--json")
    kept = tmp_path / "here" / "events-padded.parquet"
    deadline = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: 1 of 2 runs are done" in stderr
    assert "Traceback" not in stderr
    (run,) = json.loads(stdout)["runs"]
    assert (run["allocator"], run["rejected"]) == ("padded", 20_000)
    assert not (tmp_path / "here" / "events-static.parquet").exists()


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    process = _start(tmp_path, "list", "models")
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr


def test_progress_fits_a_terminal_of_80_columns_and_json_stays_clean(tmp_path: Path) -> None:
    allocator = "avmp:trigger=predictive,ahead=off,batch=64,direction=to-kv,relocation=off"
    primary, secondary = pty.openpty()
    process = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, "replay", "poisson:n=300", *WHERE, "--allocator", allocator, "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=secondary,
        check=True,
    )
    os.close(secondary)
    assert json.loads(process.stdout)["runs"][0]["completed"] == 300
    shown = ESCAPES.sub("", os.read(primary, 100_000).decode())
    os.close(primary)
    *_, last = filter(None, map(str.strip, re.split(r"[\r\n]+", shown)))
    assert re.fullmatch(
        r"avmp:trigger=predictive,\S*\N{HORIZONTAL ELLIPSIS} \S+ 300/300 0:00:\d\d taken", last
    )
    assert len(last) <= 80


def test_no_progress_and_no_escapes_where_there_is_no_terminal(tmp_path: Path) -> None:
    process = _start(tmp_path, "replay", "poisson:n=300", *WHERE, "--allocator", "avmp")
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "twinpool: report: twinpool-out/report.html\n")
    assert "\x1b" not in stdout
