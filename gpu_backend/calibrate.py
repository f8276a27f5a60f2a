"""Which steps to measure, and the cost table that fits what they took."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_backend.availability import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

BATCHES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
CONTEXTS = (64, 512, 1024, 2048, 4096, 8192)
CHUNK_TOKENS = (16, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)
CHUNK_CONTEXTS = (0, 2048, 8192)
MIXED_BATCHES = (2, 8, 24, 64, 192)
MIXED_CONTEXTS = (1024, 2048)
MIXED_CHUNKS = ((1, 64), (1, 256), (1, 512), (1, 768), (4, 256), (1, 1536), (2, 1024))
FOLDS = 5
FLOOR_QUANTILES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Of the durations of a group: floors that are tried."""

MOST_TURNS = 4
MOST_ERROR_PCT = 50.0
"""That a single step counts when floors are chosen."""


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
        floors_ns: Least nanoseconds of a step of each group, whatever its terms say; 0 for none.
        errors_pct: |predicted - measured| / measured of each step, in percent.
        held_out_pct: The same, each step predicted by a fit that has not seen it.
    """

    coefficients: tuple[float, ...]
    floors_ns: tuple[float, ...]
    errors_pct: NDArray[np.float64]
    held_out_pct: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measurements:
    """Measured steps as arrays.

    Attributes:
        amounts: How much of each term each step has, shape (steps, terms).
        durations_ns: What each step took, shape (steps,), above 0.
        groups: Group of each step, from 0, int, shape (steps,); steps of a group may all take as
            long as the host takes to start their kernels. -1 where the host is never in the way.
    """

    amounts: NDArray[np.float64]
    durations_ns: NDArray[np.float64]
    groups: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> Measurements:
        """Some of the steps."""
        return Measurements(self.amounts[chosen], self.durations_ns[chosen], self.groups[chosen])


def fit_costs(measured: Measurements, num_groups: int = 0) -> Fit:
    """Fit non-negative costs so that the relative error of a step counts, whatever its length.

    A step takes the sum of its terms, or the floor of its group if that is more. Minimises the sum
    of ((predicted - measured) / measured)^2 over the steps above their floor (Lawson and Hanson's
    NNLS); floors are some quantiles of durations, those that leave the least error. The held-out
    errors come from five fits, each without every fifth step of the grid.

    Args:
        measured: The steps.
        num_groups: Groups are below it.

    Raises:
        ValueError: If there are fewer steps than terms.
        UnavailableError: If scipy is not installed.
    """
    steps, terms = measured.amounts.shape
    if steps < terms:
        raise ValueError(f"{steps} steps say nothing of {terms} terms")
    found = _solve_with_floors(measured, num_groups)
    held_out = np.empty(steps)
    for fold in range(FOLDS):
        seen = np.arange(steps) % FOLDS != fold
        part = _solve_with_floors(measured.only(seen), num_groups)
        held_out[~seen] = _errors_of(part, measured.only(~seen))
    coefficients, floors_ns = (tuple(values.tolist()) for values in found)
    return Fit(coefficients, floors_ns, _errors_of(found, measured), held_out)


def predicted_ns(
    coefficients: NDArray[np.float64], floors_ns: NDArray[np.float64], measured: Measurements
) -> NDArray[np.float64]:
    """What a fit says of steps, shape (steps,)."""
    floors = np.append(floors_ns, 0.0)[measured.groups]
    predicted: NDArray[np.float64] = np.maximum(measured.amounts @ coefficients, floors)
    return predicted


def _solve_with_floors(
    measured: Measurements, num_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Costs of terms and floors of groups: of some floors, those with the least relative error."""
    durations, groups = measured.durations_ns, measured.groups
    tried = []
    for group in range(num_groups):
        members = durations[groups == group]
        slow = np.quantile(members, FLOOR_QUANTILES) if len(members) else []
        tried.append([0.0, *slow])
    fits = [_solve_above(measured, np.array(floors)) for floors in product(*tried)]
    return min(fits, key=lambda fit: _total_error_pct(fit, measured))


def _total_error_pct(
    found: tuple[NDArray[np.float64], NDArray[np.float64]], measured: Measurements
) -> float:
    return float(np.minimum(_errors_of(found, measured), MOST_ERROR_PCT).sum())


def _solve_above(
    measured: Measurements, floors_ns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Costs of terms, from the steps that are above their floor by the costs themselves."""
    floors = np.append(floors_ns, 0.0)[measured.groups]
    above = measured.durations_ns > floors
    for _ in range(MOST_TURNS):
        coefficients = _solve(measured.amounts[above], measured.durations_ns[above])
        now = measured.amounts @ coefficients >= floors
        if (now == above).all():
            break
        above = now
    return coefficients, floors_ns


def _errors_of(
    found: tuple[NDArray[np.float64], NDArray[np.float64]], measured: Measurements
) -> NDArray[np.float64]:
    return _errors_pct(predicted_ns(*found, measured), measured.durations_ns)


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
