"""`twinpool` in processes of its own, as a shell or a batch system starts and ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHERE = ("--model", "nemotron-h-8b", "--device", "h200", "--memory-gib", "1")
FEW = "poisson:n=8,rate=4,prompt=40,output=6"
REPLAY = ("replay", FEW, *WHERE, "--allocator", "avmp")
PLAN = (
    *("plan", *WHERE, "--trace", FEW, "--slo", "ttft_p99=9s", "--allocator", "avmp"),
    *("--seeds", "1", "--no-sensitivity", "--requests-per-run", "8", "--tolerance", "1"),
    *("--jobs", "1"),
)
SWEEP = """
[sweep]
summary = "cells of a few milliseconds"
models = ["nemotron-h-8b"]
device = "h200"
loads = [0.5, 1, 2]
seeds = 3
allocators = ["avmp", "padded", "static:state_ratio=0.3", "shared-bytes"]
[memory]
sequences = 4
reference_tokens = 128
[capacity]
seeds = 1
[mixes.chat]
trace = "poisson:n=5,rate=1,prompt=40,output=6"
"""


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - those of Popen
    """Start a command in a folder, in a process group of its own."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        **{**given, **options},
    )


def run(folder: Path, *arguments: str, **options: Any) -> tuple[int, str, str]:  # noqa: ANN401 - likewise
    """Exit code, stdout and stderr of a command that ends."""
    process = start(folder, *arguments, **options)
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, (stdout or b"").decode(), (stderr or b"").decode()


def one_sentence(stderr: str) -> str:
    """What was said, if that is one sentence of ours and no traceback."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("twinpool: "), stderr
    assert "Traceback" not in stderr
    return lines[0]
