"""The cache groups that vLLM makes of a model, and the blocks that its kernels take at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.spec import CacheGroup, CacheKind, ceil_div
from scenarios.layers.attention import LatentAttention

if TYPE_CHECKING:
    from scenarios.capacity.engine import Question
    from scenarios.model import Model

KERNEL_BLOCK = 16
LATENT_BLOCK, LATENT_BLOCK_LATER = 64, 128
"""Tokens of latent attention's smallest block, until vLLM 0.33 and from then on."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Speculation.

    Attributes:
        tokens: Tokens drafted a step; each takes a column more of every convolution.
        attention_layers: Attention layers of the draft; -1 for the model's own if it drafts.
    """

    tokens: int
    attention_layers: int

    def layers_for(self, model: Model) -> int:
        """Attention layers that come beside those of a model."""
        if self.attention_layers >= 0:
            return self.attention_layers
        return model.body.mtp_layers if self.tokens else 0


def cache_groups(question: Question, drafts: Drafts) -> list[tuple[CacheGroup, int | None]]:
    """Each group with its window, 0 for none; None marks states. Draft layers attend to all."""
    model, tp = question.model, question.tp
    extra = drafts.layers_for(model)
    groups: list[tuple[CacheGroup, int | None]] = []
    layer_bytes = model.kv_layer_bytes(question.kv_dtype, tp)
    for kind, size in zip(model.attention, layer_bytes, strict=True):
        layers = kind.layers + (0 if kind.window else extra)
        groups.append((CacheGroup(kind.name, CacheKind.ATTENTION, layers, size), kind.window))
    if model.state is not None:
        size = model.conv_bytes_per_layer(tp, drafts.tokens)
        size += model.recurrent_bytes_per_layer(question.state_dtype, tp)
        groups.append((CacheGroup("state", CacheKind.STATE, model.state_layers, size), None))
    return groups


def kernel_block(model: Model, configured: int, *, is_later: bool) -> int:
    """A: what the attention backend takes at least, or as configured if that is larger."""
    smallest = KERNEL_BLOCK
    if any(isinstance(kind, LatentAttention) for kind in model.attention):
        smallest = LATENT_BLOCK_LATER if is_later else LATENT_BLOCK
    return ceil_div(max(smallest, configured), smallest) * smallest
