"""Where tasks run: on processes of this machine, or on a Dask or Ray cluster through joblib."""

from __future__ import annotations

import importlib
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config, register_parallel_backend

from scenarios.errors import UnknownNameError, UserError
from scenarios.processes import ignoring_interrupts, numbered, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from scenarios.processes import Found_co, Task

LOCAL = "local"
CONNECT_S = 20
"""Seconds to wait for a cluster that was named by its address."""


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
        jobs: Processes of this machine.
        is_remote: Whether joblib's current backend is a cluster instead.
    """

    jobs: int
    is_remote: bool = False

    def run(self, tasks: Sequence[Task[Found_co]]) -> Iterator[tuple[int, Found_co]]:
        """(index, what it found) of each task as it ends."""
        if not self.is_remote:
            return run_all(tasks, self.jobs)
        calls = (delayed(numbered)(index, task) for index, task in enumerate(tasks))
        # One task at a time to each worker: joblib would bundle short ones, and a bundle lands, or
        # is lost, as a whole.
        parallel = Parallel(n_jobs=-1, batch_size=1, return_as="generator_unordered")
        found: Iterator[tuple[int, Found_co]] = parallel(calls)
        return found


@contextmanager
def open_pool(place: Place) -> Iterator[Pool]:
    """A pool there, closed at the end together with what was started for it.

    Raises:
        UserError: The backend is not installed, or no cluster answers at the address.
    """
    with BACKENDS[place.backend](place) as pool:
        yield pool


@contextmanager
def _local(place: Place) -> Iterator[Pool]:
    yield Pool(place.jobs)


@contextmanager
def _dask(place: Place) -> Iterator[Pool]:
    distributed = _installed("distributed", "dask")
    # What goes wrong reaches us as an exception; a closed connection is told with a traceback.
    for name in ("distributed", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if place.address is None:
        # One thread a worker: simulating holds the interpreter, so that threads would only wait.
        with ignoring_interrupts():
            cluster = distributed.LocalCluster(
                n_workers=place.jobs,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
    else:
        cluster = None
    try:
        client = _connected(lambda: distributed.Client(cluster or place.address, timeout=CONNECT_S))
        with client, parallel_config(backend="dask", wait_for_workers_timeout=CONNECT_S):
            yield Pool(place.jobs, is_remote=True)
    finally:
        if cluster is not None:
            cluster.close()


@contextmanager
def _ray(place: Place) -> Iterator[Pool]:
    ray = _installed("ray", "ray")
    base = _installed("ray.util.joblib.ray_backend", "ray").RayBackend
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if place.address is None:
        options |= {"num_cpus": place.jobs, "include_dashboard": False}
    _connected(lambda: ray.init(address=place.address, **options))
    # Ray's pool calls back with each result, which is all that a generator of results needs; its
    # backend just does not say so.
    backend = type("RayBackend", (base,), {"supports_return_generator": True})
    register_parallel_backend("ray", backend)
    try:
        with parallel_config(backend="ray"):
            yield Pool(place.jobs, is_remote=True)
    finally:
        ray.shutdown()


BACKENDS: dict[str, Callable[[Place], AbstractContextManager[Pool]]] = {
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


def _connected(connect: Callable[[], Any]) -> Any:  # noqa: ANN401 - a client without types
    try:
        return connect()
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"no cluster answers at --address: {error}") from None
