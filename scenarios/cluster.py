"""Tasks on a cluster: few on their way at a time, those lost told from those that failed.

Dask and Ray are asked for futures directly. Through joblib's backends for them a task whose workers
all died was never heard of again (joblib 1.6 with Dask 2026.8: the callback of a failed future is
not called), a cluster with one worker was left aside and the work done here, and one that grew was
not noticed.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, Protocol

from scenarios.errors import LostWorkersError
from scenarios.retries import Lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.retries import Call, Ended, Runner, Task

POLL_S = 1.0
"""Seconds after which a cluster that says nothing is asked whether it has workers."""

NO_WORKER_S = 60.0
"""Seconds without any worker after which a cluster counts as gone; nannies restart them sooner."""

AHEAD = 2
"""Tasks on their way for each that can run, so that no worker waits for the next."""


class Cluster(Protocol):
    """Processes that somebody else starts, watches and feeds."""

    @property
    def deaths(self) -> tuple[type[BaseException], ...]:
        """What a future raises whose process ended."""

    def submit(self, task: Task[Any]) -> Future[Any]:
        """Have a task run."""

    def num_slots(self) -> int:
        """Tasks that can run at once now; 0 while there is no worker.

        Raises:
            LostWorkersError: The cluster does not answer.
        """


def on_cluster(cluster: Cluster) -> Runner:
    """Runs tasks there; those to isolate are never more than can run, so none queues behind one."""

    def run(calls: Sequence[Call], isolated: bool) -> Iterator[Ended]:  # noqa: FBT001 - a `Runner`
        waiting, running = deque(calls), dict[Future[Any], int]()
        patience = Patience()
        while waiting or running:
            slots = cluster.num_slots()
            patience.saw(slots)
            while waiting and len(running) < slots * (1 if isolated else AHEAD):
                number, task = waiting.popleft()
                running[cluster.submit(task)] = number
            for future in _ended(running):
                yield running.pop(future), _found(cluster, future)

    return run


class Patience:
    """Bears a cluster without workers for a while: they may be restarted, or still be on order."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def saw(self, slots: int) -> None:
        """Raise LostWorkersError if there has been no worker for too long."""
        now_s = time.monotonic()
        if slots:
            self._last_s = now_s
        elif now_s - self._last_s > NO_WORKER_S:
            raise LostWorkersError(f"the cluster has had no worker for {NO_WORKER_S:.0f} seconds")


def _ended(running: dict[Future[Any], int]) -> list[Future[Any]]:
    if not running:
        time.sleep(POLL_S)
        return []
    return list(wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED).done)


def _found(cluster: Cluster, future: Future[Any]) -> Any:  # noqa: ANN401 - whatever a task finds
    try:
        return future.result()
    except CancelledError:
        raise LostWorkersError("the cluster has gone: its scheduler ended") from None
    except cluster.deaths as error:
        return Lost.of(error)
