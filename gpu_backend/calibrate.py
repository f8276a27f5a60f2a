"""Which steps to measure, and the cost table that fits what they took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_backend.availability import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

BATCHES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
CONTEXTS = (64, 512, 1024, 2048, 4096, 8192)
CHUNK_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
CHUNK_CONTEXTS = (0, 2048, 8192)
MIXED_BATCHES = (8, 64, 192)
MIXED_CONTEXTS = (512, 2048)
MIXED_CHUNKS = ((1, 128), (1, 512), (4, 256), (2, 1024))
FOLDS = 5


@dataclass(frozen=True, slots=True)
class StepShape:
    """A step to measure: sequences that decode, and parts of prompts, all alike.

    Attributes:
        decodes: Sequences that make a token each.
        context_tokens: Tokens that each of those has computed before.
        chunks: Parts of prompts.
        chunk_tokens: Tokens of each part.
        chunk_context_tokens: Tokens computed before each part.
    """

    decodes: int = 0
    context_tokens: int = 0
    chunks: int = 0
    chunk_tokens: int = 0
    chunk_context_tokens: int = 0

    @property
    def computed_tokens(self) -> int:
        """Tokens that the step computes."""
        return self.decodes + self.chunks * self.chunk_tokens

    @property
    def held_tokens(self) -> int:
        """Tokens that the caches hold after it, in all."""
        chunk_end = self.chunk_context_tokens + self.chunk_tokens
        return self.decodes * (self.context_tokens + 1) + self.chunks * chunk_end

    @property
    def longest_tokens(self) -> int:
        """Tokens of its longest sequence."""
        return max(self.context_tokens + 1, self.chunk_context_tokens + self.chunk_tokens)


@dataclass(frozen=True, slots=True)
class Reach:
    """How large a step may be.

    Attributes:
        max_sequences: Sequences of a step.
        max_step_tokens: Tokens that a step computes.
        max_sequence_tokens: Tokens of one sequence.
        max_held_tokens: Tokens of all sequences.
    """

    max_sequences: int
    max_step_tokens: int
    max_sequence_tokens: int
    max_held_tokens: int

    def holds(self, shape: StepShape) -> bool:
        """Whether a step of this shape can be measured."""
        return (
            shape.decodes + shape.chunks <= self.max_sequences
            and shape.computed_tokens <= self.max_step_tokens
            and shape.longest_tokens <= self.max_sequence_tokens
            and shape.held_tokens <= self.max_held_tokens
        )


def designed_steps(reach: Reach) -> list[StepShape]:
    """The grid within reach: decodes by batch and context, prompts by length, and both at once."""
    return [shape for shape in _grid() if reach.holds(shape)]


def _grid() -> Iterator[StepShape]:
    for batch in BATCHES:
        for context in CONTEXTS:
            yield StepShape(batch, context)
    for tokens in CHUNK_TOKENS:
        for context in CHUNK_CONTEXTS:
            yield StepShape(chunks=1, chunk_tokens=tokens, chunk_context_tokens=context)
        yield StepShape(chunks=4, chunk_tokens=tokens // 4)
    for batch in MIXED_BATCHES:
        for context in MIXED_CONTEXTS:
            for chunks, tokens in MIXED_CHUNKS:
                yield StepShape(batch, context, chunks, tokens)


@dataclass(frozen=True, slots=True)
class Fit:
    """What measured steps say of the cost of each term.

    Attributes:
        coefficients: Nanoseconds a unit of each term, 0 or above.
        errors_pct: |predicted - measured| / measured of each step, in percent.
        held_out_pct: The same, each step predicted by a fit that has not seen it.
    """

    coefficients: tuple[float, ...]
    errors_pct: NDArray[np.float64]
    held_out_pct: NDArray[np.float64]


def fit_costs(amounts: NDArray[np.float64], durations_ns: NDArray[np.float64]) -> Fit:
    """Fit non-negative costs so that the relative error of a step counts, whatever its length.

    Minimises the sum of ((predicted - measured) / measured)^2 (Lawson and Hanson's NNLS). The
    held-out errors come from five fits, each without every fifth step of the grid.

    Args:
        amounts: How much of each term each step has, shape (steps, terms).
        durations_ns: What each step took, shape (steps,), above 0.

    Raises:
        ValueError: If there are fewer steps than terms.
        UnavailableError: If scipy is not installed.
    """
    steps, terms = amounts.shape
    if steps < terms:
        raise ValueError(f"{steps} steps say nothing of {terms} terms")
    coefficients = _solve(amounts, durations_ns)
    held_out = np.empty(steps)
    for fold in range(FOLDS):
        seen = np.arange(steps) % FOLDS != fold
        found = _solve(amounts[seen], durations_ns[seen])
        held_out[~seen] = _errors_pct(amounts[~seen] @ found, durations_ns[~seen])
    errors = _errors_pct(amounts @ coefficients, durations_ns)
    return Fit(tuple(coefficients.tolist()), errors, held_out)


def _solve(amounts: NDArray[np.float64], durations_ns: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        from scipy.optimize import nnls  # noqa: PLC0415 - only calibrating needs it
    except ImportError:
        raise UnavailableError("scipy is not installed: install twinpool[gpu]") from None
    relative = amounts / durations_ns[:, None]
    scale = np.abs(relative).max(axis=0)
    scale[scale == 0] = 1.0  # a term that no step has costs nothing
    found, _ = nnls(relative / scale, np.ones(len(durations_ns)))
    coefficients: NDArray[np.float64] = found / scale
    return coefficients


def _errors_pct(
    predicted: NDArray[np.float64], measured: NDArray[np.float64]
) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = 100 * np.abs(predicted - measured) / measured
    return errors


def remap_costs(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What n mappings in a row cost: `batch_ns` once, `unmap_ns` and `map_ns` each.

    Args:
        rows: Of `gpu_backend.mapping_costs.mapping_rows`.
    """
    counts = np.array([row["count"] for row in rows], dtype=np.float64)
    amounts = np.stack([np.ones_like(counts), counts], axis=1)
    unmapping = np.array([row["unmap"]["median_ns"] for row in rows], dtype=np.float64)
    mapping = np.array(
        [row["map"]["median_ns"] + row["access"]["median_ns"] for row in rows], dtype=np.float64
    )
    (once, unmap_ns), (once_more, map_ns) = (
        _solve(amounts, durations) for durations in (unmapping, mapping)
    )
    return {
        "batch_ns": float(once + once_more),
        "unmap_ns": float(unmap_ns),
        "map_ns": float(map_ns),
    }


def copy_costs(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What a batched copy costs: `copy_ns` once, `copied_byte_ns` for each byte.

    Args:
        rows: Of `gpu_backend.primitives.copy_rows`.
    """
    sizes = np.array([row["page_bytes"] * row["count"] for row in rows], dtype=np.float64)
    amounts = np.stack([np.ones_like(sizes), sizes], axis=1)
    durations = np.array([row["device"]["median_ns"] for row in rows], dtype=np.float64)
    once, each = _solve(amounts, durations)
    return {"copy_ns": float(once), "copied_byte_ns": float(each)}
