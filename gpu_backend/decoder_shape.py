"""The dimensions of a decoder, and what its caches ask of memory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import torch

from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from gpu_backend.kernels.views import KvShape, StateShape

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""Types by the names that models give them."""

ATTENTION_GROUP = "attention"
STATE_GROUP = "state"
"""Names of the cache groups; those that the simulator gives them."""


class BlockKind(Enum):
    """What a residual block computes."""

    ATTENTION = "attention"
    STATE = "state"
    MLP = "mlp"


@dataclass(frozen=True, slots=True)
class RotaryShape:
    """Rotated dimensions of each head, 0 for none, and the base of their frequencies."""

    dims: int = 0
    theta: float = 10_000.0


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Grouped-query attention; `kv` says how keys and values lie in a page."""

    query_heads: int
    kv: KvShape
    rotary: RotaryShape


@dataclass(frozen=True, slots=True)
class MlpShape:
    """silu(gate) x up, or squared ReLU where there is no gate."""

    intermediate_size: int
    gated: bool


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """A decoder of pre-normed residual blocks.

    Attributes:
        hidden_size: Width of the residual stream.
        vocab_size: Tokens it knows.
        blocks: What each block computes, in order.
        attention: Dimensions of attention blocks.
        state: Dimensions of Mamba-2 blocks; None where there are none.
        mlp: Dimensions of feed-forward blocks.
        dtype: Type of weights and activations.
        norm_eps: Added to the mean square in norms.
    """

    hidden_size: int
    vocab_size: int
    blocks: tuple[BlockKind, ...]
    attention: AttentionShape
    state: StateShape | None
    mlp: MlpShape
    dtype: torch.dtype
    norm_eps: float = 1e-5

    def count(self, kind: BlockKind) -> int:
        """Blocks of a kind."""
        return self.blocks.count(kind)

    def cache_spec(self) -> CacheSpec:
        """One cache group a kind of cache, as the allocators take it."""
        groups = []
        kv = self.attention.kv
        if layers := self.count(BlockKind.ATTENTION):
            kind = CacheKind.ATTENTION
            groups.append(CacheGroup(ATTENTION_GROUP, kind, layers, kv.token_bytes))
        if self.state is not None:
            layers = self.count(BlockKind.STATE)
            groups.append(CacheGroup(STATE_GROUP, CacheKind.STATE, layers, self.state.size_bytes))
        return CacheSpec(tuple(groups), kv.page_tokens)


def in_order(mixers: tuple[int, int], mlps: int) -> tuple[BlockKind, ...]:
    """Blocks of a hybrid, evenly spread: attention among state blocks, MLPs among both.

    The order of blocks matters to what a model says, not to what a step costs.

    Args:
        mixers: Attention and state blocks.
        mlps: Feed-forward blocks.
    """
    attention, state = mixers
    spread = _spread(BlockKind.ATTENTION, attention, (BlockKind.STATE,) * state)
    return _spread(BlockKind.MLP, mlps, spread)


def _spread(kind: BlockKind, count: int, others: tuple[BlockKind, ...]) -> tuple[BlockKind, ...]:
    """Blocks of a kind put behind others, evenly."""
    total = count + len(others)
    left = iter(others)
    return tuple(
        kind if (i + 1) * count // total > i * count // total else next(left) for i in range(total)
    )
