"""Work on several processes, which leave an interrupt to the one that started them."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from joblib import Parallel, delayed

from scenarios.errors import LostWorkersError
from scenarios.interrupts import ignoring_interrupts
from scenarios.orphans import end_with
from scenarios.retries import Lost, run_with_retries

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from scenarios.retries import Call, Ended, Runner, Task

Found = TypeVar("Found")


def run_all(tasks: Sequence[Task[Found]], jobs: int) -> Iterator[tuple[int, Found]]:
    """(number, what it found) of each task as it ends: here, or on several processes.

    Raises:
        LostWorkersError: The process of a task ended with every attempt.
    """
    for number, found in run_with_retries(tasks, on_processes(jobs)):
        if isinstance(found, Lost):
            raise LostWorkersError(f"a run found nothing: {found.sentence}")
        yield number, found


def on_processes(jobs: int) -> Runner:
    """Runs tasks on so many processes of this machine; a single one is this process itself."""

    def run(calls: Sequence[Call], isolated: bool) -> Iterator[Ended]:  # noqa: FBT001 - a `Runner`
        if jobs == 1:
            return ((number, task.run()) for number, task in calls)
        return _one_by_one(calls) if isolated else _together(calls, jobs)

    return run


def _one_by_one(calls: Sequence[Call]) -> Iterator[Ended]:
    for call in calls:
        # With one job joblib would run it in this process, which is to survive it.
        yield from _together([call], 2)


def _together(calls: Sequence[Call], jobs: int) -> Iterator[Ended]:
    """Run tasks; when a process ends, loky gives up all that are on their way, and so do we."""
    left = dict(calls)
    while left:
        sent: list[int] = []
        try:
            for number, found in results_as_they_end(_delayed(list(left.items()), sent), jobs):
                del left[number]
                yield number, found
        except BrokenExecutor as error:
            gone = [number for number in sent if left.pop(number, None) is not None]
            if not gone:
                raise
            for number in gone:
                yield number, Lost.of(error)


def _delayed(calls: Iterable[Call], sent: list[int]) -> Iterator[Any]:
    """Joblib's calls; notes each that it takes."""
    for number, task in calls:
        sent.append(number)
        yield delayed(_for_parent)(os.getpid(), number, task)


def _for_parent(parent: int, number: int, task: Task[Found]) -> tuple[int, Found]:
    end_with(parent)
    return number, task.run()


def results_as_they_end(calls: Iterable[Any], jobs: int) -> Generator[Any, None, None]:
    """Run joblib's delayed calls on so many processes; yields what they return as they end.

    An interrupt ends this process's loop, and joblib then ends the others. Calls go one by one:
    joblib would bundle short ones, and a bundle lands, or is lost, as a whole.

    Raises:
        BrokenExecutor: One of the processes ended; what had not been yielded is lost.
    """
    parallel = Parallel(n_jobs=jobs, backend="loky", batch_size=1, return_as="generator_unordered")
    with ignoring_interrupts():
        results = parallel(calls)
    try:
        for found in results:  # noqa: UP028 - `yield from` would close it first, and joblib warns
            yield found
    finally:
        with warnings.catch_warnings():
            # Whoever stops early knows that the rest is cancelled, and run again some day.
            warnings.filterwarnings("ignore", r"\d+ tasks (which were still|have been success)")
            results.close()
