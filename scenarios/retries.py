"""Tasks whose process ended under them, from outside or for want of memory, are tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Found_co = TypeVar("Found_co", covariant=True)
ATTEMPTS = 3
"""Times that a task is tried in all; with the last its process has ended so often under it."""


class Task(Protocol[Found_co]):
    """A piece of work, small enough to send to another process."""

    def run(self) -> Found_co:
        """Do it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What is known of a task that found nothing, since its process ended.

    Attributes:
        reason: What its backend says about it.
    """

    reason: str

    @classmethod
    def of(cls, error: BaseException) -> Lost:
        """With the first sentence of what was raised; the rest is advice for programmers."""
        first = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        return cls(first or type(error).__name__)

    @property
    def sentence(self) -> str:
        """What to tell whoever waits for the task."""
        return f"its process ended {ATTEMPTS} times while it ran, the last time: {self.reason}"


Call = tuple[int, Task[Any]]
"""A task with its number."""

Ended = tuple[int, Any]
"""The number of a task with what it found, or with `Lost`."""

Runner = Callable[[Sequence[Call], bool], Iterator[Ended]]
"""Runs tasks and yields each once, as it ends.

Where it is told to isolate them, no task may be lost because of another. Otherwise those that run
beside one that ends its process may be lost with it.
"""


def run_with_retries(tasks: Sequence[Task[Any]], run: Runner) -> Iterator[Ended]:
    """(number, what it found) of each task as it ends; `Lost` with the last attempt.

    What is lost the first time is tried again once all others have ended, apart from each other: a
    task that ends every process it runs in cannot take others with it, and one that lacked memory
    beside others may now have it.
    """
    left: list[Call] = list(enumerate(tasks))
    for attempt in range(1, ATTEMPTS + 1):
        again: list[Call] = []
        for number, found in run(left, attempt > 1):
            if isinstance(found, Lost) and attempt < ATTEMPTS:
                again.append((number, tasks[number]))
            else:
                yield number, found
        left = again
