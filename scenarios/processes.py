"""Work on several processes, which leave an interrupt to the one that started them."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from joblib import Parallel, delayed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Found_co = TypeVar("Found_co", covariant=True)


class Task(Protocol[Found_co]):
    """A piece of work, small enough to send to another process."""

    def run(self) -> Found_co:
        """Do it."""


def run_all(tasks: Sequence[Task[Found_co]], jobs: int) -> Iterator[tuple[int, Found_co]]:
    """(index, what it found) of each task as it ends: here, or on several processes."""
    if jobs == 1:
        for index, task in enumerate(tasks):
            yield index, task.run()
        return
    calls = (delayed(numbered)(index, task) for index, task in enumerate(tasks))
    yield from results_as_they_end(calls, jobs)


def numbered(index: int, task: Task[Found_co]) -> tuple[int, Found_co]:
    """What a task found, with its number."""
    return index, task.run()


def results_as_they_end(calls: Iterable[Any], jobs: int) -> Iterator[Any]:
    """Run joblib's delayed calls on so many processes; yields what they return as they end.

    An interrupt ends this process's loop, and joblib then ends the others.
    """
    parallel = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")
    with ignoring_interrupts():
        results = parallel(calls)
    yield from results


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Processes started meanwhile ignore interrupts for good, from their first instruction on.

    A worker that only ignored them once it runs our code would print a traceback if the user
    interrupted while it still imports.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change how signals are handled
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
