"""What a scheduler promises: it decides who runs in the next step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from allocator.discovery import discover

if TYPE_CHECKING:
    from sim.batch import Batch
    from sim.step import StepPlan


class Scheduler(ABC):
    """Plans steps by acting on a batch.

    Class attributes:
        name: What the command line calls it.
        summary: One line on the policy.
        source: Where the policy comes from.
        Options: A frozen dataclass with the policy's options; every field has a default.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    Options: ClassVar[type[Any]]

    @abstractmethod
    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of the scheduler's own Options
        """Take the options."""

    @abstractmethod
    def plan(self, batch: Batch) -> StepPlan:
        """Admit, extend and preempt as needed, and say what the next step computes.

        An empty plan means that nothing can run until something arrives.
        """


@cache
def known_schedulers() -> dict[str, type[Scheduler]]:
    """Every scheduler of `sim.schedulers` by its name, in order of name."""
    from sim import schedulers  # noqa: PLC0415 - the modules found there import this one

    return discover(schedulers, Scheduler)  # type: ignore[type-abstract]
