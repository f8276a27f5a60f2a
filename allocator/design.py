"""What every design that can be chosen by name says of itself."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar


class Design(ABC):
    """One way to do a job: an allocator, a scheduler, a router, an admission, a preemption.

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
