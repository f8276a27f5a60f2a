"""Step times from a cost table that was measured on a device: nanoseconds for each term of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.step import StepWork, price_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.costs.roofline import RemapCosts
    from sim.step import StepPlan

ATTENDED = "attended_tokens"
KNEES = (32, 64, 96, 128, 160, 192, 256, 384, 512, 1024)
"""Where the cost of one more token may rise: weights are read once a step, so that arithmetic
hides below some number of tokens; a convex line in pieces follows it (roofline model)."""

FEW = 8
"""Products of so few tokens run in narrower kernels, each a little shorter."""

SPLIT_TOKENS = 256
"""That one program of attention reads page by page, before several share a sequence."""

FIRST_ATTENDED = f"first_attended_{SPLIT_TOKENS}"


def _beyond(knee: int) -> Callable[[StepWork], int]:
    return lambda work: max(0, work.tokens - knee)


def _first_attended(work: StepWork) -> int:
    return min(SPLIT_TOKENS, work.attended_tokens // work.decodes) if work.decodes else 0


TERMS: dict[str, Callable[[StepWork], int]] = {
    "steps": lambda _: 1,
    "chunked_steps": lambda work: int(work.chunks > 0),
    "mixed_steps": lambda work: int(work.chunks > 0 and work.decodes > 0),
    "decodes": lambda work: work.decodes,
    f"first_tokens_{FEW}": lambda work: min(work.tokens, FEW),
    "tokens": lambda work: work.tokens,
    **{f"tokens_beyond_{knee}": _beyond(knee) for knee in KNEES},
    "chunks": lambda work: work.chunks,
    "chunk_pairs": lambda work: work.chunk_pairs,
    "chunk_read_tokens": lambda work: work.chunk_read_tokens,
    FIRST_ATTENDED: _first_attended,
    ATTENDED: lambda work: work.attended_tokens,
}
"""How much of each term a step has. In order: weights read and the host's part; what a step with
chunks costs beyond; what it costs that each layer then runs kernels of both kinds, one after the
other; states and sequences; arithmetic of tokens; chunks begun; attention within prompts; KV read
by chunks; what the first programs wait for, one page after the other, in a sequence of mean length;
KV read by decodes.
"""


@dataclass(frozen=True, slots=True)
class LaunchCosts:
    """The least that steps with parts of prompts take, whatever they compute.

    Where they are started kernel by kernel, that is what the host needs for it. Steps in which
    sequences only decode are captured, and start at once.

    Attributes:
        chunks_ns: A step of parts of prompts alone.
        beside_decodes_ns: A step of parts of prompts beside sequences that decode.
    """

    chunks_ns: float = 0.0
    beside_decodes_ns: float = 0.0

    def least_ns(self, work: StepWork) -> float:
        """What a step takes at least."""
        if not work.chunks:
            return 0.0
        return self.beside_decodes_ns if work.decodes else self.chunks_ns


@dataclass(frozen=True, slots=True)
class CostTable:
    """Nanoseconds of work and of memory calls, none below 0.

    Attributes:
        terms: (name, nanoseconds a unit) of terms of `TERMS`.
        remap: Changes of mappings that a step waits for.
        remap_beside: Changes of mappings while a step runs.
        copy_ns: Starting one batched copy of pages.
        copied_byte_ns: Each byte of those pages.
        launch: What steps with parts of prompts take at least.
    """

    terms: tuple[tuple[str, float], ...]
    remap: RemapCosts
    remap_beside: RemapCosts
    copy_ns: float
    copied_byte_ns: float
    launch: LaunchCosts = LaunchCosts()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.terms]
        unknown = sorted(set(names) - TERMS.keys())
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"terms must be some of {', '.join(TERMS)}, each once")
        if any(ns < 0 for _, ns in self.terms):
            raise ValueError("no term costs less than nothing")


class ProfileExecutor:
    """Prices a plan as the sum of its terms, or as what the host needs to start it.

    Changes of mappings and copies count as in `sim.costs.roofline`: those made for the step come
    before it, those made beside it cost nothing unless they take longer than it.
    """

    def __init__(self, table: CostTable) -> None:
        self._table = table
        ns_of = dict(table.terms)
        self._attended_ns = ns_of.pop(ATTENDED, 0.0)
        self._first_attended_ns = ns_of.pop(FIRST_ATTENDED, 0.0)
        self._fixed = [(ns, TERMS[name]) for name, ns in ns_of.items() if ns]

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds of a step; see `sim.step.StepExecutor`."""
        table = self._table
        beside_ns = table.remap_beside.duration_ns(plan.maps_beside, plan.unmaps_beside)
        before_ns = table.remap.duration_ns(plan.maps, plan.unmaps)
        before_ns += plan.copies * table.copy_ns + plan.copied_bytes * table.copied_byte_ns
        work = StepWork.of(plan)
        compute_ns = self._fixed_ns(work)
        if work.decodes:
            compute_ns += self._attention_ns(work.decodes, work.attended_tokens)
        compute_ns = max(compute_ns, table.launch.least_ns(work))
        return max(1, round(before_ns + max(compute_ns, beside_ns)))

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """Nanoseconds of the steps that follow; see `sim.step.StepPricer`.

        Only attended tokens change; the operations are those of `execute`, in its order.
        """
        fixed_ns, num_decodes = self._fixed_ns(StepWork(len(plan.decodes))), len(plan.decodes)
        return price_contexts(
            lambda attended: fixed_ns + self._attention_ns(num_decodes, attended), plan, repeats
        )

    def _attention_ns(self, decodes: int, attended: Any) -> Any:  # noqa: ANN401 - a number, or many
        """What decodes cost beside the tokens of their own, by all that they attend to."""
        mean = attended // decodes
        first = mean - (mean - SPLIT_TOKENS) * (mean > SPLIT_TOKENS)
        return attended * self._attended_ns + first * self._first_attended_ns

    def _fixed_ns(self, work: StepWork) -> float:
        """All terms but those of tokens that decodes attend to."""
        return sum((ns * amount(work) for ns, amount in self._fixed), 0.0)
