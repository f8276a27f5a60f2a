"""Where tasks run: on processes of this machine, or on a Dask or Ray cluster."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.cluster import on_cluster
from scenarios.dask_cluster import dask_cluster
from scenarios.errors import UnknownNameError, UserError
from scenarios.processes import on_processes
from scenarios.ray_cluster import ray_cluster
from scenarios.retries import run_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from scenarios.retries import Ended, Runner, Task

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to run.

    Attributes:
        jobs: Processes, of this machine or of a cluster that is started on it.
        backend: A name in `BACKENDS`.
        address: Of a running cluster; None starts one on this machine.
    """

    jobs: int = 1
    backend: str = LOCAL
    address: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UnknownNameError("backend", self.backend, BACKENDS)
        if self.backend == LOCAL and self.address is not None:
            raise UserError("--address names a cluster: give --backend dask or ray with it")


@dataclass(frozen=True, slots=True)
class Pool:
    """Runs tasks, and yields what they find as they end.

    Attributes:
        runner: How.
    """

    runner: Runner

    def run(self, tasks: Sequence[Task[Any]]) -> Iterator[Ended]:
        """(number, what it found) of each task as it ends; see `run_with_retries`.

        Raises:
            LostWorkersError: The cluster has gone.
        """
        return run_with_retries(tasks, self.runner)


@contextmanager
def open_pool(place: Place) -> Iterator[Pool]:
    """A pool there, closed at the end together with what was started for it.

    Raises:
        UserError: The backend is not installed, or no cluster answers at the address.
    """
    with BACKENDS[place.backend](place) as runner:
        yield Pool(runner)


@contextmanager
def _local(place: Place) -> Iterator[Runner]:
    yield on_processes(place.jobs)


@contextmanager
def _dask(place: Place) -> Iterator[Runner]:
    with dask_cluster(_installed("distributed", "dask"), place.jobs, place.address) as cluster:
        yield on_cluster(cluster)


@contextmanager
def _ray(place: Place) -> Iterator[Runner]:
    with ray_cluster(_installed("ray", "ray"), place.jobs, place.address) as cluster:
        yield on_cluster(cluster)


BACKENDS: dict[str, Callable[[Place], AbstractContextManager[Runner]]] = {
    LOCAL: _local,
    "dask": _dask,
    "ray": _ray,
}


def _installed(module: str, extra: str) -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f"--backend {extra} needs {extra}: install it with pip install 'twinpool[{extra}]'"
        ) from None
