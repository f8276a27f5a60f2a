"""What to set for a distribution of lengths: the settings that an engine asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.capacity.engines.sglang import SglangSizing
from scenarios.capacity.engines.vllm import VllmSizing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scenarios.capacity.engine import Sizing
    from traces.record import Trace

MOST_LENGTHS = 4096
"""Lengths that concurrency is asked for; longer traces are represented by as many quantiles."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Prompt and output tokens of requests.

    Attributes:
        name: The trace that they come from.
        tokens: int64, shape (n,), rising.
    """

    name: str
    tokens: NDArray[np.int64]

    @classmethod
    def of(cls, trace: Trace) -> Lengths:
        """The lengths of a trace."""
        tokens = np.sort(trace.prompt_tokens + trace.output_tokens)
        if len(tokens) > MOST_LENGTHS:
            middles = (np.arange(MOST_LENGTHS) + 0.5) / MOST_LENGTHS
            tokens = np.quantile(tokens, middles, method="nearest")
        return cls(trace.name, tokens)

    def concurrency(self, sizing: Sizing) -> float:
        """Requests of these lengths, all grown to their end, that fit at once.

        A request of length L takes 1 / concurrency(L) of the memory; the mean of that is what one
        takes, so its inverse fits. Requests that have not grown yet take less.
        """
        distinct, counts = np.unique(self.tokens, return_counts=True)
        each = [1 / max(sizing.concurrency(int(tokens)), 1e-9) for tokens in distinct]
        return float(1 / np.average(each, weights=counts))


def advice_of(lengths: Lengths, sizing: Sizing) -> dict[str, Any]:
    """Concurrency by these lengths, and the settings that suit them, by the engine's names."""
    settled = lengths.concurrency(sizing)
    advice: dict[str, Any] = {
        "trace": lengths.name,
        "mean_tokens": float(lengths.tokens.mean()),
        "p99_tokens": float(np.percentile(lengths.tokens, 99)),
        "concurrency": settled,
    }
    if isinstance(sizing, VllmSizing):
        advice["max_num_seqs"] = min(max(1, int(settled)), max(1, sizing.num_blocks))
        advice["block_size"] = sizing.plan.block_tokens
        advice["kv_last_block_waste_pct"] = _last_block_waste_pct(lengths, sizing)
    if isinstance(sizing, SglangSizing):
        # Slots and KV are held by running requests, so it is their mean length that counts.
        advice["mamba_full_memory_ratio"] = sizing.balanced_ratio(round(lengths.tokens.mean()))
        advice["max_running_requests"] = sizing.max_running_requests()
    return advice


def _last_block_waste_pct(lengths: Lengths, sizing: VllmSizing) -> float:
    """Room behind the last token, over the room of all blocks of tokens."""
    block = sizing.plan.block_tokens
    room = -(-lengths.tokens // block) * block
    return float(100 * (room - lengths.tokens).sum() / room.sum())
