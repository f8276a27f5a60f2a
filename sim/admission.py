"""What an admission control promises: it stands before the queue and at admissions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from allocator.design import Design
from allocator.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from allocator.interface import Terms
    from sim.event_log import RejectionReason
    from sim.request import Sequence


class AdmissionControl(Design):
    """Stands between clients and the queue, and between any scheduler and the manager.

    A request that arrives is shown to `refusal`, then, if nobody refuses it, to `delay_ns`. Each
    design overrides what it has to say something about.
    """

    @abstractmethod
    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of the design's own Options
        """Take the options."""

    def refusal(self, sequence: Sequence, now_ns: int, num_waiting: int) -> RejectionReason | None:
        """Why a request that arrives is turned away; None if it is not. Changes nothing.

        Args:
            sequence: The request; its tenant's account counts it already.
            now_ns: The present.
            num_waiting: Requests that wait, this one and those that are delayed included.
        """
        del sequence, now_ns, num_waiting
        return None

    def delay_ns(self, sequence: Sequence, now_ns: int) -> int:
        """Nanoseconds that a request that arrives must wait before it may join the queue."""
        del sequence, now_ns
        return 0

    def raised(self, terms: Terms, head: Sequence, running: List[Sequence]) -> Terms:
        """The terms on which the head of the queue may enter beside those that run.

        Where nobody runs the terms must stay as they are: somebody has to enter.
        """
        del head, running
        return terms

    def raised_within(
        self, most_tokens: int, terms: Terms, head: Sequence, running: List[Sequence]
    ) -> Terms:
        """As `raised`, with room for so many tokens at most: no sequence ever needs more."""
        raised = self.raised(terms, head, running)
        if raised is terms:
            return terms
        return replace(raised, room_tokens=min(raised.room_tokens, most_tokens))

    def completed(self, sequence: Sequence) -> None:
        """Learn from a sequence that has made all its output."""
        del sequence


class AdmissionChain(AdmissionControl):
    """Several controls behind one another, or none: each has its say."""

    def __init__(self, controls: List[AdmissionControl] = ()) -> None:
        self._controls = tuple(controls)

    def refusal(self, sequence: Sequence, now_ns: int, num_waiting: int) -> RejectionReason | None:
        """See `AdmissionControl.refusal`: the first that refuses says why."""
        for control in self._controls:
            reason = control.refusal(sequence, now_ns, num_waiting)
            if reason is not None:
                return reason
        return None

    def delay_ns(self, sequence: Sequence, now_ns: int) -> int:
        """See `AdmissionControl.delay_ns`: the longest."""
        longest_ns = 0
        for control in self._controls:
            longest_ns = max(longest_ns, control.delay_ns(sequence, now_ns))
        return longest_ns

    def raised(self, terms: Terms, head: Sequence, running: List[Sequence]) -> Terms:
        """See `AdmissionControl.raised`: one on top of the other."""
        for control in self._controls:
            terms = control.raised(terms, head, running)
        return terms

    def completed(self, sequence: Sequence) -> None:
        """See `AdmissionControl.completed`."""
        for control in self._controls:
            control.completed(sequence)


@cache
def known_admissions() -> dict[str, type[AdmissionControl]]:
    """Every admission control of `sim.admissions` by its name, in order of name."""
    from sim import admissions  # noqa: PLC0415 - the modules found there import this one

    return discover(admissions, AdmissionControl)  # type: ignore[type-abstract]
