"""What a way of preemption promises: where the tokens of a victim go, and what comes back."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from allocator.design import Design
from allocator.discovery import discover
from sim.event_log import EventKind

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from allocator.spec import CacheSpec
    from sim.costs.host_link import HostMemory
    from sim.event_log import Loss
    from sim.request import Sequence
    from sim.step import StepPlan, StepPricer

    Row = tuple[EventKind, tuple[int, ...]]
    """Kind and values."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a way of preemption has to go by.

    Attributes:
        spec: Bytes of a token and of a state.
        host: Memory beside the device.
        executor: Prices steps in which nothing is swapped.
    """

    spec: CacheSpec
    host: HostMemory
    executor: StepPricer


class Transfer(NamedTuple):
    """One sequence's pages on their way, in the order of the log's columns.

    Attributes:
        num_bytes: What moves.
        held_bytes: What the host holds of all sequences from then on.
        duration_ns: Time on the link.
    """

    num_bytes: int
    held_bytes: int
    duration_ns: int


class Preemption(Design):
    """Decides, whoever the victim is, whether its tokens are computed again or kept elsewhere."""

    @classmethod
    @abstractmethod
    def build(cls, options: Any, means: Means) -> Preemption:  # noqa: ANN401 - an instance of the design's own Options
        """One for a run."""

    @abstractmethod
    def priced(self, executor: StepPricer) -> StepPricer:
        """An executor that prices what this does, beside what another one prices."""

    @abstractmethod
    def objection(self, manager: CacheManager) -> str:
        """Why this cannot work over a manager; empty if it can."""

    def suspend(self, sequence: Sequence) -> list[Row]:
        """Turn a victim, which has just lost its pages, into one that can wait.

        Returns:
            The rows that say so, in order.
        """
        loss, transfer = self._keep(sequence)
        rows: list[Row] = [
            (EventKind.PREEMPTION, (sequence.computed_tokens, sequence.made_tokens, loss))
        ]
        if transfer is not None:
            rows.append((EventKind.SWAP_OUT, transfer))
        sequence.suspend(keeps_tokens=transfer is not None)
        return rows

    @abstractmethod
    def _keep(self, sequence: Sequence) -> tuple[Loss, Transfer | None]:
        """Decide on a victim; what is kept stays kept until it resumes or is dropped."""

    @abstractmethod
    def resume(self, sequence: Sequence) -> Transfer:
        """Bring back what is kept of a sequence, which has room for it again.

        Raises:
            KeyError: If nothing is kept of it.
        """

    @abstractmethod
    def drop(self, sequence: Sequence) -> None:
        """Forget what is kept of a sequence, if anything."""

    @abstractmethod
    def charge(self, plan: StepPlan) -> None:
        """Let a step pay for all that moved since the last one that did."""

    @abstractmethod
    def check_integrity(self) -> None:
        """Raise AssertionError if what is kept is miscounted."""


@cache
def known_preemptions() -> dict[str, type[Preemption]]:
    """Every way of preemption of `sim.preemptions` by its name, in order of name."""
    from sim import preemptions  # noqa: PLC0415 - the modules found there import this one

    return discover(preemptions, Preemption)  # type: ignore[type-abstract]
