"""What a synthetic trace is: options in, the same requests out for the same options."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from traces.options import Options, about

if TYPE_CHECKING:
    from traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset(Options):
    """One generator of requests; a module in `traces/synthetic` offers one class as `PRESET`.

    Attributes:
        seed: Seed of numpy's `default_rng`; `load_trace` puts the run's seed where none is given.
    """

    source: ClassVar[str]

    seed: int = field(default=0, metadata=about("seed of the generator", low=0))

    @abstractmethod
    def generate(self) -> Trace:
        """The requests; equal options give equal columns on every machine."""
