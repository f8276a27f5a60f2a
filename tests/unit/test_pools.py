"""Sweeps on clusters: the same table as on this machine, cell by cell."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scenarios import cluster, dask_cluster
from scenarios.dask_cluster import OWN_CLUSTER
from scenarios.errors import LostWorkersError, UserError
from scenarios.pools import Place, Pool, open_pool
from scenarios.processes import run_all
from scenarios.retries import Lost
from scenarios.sweep import CELLS, SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import RESULTS
from scenarios.sweep_task import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scenarios.retries import Call, Ended, Task

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


class Watching:
    """Remembers the pieces it was told of; with the third it does what it was given."""

    def __init__(self, on_third: Callable[[], object] = lambda: None) -> None:
        self.pieces: list[int] = []
        self._on_third = on_third

    def starts(self, stage: str, total: int) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Pieces have ended."""
        self.pieces.append(pieces)
        if len(self.pieces) == 3:
            self._on_third()


@dataclass(frozen=True)
class Square:
    """A task that says which process it ran in, and may end it."""

    number: int
    is_deadly: bool = False

    def run(self) -> tuple[int, int]:
        time.sleep(0.02)  # so that every process gets some
        if self.is_deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.number**2, os.getpid()


def _sweep(folder: Path, place: Place, watcher: Watching | None = None) -> bytes:
    path = folder / "small.toml"
    path.write_text(SMALL)
    watcher = watcher or Watching()
    result = sweep(load_sweep(str(path)), SweepOptions(folder, place), watcher)
    assert (result.facts["cells"], result.facts["failed_cells"]) == (8, 0)
    assert set(watcher.pieces) == {1}, "every cell lands alone"
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert len((folder / CELLS).read_text().splitlines()) == 8, "no cell twice"
    return (folder / RESULTS).read_bytes()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of one process."""
    return _sweep(tmp_path_factory.mktemp("here"), Place())


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A Dask cluster with two processes of this machine."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.scheduler.dask.config.set(OWN_CLUSTER),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=60
        ) as cluster,
    ):
        yield cluster


@pytest.fixture(params=["local", "dask", "ray"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Two processes of each kind."""
    if request.param == "dask":
        return Place(backend="dask", address=request.getfixturevalue("dask").scheduler_address)
    if request.param == "ray":
        pytest.importorskip("ray", reason="Ray is not installed")
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return Place(2, request.param)


WORKER_SIGNS = {"local": "loky(?!.*tracker)", "dask": "spawn_main", "ray": "^ray::(_run|IDLE)"}
"""What the command line of a worker holds."""


def _kill_a_worker(backend: str) -> None:
    psutil: Any = pytest.importorskip("psutil", reason="psutil is not installed")
    for process in psutil.Process().children(recursive=True):
        if re.search(WORKER_SIGNS[backend], " ".join(process.cmdline())):
            process.kill()
            return
    raise AssertionError("there is no worker to kill")


def test_tasks_survive_a_kill_and_the_one_that_kills_is_told_from_the_others(place: Place) -> None:
    tasks = [Square(number, is_deadly=number == 5) for number in range(12)]
    found: dict[int, Any] = {}
    with open_pool(place) as pool:
        for number, ended in pool.run(tasks):
            assert number not in found, "each ends once"
            if not found:
                os.kill(ended[1], signal.SIGKILL)
            found[number] = ended
    deadly = found.pop(5)
    assert isinstance(deadly, Lost)
    assert deadly.sentence.startswith("its process ended 3 times while it ran, the last time: ")
    squares = {number: number**2 for number in range(12) if number != 5}
    assert {number: square for number, (square, _) in found.items()} == squares
    processes = {process for _, process in found.values()}
    assert len(processes) > 1
    assert os.getpid() not in processes


def test_a_sweep_makes_the_table_of_one_process_even_if_a_worker_is_killed(
    place: Place, here: bytes, tmp_path: Path
) -> None:
    watcher = Watching(lambda: _kill_a_worker(place.backend))
    assert _sweep(tmp_path, place, watcher) == here
    assert len(watcher.pieces) == 9


def test_a_lost_cell_is_recorded_as_failed_and_run_when_the_sweep_is_repeated(
    here: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(calls: Sequence[Call], isolated: bool) -> Iterator[Ended]:  # noqa: FBT001 - a `Runner`
        for number, task in calls:
            is_cell = isinstance(task, Group)
            is_lost = (is_cell and number % 4 == 1) or isolated
            yield number, Lost("killed") if is_lost else task.run()

    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    with monkeypatch.context() as patched:
        patched.setattr("scenarios.sweep.open_pool", lambda _: nullcontext(Pool(losing)))
        found = sweep(load_sweep(str(path)), SweepOptions(tmp_path), Watching())
    errors = [row["error"] for row in found.rows]
    sentence = "WorkerDiedError: its process ended 3 times while it ran, the last time: killed"
    assert errors == [sentence if number % 4 == 1 else None for number in range(8)]
    assert found.facts["failed_cells"] == 2
    again = Watching()
    result = sweep(load_sweep(str(path)), SweepOptions(tmp_path), again)
    assert result.facts["failed_cells"] == 0
    assert (tmp_path / RESULTS).read_bytes() == here
    assert len((tmp_path / CELLS).read_text().splitlines()) == 8 + 2


def test_a_plan_says_that_its_processes_ended() -> None:
    with pytest.raises(LostWorkersError, match="a run found nothing: its process ended 3 times"):
        list(run_all([Square(1), Square(2, is_deadly=True)], 2))


def test_a_cluster_without_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "NO_WORKER_S", 0.05)
    monkeypatch.setattr(cluster, "POLL_S", 0.01)

    class Empty:
        """A `Cluster` whose only worker ends under the first task."""

        deaths = (OSError,)
        slots = iter([1, 1])

        def submit(self, task: Task[Any]) -> Future[Any]:
            """Never run it."""
            assert isinstance(task, Square)
            return Future()

        def num_slots(self) -> int:
            return next(self.slots, 0)

    run = cluster.on_cluster(Empty())
    with pytest.raises(LostWorkersError, match="the cluster has had no worker for 0 seconds"):
        list(run([(0, Square(0))], False))  # noqa: FBT003 - a `Runner`


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
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1)
    with (
        pytest.raises(UserError, match="no cluster answers"),
        open_pool(Place(backend="dask", address="tcp://127.0.0.1:9")),
    ):
        pass
