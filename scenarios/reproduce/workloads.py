"""The paper's workloads and models by its own names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from scenarios.machine import MachineOptions, cache_spec_of
from scenarios.model_file import read_model
from traces.sharegpt_prompts import ShareGptReplay, read_prompt_counts
from traces.synthetic.agentic_burst import AgenticBurst
from traces.synthetic.mixed_long import MixedLong
from traces.synthetic.uniform_short import UniformShort

if TYPE_CHECKING:
    from allocator.spec import CacheSpec
    from scenarios.model import Model
    from traces.ticks import TickPreset

SEEDS = 3
POOLS_GIB = (1, 4)
MODELS = ("jamba_1_5_mini", "mamba2_1b3")
SHAREGPT = "sharegpt_replay"
_SYNTHETIC: dict[str, tuple[type[UniformShort | MixedLong | AgenticBurst], int]] = {
    "uniform_short": (UniformShort, 1),
    "mixed_long": (MixedLong, 2),
    "agentic_burst": (AgenticBurst, 3),
}
_SHAREGPT_BASE_SEED = 4
SYNTHETIC = tuple(_SYNTHETIC)


@dataclass(frozen=True, slots=True)
class Workload:
    """One stream of requests.

    Attributes:
        name: The paper's name.
        seed: Which of its seeds, from 0; the generator starts from the base seed plus this.
        prompts: File of prompt token counts, for `sharegpt_replay` only.
    """

    name: str
    seed: int
    prompts: Path | None = None

    def preset(self) -> TickPreset:
        """The generator of the stream.

        Raises:
            UserError: If it needs the prompt counts and has no file of them.
            TraceError: If the file is none.
        """
        if self.name in _SYNTHETIC:
            kind, base = _SYNTHETIC[self.name]
            return kind(seed=base + self.seed)
        if self.prompts is None:
            raise UserError(
                f"{SHAREGPT} draws from prompt token counts: give their file (one column,"
                " prompt_tokens) with --sharegpt-prompts"
            )
        return ShareGptReplay(seed=_SHAREGPT_BASE_SEED + self.seed, counts=_counts(self.prompts))


@cache
def _counts(path: Path) -> tuple[int, ...]:
    return tuple(read_prompt_counts(path).tolist())


@cache
def paper_model(name: str) -> Model:
    """A model with the dimensions the paper gave it."""
    return read_model(Path(__file__).parent / "models" / f"{name}.toml")


@cache
def paper_spec(name: str) -> CacheSpec:
    """The cache groups of a model of the paper."""
    return cache_spec_of(paper_model(name), MachineOptions())
