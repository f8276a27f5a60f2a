"""What the host's time between the steps of a run goes to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.cohort import Cohort
    from allocator.interface import CacheManager

P = ParamSpec("P")
R = TypeVar("R")

CALLS = ("admit", "extend", "extend_all", "release", "prepare", "block_table_from")
COHORT_CALLS = ("join", "leave", "extend", "extend_in_rounds", "sure_rounds")


class HostTime:
    """Adds up wall time: all of it, and that within the calls of an allocator."""

    def __init__(self) -> None:
        self._allocator_ns = 0
        self._passed_ns = 0
        self._since_ns = time.perf_counter_ns()
        self._is_inside = False

    def watch(self, manager: CacheManager) -> None:
        """Time what is called of a manager from now on, and of the cohorts that it makes.

        What times stands before the manager's own methods, so that a manager that nobody times
        pays nothing for it. A call within a call counts once.
        """
        for name in CALLS:
            self._stand_before(manager, name)
        new_cohort = manager.new_cohort

        def new_timed_cohort() -> Cohort:
            cohort = new_cohort()
            for name in COHORT_CALLS:
                self._stand_before(cohort, name)
            return cohort

        manager.new_cohort = new_timed_cohort  # type: ignore[method-assign]

    def pause(self) -> None:
        """Let time pass that does not count."""
        self._passed_ns += time.perf_counter_ns() - self._since_ns

    def go_on(self) -> None:
        """Time counts again."""
        self._since_ns = time.perf_counter_ns()

    def take(self, step_ns: int) -> tuple[int, int]:
        """End a step that took so long: time in the allocator, and all but the step's own."""
        self.pause()
        taken = self._allocator_ns, max(0, self._passed_ns - step_ns)
        self._allocator_ns = self._passed_ns = 0
        self.go_on()
        return taken

    def _stand_before(self, owner: object, name: str) -> None:
        setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, call: Callable[P, R]) -> Callable[P, R]:
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            if self._is_inside:
                return call(*args, **kwargs)
            self._is_inside, started_ns = True, time.perf_counter_ns()
            try:
                return call(*args, **kwargs)
            finally:
                self._is_inside = False
                self._allocator_ns += time.perf_counter_ns() - started_ns

        return timed
