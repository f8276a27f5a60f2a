"""`python -m tests.faults.killed_sweep --kills 100`: kill -9 in the middle of a sweep's writes.

Each attempt is a fork of this process that goes on with a sweep, and is killed at a random moment;
whatever it leaves is looked at before the next one goes on. A sweep that has come to its end is
compared with one that nobody disturbed, and the next one starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from scenarios.result_lock import own_folder
from scenarios.sweep import CELLS, FACTS, REPORT, SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import RESULTS, Ledger
from tests.faults.shell import SWEEP


class Silent:
    """A watcher that tells nobody."""

    def starts(self, stage: str, total: int) -> None:
        """See `scenarios.sweep.SweepWatcher`."""

    def advanced(self, pieces: int) -> None:
        """See `scenarios.sweep.SweepWatcher`."""


class Killer:
    """Sweeps in a folder, and what became of them.

    Args:
        scratch: An empty folder.
        seed: Of the moments at which they are killed.
    """

    def __init__(self, scratch: Path, seed: int) -> None:
        file = scratch / "cells.toml"
        file.write_text(SWEEP)
        self._scenario = load_sweep(str(file))
        self._folder = scratch / "killed"
        self._rng = np.random.default_rng(seed)
        self._whole = self._sweep(scratch / "whole")  # the first imports what it needs
        started_s = time.perf_counter()
        self._sweep(scratch / "timed")
        self._seconds = time.perf_counter() - started_s
        self.found = Counter[str]()

    def kill(self, times: int) -> None:
        """Kill so many sweeps, and end with one that is left alone."""
        while self.found["killed"] < times:
            self._attempt(self._rng.uniform(0, self._seconds))
            self._look()
        self._compare()

    def _attempt(self, seconds: float) -> None:
        child = os.fork()
        if child == 0:
            try:
                self._sweep(self._folder)
            finally:
                os._exit(0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self.found["killed" if os.WIFSIGNALED(status) else "ended before"] += 1

    def _look(self) -> None:
        """Whatever is there is whole; a sweep at its end is what it would have been."""
        folder = self._folder
        if (folder / CELLS).exists():
            content = (folder / CELLS).read_bytes()
            lines = content.splitlines()
            self.found["cut lines"] += not content.endswith(b"\n") and content != b""
            digests = [json.loads(line)["digest"] for line in lines if _is_json(line)]
            assert len(digests) == len(set(digests)), "a cell is recorded twice"
            assert len(digests) >= len(lines) - 1, "more than the last line is cut"
            self.found["half done"] += 0 < len(digests) < self._scenario.num_cells
        if (folder / FACTS).exists():
            json.loads((folder / FACTS).read_text())
        if (folder / REPORT).exists():
            assert (folder / REPORT).read_text().rstrip().endswith("</html>")
        if (folder / RESULTS).exists():
            self.found["tables read"] += 1
            assert pq.read_table(folder / RESULTS).num_rows == self._scenario.num_cells
        if (folder / REPORT).exists():
            self._compare()
            shutil.rmtree(folder)

    def _compare(self) -> None:
        """Let the sweep come to its end: no cell is lost or doubled, no figure another."""
        rows = self._sweep(self._folder)
        assert rows == self._whole, "the rows differ from those of a sweep that nobody killed"
        assert len(Ledger(self._folder / CELLS).rows) == self._scenario.num_cells
        left = [path.name for path in self._folder.iterdir() if path.name.startswith(".")]
        assert not left, f"{left} are left"
        self.found["sweeps compared"] += 1

    def _sweep(self, folder: Path) -> list[dict[str, object]]:
        with own_folder(folder):
            return sweep(self._scenario, SweepOptions(folder), Silent()).rows


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def main() -> int:
    """Kill sweeps, and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.killed_sweep")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        killer = Killer(Path(scratch), chosen.seed)
        started_s = time.perf_counter()
        killer.kill(chosen.kills)
        seconds = time.perf_counter() - started_s
    sys.stdout.write(json.dumps({**killer.found, "seconds": round(seconds, 1)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
