"""How much a step computes, and how much a captured step has room for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu_backend.sequence_tables import Limits
    from sim.step import Chunk, StepPlan

BATCH_STEP = 8
LEAST_REACH = 512
TOKEN_STEP = 32
MOST_CAPTURED_TOKENS = 768
"""Of steps with parts of prompts. Larger ones take the device longer than the host needs to start
their kernels one by one, even at half its usual speed."""

MOST_CAPTURED_CHUNKS = 16


@dataclass(frozen=True, slots=True)
class StepRoom:
    """Room of a step: what lies in an arena as the host knows it.

    Attributes:
        decodes: Sequences that decode.
        reach: Tokens of the longest of those, with its new one; 0 if there are none.
        chunks: Parts of prompts.
        chunk_tokens: Tokens of the longest part.
        tokens: Tokens of decodes and parts.
        told: Tokens whose successors are told: those of decodes, then ends of prompts.
    """

    decodes: int
    reach: int
    chunks: int
    chunk_tokens: int
    tokens: int
    told: int

    @classmethod
    def of(cls, plan: StepPlan) -> StepRoom:
        """Exactly what a plan takes."""
        parts = [chunk.tokens for chunk in plan.chunks]
        decodes = len(plan.decodes)
        return cls(
            decodes=decodes,
            reach=max((s.computed_tokens for s in plan.decodes), default=-1) + 1,
            chunks=len(parts),
            chunk_tokens=max(parts, default=0),
            tokens=decodes + sum(parts),
            told=decodes + sum(map(completes, plan.chunks)),
        )

    @property
    def is_captured(self) -> bool:
        """Whether a step of this room runs as a graph."""
        few = self.tokens <= MOST_CAPTURED_TOKENS and self.chunks <= MOST_CAPTURED_CHUNKS
        return few or not self.chunks

    def padded(self, limits: Limits) -> StepRoom:
        """A little more room, so that few rooms serve all steps.

        Lanes of sequences that decode: steps of an eighth, powers of two beside parts of prompts.
        Their reach: powers of two. Beside them, where the step is captured, lanes for parts of
        prompts (powers of two) and tokens (multiples of 32).
        """
        lanes = _power_of_two if self.chunks else _batch
        decodes = min(lanes(self.decodes), limits.max_sequences)
        reach = min(_reach(self.reach), limits.max_tokens) if decodes else 0
        room = replace(self, decodes=decodes, reach=reach)
        if not self.chunks:
            return replace(room, tokens=decodes, told=decodes)
        if not self.is_captured:
            return room
        tokens = min(-(-self.tokens // TOKEN_STEP) * TOKEN_STEP, limits.max_step_tokens)
        chunks = min(_power_of_two(self.chunks), limits.max_sequences)
        return StepRoom(decodes, reach, chunks, tokens, tokens, decodes + chunks)


def completes(chunk: Chunk) -> bool:
    """Whether the sequence owes nothing after a part of its prompt, so that a token is made."""
    return chunk.context_tokens + chunk.tokens == chunk.sequence.target_tokens


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length() if count else 0


def _batch(count: int) -> int:
    batch = _power_of_two(count)
    if count > BATCH_STEP:
        step = max(BATCH_STEP, batch // 8)
        batch = -(-count // step) * step
    return batch


def _reach(tokens: int) -> int:
    return max(LEAST_REACH, _power_of_two(tokens))
