"""Sweeps on clusters: the same table as on this machine, cell by cell."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scenarios import pools
from scenarios.errors import UserError
from scenarios.pools import Place, open_pool
from scenarios.sweep import SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import RESULTS

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """
[sweep]
summary = "small"
models = ["nemotron-h-8b"]
device = "h200"
loads = [0.5, 2]
seeds = 2
allocators = ["shared-bytes", "static:state_ratio=0.999999"]

[memory]
sequences = 8
reference_tokens = 512

[mixes.chat]
trace = "azure-like:n=12"
"""

# Clusters leave sockets and loops to the collector, which says so at a moment of its own choosing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.xdist_group("clusters"),
]


class Silent:
    """Watches nothing, and remembers the pieces it was told of."""

    def __init__(self) -> None:
        self.pieces: list[int] = []

    def starts(self, stage: str, total: int) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Pieces have ended."""
        self.pieces.append(pieces)


@dataclass(frozen=True)
class Square:
    """A task that says which process it ran in."""

    number: int

    def run(self) -> tuple[int, int]:
        return self.number**2, os.getpid()


def _table(folder: Path, place: Place) -> bytes:
    folder.mkdir()
    path = folder / "small.toml"
    path.write_text(SMALL)
    watcher = Silent()
    result = sweep(load_sweep(str(path)), SweepOptions(folder, place), watcher)
    assert result.facts["cells"] == 8
    assert set(watcher.pieces) == {1}, "every cell lands alone"
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    return (folder / RESULTS).read_bytes()


def test_a_dask_cluster_makes_the_table_of_one_process(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    here = _table(tmp_path / "here", Place())
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        place = Place(backend="dask", address=cluster.scheduler_address)
        assert _table(tmp_path / "dask", place) == here
        with open_pool(place) as pool:
            found = dict(pool.run([Square(number) for number in range(12)]))
    assert {number: square for number, (square, _) in found.items()} == {
        number: number**2 for number in range(12)
    }
    workers = {process for _, process in found.values()}
    assert len(workers) == 2
    assert os.getpid() not in workers


@pytest.mark.skipif(sys.platform != "linux", reason="Ray is tried on Linux only")
def test_a_ray_cluster_runs_tasks_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with open_pool(Place(2, "ray")) as pool:
        for _ in range(2):  # a sweep runs its capacities first, then its cells
            found = dict(pool.run([Absolute(-number) for number in range(6)]))
            assert found == {number: number for number in range(6)}


@dataclass(frozen=True)
class Absolute:
    """A task that any process can do."""

    number: int

    def run(self) -> int:
        return abs(self.number)


def test_what_is_wrong_with_a_place_is_said() -> None:
    with pytest.raises(UserError, match="unknown backend 'dusk': use one of dask"):
        Place(backend="dusk")
    with pytest.raises(UserError, match="--address names a cluster"):
        Place(address="tcp://10.0.0.1:8786")


def test_a_backend_that_is_not_installed_is_said_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"pip install 'twinpool\[ray\]'"),
        open_pool(Place(backend="ray")),
    ):
        pass


def test_an_address_where_nobody_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(pools, "CONNECT_S", 1)
    with (
        pytest.raises(UserError, match="no cluster answers"),
        open_pool(Place(backend="dask", address="tcp://127.0.0.1:9")),
    ):
        pass
