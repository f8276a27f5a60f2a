"""What an admission control promises: it raises what a scheduler asks for when it admits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from allocator.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from allocator.interface import Terms
    from sim.request import Sequence


class AdmissionControl(ABC):
    """Stands between any scheduler and the manager, at admissions only.

    Class attributes:
        name: What the command line calls it.
        summary: One line on the design.
        source: Where the design comes from.
        Options: A frozen dataclass with the design's options; every field has a default.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    Options: ClassVar[type[Any]]

    @abstractmethod
    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of the design's own Options
        """Take the options."""

    @abstractmethod
    def raised(self, terms: Terms, head: Sequence, running: List[Sequence]) -> Terms:
        """The terms on which the head of the queue may enter beside those that run.

        Where nobody runs the terms must stay as they are: somebody has to enter.
        """

    @abstractmethod
    def completed(self, sequence: Sequence) -> None:
        """Learn from a sequence that has made all its output."""


@cache
def known_admissions() -> dict[str, type[AdmissionControl]]:
    """Every admission control of `sim.admissions` by its name, in order of name."""
    from sim import admissions  # noqa: PLC0415 - the modules found there import this one

    return discover(admissions, AdmissionControl)  # type: ignore[type-abstract]
