"""One iteration of the engine: what is computed, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import BackingCounters
    from sim.request import Sequence

FEW = 32
"""Steps up to which a loop prices them sooner than an array."""


class Chunk(NamedTuple):
    """Part of a prompt that one step computes; a tuple, since there are many.

    Attributes:
        sequence: Whose prompt.
        tokens: Tokens computed in this step.
        context_tokens: Tokens computed before.
    """

    sequence: Sequence
    tokens: int
    context_tokens: int


@dataclass(slots=True)
class StepPlan:
    """What one step computes; a scheduler fills it, an executor prices or runs it.

    Attributes:
        decodes: Sequences that make one token each.
        decode_context_tokens: Tokens that those sequences attend to, in all.
        together: Whether they are all that decode, given room together: see `sim.decoding`.
        chunks: Parts of prompts.
        maps: Mappings of physical memory made for the step.
        unmaps: Mappings taken away for the step.
        maps_beside: Mappings made while the step runs, ahead of need.
        unmaps_beside: Mappings taken away while it runs.
        copies: Batched copies of pages made for the step.
        copied_bytes: Bytes of those pages.
        swaps_out: Sequences whose pages go to the host's memory.
        swapped_out_bytes: Bytes of those pages.
        swaps_in: Sequences whose pages come back.
        swapped_in_bytes: Bytes of those pages.
    """

    decodes: list[Sequence] = field(default_factory=list)
    decode_context_tokens: int = 0
    together: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    maps: int = 0
    unmaps: int = 0
    maps_beside: int = 0
    unmaps_beside: int = 0
    copies: int = 0
    copied_bytes: int = 0
    swaps_out: int = 0
    swapped_out_bytes: int = 0
    swaps_in: int = 0
    swapped_in_bytes: int = 0

    def charge(
        self, before: BackingCounters, after: BackingCounters, beside: BackingCounters
    ) -> None:
        """Let the step pay for what a backing was asked.

        Args:
            before: The counters when the last step had been planned.
            after: Those when this step was planned.
            beside: Those when capacity had moved ahead of need.
        """
        self.maps = after.maps - before.maps
        self.unmaps = after.unmaps - before.unmaps
        self.maps_beside = beside.maps - after.maps
        self.unmaps_beside = beside.unmaps - after.unmaps
        self.copies = after.copies - before.copies
        self.copied_bytes = after.copied_bytes - before.copied_bytes

    def __bool__(self) -> bool:
        return bool(self.decodes or self.chunks)


@dataclass(frozen=True, slots=True)
class StepWork:
    """A plan in numbers: all that its duration may depend on, besides memory calls.

    Attributes:
        decodes: Sequences that make one token each.
        attended_tokens: Tokens that those attend to, in all.
        chunks: Parts of prompts.
        chunk_tokens: Tokens of those, in all.
        chunk_pairs: (token, attended token) pairs of chunks: each token sees what came before it
            and itself.
        chunk_read_tokens: Tokens whose KV the chunks read: their context and their own.
    """

    decodes: int = 0
    attended_tokens: int = 0
    chunks: int = 0
    chunk_tokens: int = 0
    chunk_pairs: int = 0
    chunk_read_tokens: int = 0

    @classmethod
    def of(cls, plan: StepPlan) -> StepWork:
        """Add up a plan."""
        chunks = plan.chunks
        if not chunks:
            return cls(len(plan.decodes), plan.decode_context_tokens)
        return cls(
            decodes=len(plan.decodes),
            attended_tokens=plan.decode_context_tokens,
            chunks=len(chunks),
            chunk_tokens=sum(chunk.tokens for chunk in chunks),
            chunk_pairs=sum(map(causal_pairs, chunks)),
            chunk_read_tokens=sum(chunk.context_tokens + chunk.tokens for chunk in chunks),
        )

    @property
    def tokens(self) -> int:
        """Tokens computed."""
        return self.decodes + self.chunk_tokens


def causal_pairs(chunk: Chunk) -> int:
    """(token, attended token) pairs of a chunk: each token sees what came before and itself."""
    return chunk.tokens * chunk.context_tokens + chunk.tokens * (chunk.tokens + 1) // 2


def price_contexts(price_ns: Callable[[Any], Any], plan: StepPlan, repeats: int) -> list[int]:
    """Whole nanoseconds, at least 1, of the steps that follow a plan whose sequences decode again.

    Args:
        price_ns: What a step takes, by the tokens that it attends to: a number, or an array of
            them. It never falls.
        plan: The plan before the first of them.
        repeats: How many.
    """
    num_decodes = len(plan.decodes)
    first = plan.decode_context_tokens + num_decodes
    contexts = range(first, first + num_decodes * repeats, num_decodes)
    if repeats <= FEW:
        priced = [round(price_ns(context)) for context in contexts]
        return priced if priced[0] > 0 else [max(1, price) for price in priced]
    steps_ns = np.rint(price_ns(np.array(contexts, dtype=np.int64)))
    whole_ns: list[int] = np.maximum(steps_ns, 1.0).astype(np.int64).tolist()
    return whole_ns


class StepExecutor(Protocol):
    """Turns a plan into a duration, by a cost table or by running it."""

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds that the step takes, at least 1."""


@runtime_checkable
class StepPricer(StepExecutor, Protocol):
    """An executor that need not run a step to know its duration."""

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """Nanoseconds of the steps that follow if the same sequences decode again and again.

        Entry i is what `execute` says of a plan with the same decodes, one token longer each than
        in entry i - 1, and nothing else: no chunks, and nothing that the backing was asked.

        Args:
            plan: The plan before the first of them; it has no chunks.
            repeats: How many.

        Returns:
            As many, each at least 1.
        """
