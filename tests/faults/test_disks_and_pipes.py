"""Disks that are full or read-only, folders that are none, pipes that nobody reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

import cli
from tests.faults.shell import PLAN, REPLAY, SWEEP, WHERE, one_sentence, run
from tests.fuzz.in_process import twinpool

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@contextmanager
def mounted(options: str) -> Iterator[Path]:
    """A file system in memory; skips where this process may not have one."""
    with TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603 - constant
            pytest.skip("only root may mount a file system, and not in every container")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S603, S607 - as above


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A folder with a sweep's scenario, a replay's results and a measured log."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    rows = [f"{i}.5,200,{i + 2},{5 + i % 3}" for i in range(8)]
    (tmp_path / "log.csv").write_text("\n".join(["a,b,c,d", *rows]) + "\n")
    assert twinpool((*REPLAY, "--out", "kept", "--quiet"), tmp_path).exit_code == 0
    return tmp_path


COMMANDS = {
    "replay": (*REPLAY, "--out", "o"),
    "replay --json": (*REPLAY, "--json"),
    "plan": (*PLAN, "--quiet"),
    "sweep": ("sweep", "sweep.toml", "--jobs", "1", "--limit-cells", "2", "--out", "s"),
    "capacity": ("capacity", "--model", "nemotron-h-8b", "--memory-gib", "20"),
    "compare": ("compare", "kept", "log.csv", "--columns", "arrival=a,ttft=b:ms,e2e=c,output=d"),
    "report": ("report", "kept", "--no-png"),
    "list": ("list", "models"),
    "reproduce": ("reproduce", "avmp", "--list-fixes"),
    "help": ("replay", "--help"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(
    name: str, finished: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    monkeypatch.chdir(finished)
    monkeypatch.setattr(sys, "argv", ["twinpool", *COMMANDS[name]])
    pipe = os.fdopen(writes, "w")
    with redirect_stdout(pipe):
        with pytest.raises(SystemExit) as ended:
            cli.main()
        sys.stdout.flush()  # as Python does when it ends, to what stands there by then
    with suppress(BrokenPipeError):
        pipe.close()
    assert ended.value.code == 1
    said = capfd.readouterr().err.strip()
    assert "Error" not in said
    assert "Traceback" not in said


def test_a_full_disk_during_a_replay_is_said_and_leaves_nothing_half(tmp_path: Path) -> None:
    """The report has five megabytes, the disk one."""
    with mounted("size=1m") as small:
        ended = twinpool((*REPLAY, "--out", str(small / "o"), "--quiet"), tmp_path)
        assert ended.exit_code == 1
        assert "report.html cannot be written: No space left" in one_sentence(ended.stderr)
        found = {path.name for path in (small / "o").iterdir()}
        assert found == {"events-avmp.parquet", "result.json"}
        json.loads((small / "o" / "result.json").read_text())
        pq.read_table(small / "o" / "events-avmp.parquet")


def test_a_disk_that_fills_up_during_a_sweep_loses_no_cell(finished: Path) -> None:
    command = ("sweep", "sweep.toml", "--jobs", "1", "--quiet")
    with mounted("size=16m") as small:
        filling = small / "filling"
        with filling.open("wb") as file:
            file.write(bytes((16 << 20) - (12 << 10)))  # three pages are left
        ended = twinpool((*command, "--out", str(small / "o")), finished)
        assert ended.exit_code == 1
        assert "cells.jsonl cannot be written: No space left" in one_sentence(ended.stderr)
        filling.unlink()
        assert twinpool((*command, "--out", str(small / "o")), finished).exit_code == 0
        assert twinpool((*command, "--out", str(finished / "whole")), finished).exit_code == 0
        tables = [pq.read_table(folder / "results.parquet") for folder in
                  (small / "o", finished / "whole")]  # fmt: skip
        assert tables[0].equals(tables[1])


def test_a_disk_that_is_read_only_is_said(tmp_path: Path) -> None:
    with mounted("size=1m,ro") as fixed:
        ended = twinpool((*REPLAY, "--out", str(fixed / "o")), tmp_path)
        assert ended.exit_code == 2
        assert "cannot write to" in one_sentence(ended.stderr)
        assert "Read-only file system" in ended.stderr


def test_what_may_not_be_read_or_written_is_said(tmp_path: Path) -> None:
    """Root may do everything, so it acts as somebody else where that one can read the checkout."""
    (tmp_path / "private").mkdir(mode=0o500)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (tmp_path / "secret.csv").chmod(0)
    acting = {} if os.geteuid() else {"user": NOBODY}
    try:
        code, _, _ = run(tmp_path, "--version", **acting)
    except PermissionError:
        code = 1
    if code:
        pytest.skip("another user cannot read this checkout")
    code, _, stderr = run(tmp_path, *REPLAY, "--out", "private/o", **acting)
    assert code == 2
    assert "cannot write to private/o (Permission denied)" in one_sentence(stderr)
    code, _, stderr = run(tmp_path, "replay", "secret.csv", *REPLAY[2:], "--json", **acting)
    assert code == 2
    assert "secret.csv cannot be read: Permission denied" in one_sentence(stderr)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("kept/result.json", "File exists"),
        ("kept/result.json/o", "Not a directory"),
        ("link-to-file", "File exists"),
        ("link-to-itself/o", "Too many levels of symbolic links"),
        ("/proc/nowhere", "No such file or directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_one_is_said(out: str, said: str, finished: Path) -> None:
    (finished / "link-to-file").symlink_to(finished / "log.csv")
    (finished / "link-to-itself").symlink_to("link-to-itself")
    ended = twinpool((*REPLAY, "--out", out), finished)
    assert ended.exit_code == 2
    assert said in one_sentence(ended.stderr)


def test_results_do_not_leave_their_folder_through_links(finished: Path) -> None:
    """Whoever may write to a folder could have put links into it."""
    outside = finished / "outside"
    outside.write_text("mine")
    (finished / "real").mkdir()
    (finished / "o").symlink_to("real")
    for name in ("result.json", "report.html", "events-avmp.parquet"):
        (finished / "real" / name).symlink_to(outside)
    assert twinpool((*REPLAY, "--out", "o", "--quiet"), finished).exit_code == 0
    assert outside.read_text() == "mine"
    assert not any(path.is_symlink() for path in (finished / "real").iterdir())
    (finished / "real" / ".twinpool-lock").symlink_to(outside)
    assert twinpool((*REPLAY, "--out", "o", "--quiet"), finished).exit_code == 2
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    "command",
    [
        ("replay", ".", *WHERE, "--allocator", "avmp"),
        ("sweep", "."),
        ("sweep", "..", "--out", "o"),
        ("capacity", "--model", ".", "--memory-gib", "2"),
        ("compare", "kept", "."),
        ("compare", "log.csv", "log.csv"),
        ("report", "log.csv"),
        ("replay", "log.csv", *WHERE, "--allocator", "avmp", "--profile", "kept.json"),
    ],
)
def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(
    command: tuple[str, ...], finished: Path
) -> None:
    (finished / "kept.json").mkdir()
    ended = twinpool(command, finished)
    assert ended.exit_code == 2
    one_sentence(ended.stderr)
