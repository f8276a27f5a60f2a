"""One cell of the paper's grid: an allocator, a stream, a model, a pool size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB
from scenarios.reproduce.assembly import Setup
from scenarios.reproduce.figures import figures_of
from scenarios.reproduce.fixes import relevant
from scenarios.reproduce.workloads import Workload, paper_spec
from scenarios.version import code_digest

if TYPE_CHECKING:
    from scenarios.reproduce.variants import Variant

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PaperCell:
    """What determines a run.

    Attributes:
        variant: The allocator.
        workload: The stream.
        model: The paper's name of the model.
        pool_gib: The budget.
        fixes: Names of habits that are fixed.
    """

    variant: Variant
    workload: Workload
    model: str
    pool_gib: int
    fixes: frozenset[str] = frozenset()

    @property
    def setup(self) -> Setup:
        """The allocator on its budget, with those fixes that concern it."""
        fixes = relevant(self.fixes, self.variant)
        budget_bytes = self.pool_gib * GIB // self.variant.divisor
        return Setup(paper_spec(self.model), budget_bytes, self.variant, fixes)

    @property
    def place(self) -> Row:
        """What names the cell in a table, but for its fixes."""
        return {
            "variant": self.variant.label,
            "workload": self.workload.name,
            "model": self.model,
            "pool_gib": self.pool_gib,
            "seed": self.workload.seed,
        }

    def digest(self) -> str:
        """SHA-256 (hex) of everything that determines the result, the code included.

        Fixes that do not concern the variant leave it as it is, and so does where the file of
        prompt counts lies.
        """
        stream = self.workload.preset()
        setup = self.setup
        described = (setup.spec, setup.budget_bytes, setup.variant, sorted(setup.fixes), stream)
        sources = (code_digest(), assembly_digest())
        return hashlib.sha256(repr((sources, self.place, described)).encode()).hexdigest()

    def run(self) -> Row:
        """Run the stream; returns the figures of the run with the place and the digest."""
        stream = self.workload.preset().ticks()
        log = self.setup.open_loop().run(stream)
        figures = figures_of(log, len(stream.arrival_ticks))
        return {**self.place, "digest": self.digest(), **figures}


@cache
def assembly_digest() -> str:
    """SHA-256 (hex) of what puts variants together."""
    sha = hashlib.sha256()
    for name in ("assembly.py", "figures.py", "fixes.py", "cell.py"):
        sha.update(Path(__file__).with_name(name).read_bytes())
    return sha.hexdigest()
