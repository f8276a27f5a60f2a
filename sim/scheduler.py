"""What a scheduler promises: it decides who runs in the next step."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any

from allocator.design import Design
from allocator.discovery import discover
from allocator.interface import UNBOUNDED_TOKENS
from sim.queue import ArrivalQueue

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.batch import Batch
    from sim.step import StepPlan
    from sim.waiting import WaitingQueue


class Scheduler(Design):
    """Plans steps by acting on a batch.

    Attributes:
        max_tokens: Prompt and output tokens at which a sequence ends, whatever it was to make.
    """

    max_tokens: int = UNBOUNDED_TOKENS

    @abstractmethod
    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of the scheduler's own Options
        """Take the options."""

    def new_queue(self) -> WaitingQueue:
        """An empty queue of the kind that this policy admits from."""
        return ArrivalQueue()

    def objection(self, manager: CacheManager) -> str:
        """Why this policy cannot run over a manager; empty if it can."""
        del manager
        return ""

    def is_quiet(self, batch: Batch) -> bool:
        """Whether the next plans only give each running sequence one token, as the last one did.

        Asked when every running sequence decodes in the last plan. What it says holds until
        something arrives or ends, or there is no room for the next tokens. A policy that cannot
        tell says no, and is asked for every plan.
        """
        del batch
        return False

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
