"""Workers of a Dask cluster, one that runs already or one of this machine."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.errors import LostWorkersError, UserError
from scenarios.interrupts import ignoring_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from scenarios.retries import Task

CONNECT_S = 20
"""Seconds to wait for a cluster that was named by its address."""

OWN_CLUSTER = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.deploy.lost-worker-timeout": "1 day",
}
"""Settings of a cluster of this machine. How often a task is tried is ours to count. A worker that
is restarting when this time is over since it was lost would be given up for good, and 15 seconds,
the default, are few on a busy machine."""


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """A `scenarios.cluster.Cluster`.

    Attributes:
        client: Dask's client.
        deaths: See there. Dask itself moves a task to other workers before it raises that, as
            often as the scheduler's `allowed-failures` says.
    """

    client: Any
    deaths: tuple[type[BaseException], ...]

    def submit(self, task: Task[Any]) -> Future[Any]:
        """See `scenarios.cluster.Cluster`."""
        # Equal calls would be one to Dask: two cells may be equal tasks.
        future: Future[Any] = self.client.get_executor(pure=False).submit(task.run)
        return future

    def num_slots(self) -> int:
        """See `scenarios.cluster.Cluster`."""
        try:
            return int(sum(self.client.nthreads().values()))
        except (OSError, TimeoutError) as error:
            raise LostWorkersError(f"the cluster has gone: {error}") from None


@contextmanager
def dask_cluster(distributed: Any, jobs: int, address: str | None) -> Iterator[DaskCluster]:  # noqa: ANN401 - a module without types
    """The cluster at an address, or one of so many processes that ends with the block.

    Raises:
        UserError: Nobody answers at the address.
    """
    config = distributed.scheduler.dask.config
    _silence()
    with config.set(OWN_CLUSTER), ExitStack() as ending:
        cluster: Any = address
        if address is None:
            cluster = _here(distributed, jobs)
            ending.callback(cluster.close)
        try:
            client = ending.enter_context(distributed.Client(cluster, timeout=CONNECT_S))
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"no cluster answers at --address: {error}") from None
        yield DaskCluster(client, (distributed.scheduler.KilledWorker,))


def _silence() -> None:
    """Leave it to us to say what went wrong: Dask logs a closed connection with its traceback."""
    # Some loggers below that of the package have levels of their own.
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"asyncio", "distributed"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _here(distributed: Any, jobs: int) -> Any:  # noqa: ANN401 - the same
    # One thread a worker: simulating holds the interpreter, so that threads would only wait.
    with ignoring_interrupts():
        return distributed.LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            dashboard_address=":0",  # with None it asks for port 8787, which another may have
            silence_logs=logging.CRITICAL,
        )
