"""A hybrid decoder whose caches live in the pages of an allocator's pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from gpu_backend.decoder_weights import AttentionWeights, StateWeights
from gpu_backend.kernels.interface import ConvInputs, Rotary, SsmInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpu_backend.decoder_shape import DecoderShape
    from gpu_backend.decoder_weights import DecoderWeights, MlpWeights
    from gpu_backend.kernels.interface import Kernels
    from gpu_backend.kernels.views import KvLayer, Segments, StateLayer

    Advance = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Ragged:
    """What a step computes: decoding sequences first, a token each, then chunks of prompts.

    Attributes:
        tokens: int32, shape (tokens,): all of them, one segment after the other.
        decodes: Segments of one token; None if nobody decodes.
        chunks: Segments of any length; None if there are none.
        wanted: int32 or int64, shape (logits,): tokens whose successor is to be told.
    """

    tokens: torch.Tensor
    decodes: Segments | None
    chunks: Segments | None
    wanted: torch.Tensor


@dataclass(frozen=True, slots=True)
class Caches:
    """Where each attention layer and each state layer keeps what it keeps, in order of layers."""

    kv: Sequence[KvLayer]
    state: Sequence[StateLayer]


class Decoder:
    """Computes a step over caches in pages; the kernels say how and where."""

    def __init__(self, shape: DecoderShape, weights: DecoderWeights, kernels: Kernels) -> None:
        self.shape = shape
        self.weights = weights
        self.kernels = kernels
        self._rotary = Rotary(0, weights.norm.float(), weights.norm.float())

    def reach(self, max_tokens: int) -> None:
        """Prepare the rotations of so many positions."""
        self._rotary = rotary_of(self.shape, max_tokens, str(self.weights.norm.device))

    def logits(self, ragged: Ragged, caches: Caches) -> torch.Tensor:
        """Run a step; returns scores of each wanted token's successor, shape (wanted, vocab)."""
        weights, norm, eps = self.weights, self.kernels.norm, self.shape.norm_eps
        kv, state = iter(caches.kv), iter(caches.state)
        x = functional.embedding(ragged.tokens, weights.embedding)
        added = None
        for block in weights.blocks:
            normed = norm(x, added, block.norm, eps)
            if isinstance(block, AttentionWeights):
                added = self._attention(normed, block, next(kv), ragged)
            elif isinstance(block, StateWeights):
                added = self._state(normed, block, next(state), ragged)
            else:
                added = self._mlp(normed, block)
        last = norm(x, added, weights.norm, eps).index_select(0, ragged.wanted)
        return functional.linear(last, weights.head)

    def _attention(
        self, x: torch.Tensor, weights: AttentionWeights, layer: KvLayer, ragged: Ragged
    ) -> torch.Tensor:
        qkv = functional.linear(x, weights.qkv).unflatten(1, (-1, layer.shape.head_dim))
        out = x.new_empty(x.shape[0], weights.out.shape[1])
        kernels = self.kernels
        for segments, attend in _parts(ragged, kernels.attend, kernels.attend_chunks):
            kernels.store_kv(qkv, layer, segments, self._rotary)
            attend(qkv, layer, segments, out)
        return functional.linear(out, weights.out)

    def _state(
        self, x: torch.Tensor, weights: StateWeights, layer: StateLayer, ragged: Ragged
    ) -> torch.Tensor:
        shape, kernels = layer.shape, self.kernels
        sizes = (shape.inner_size, shape.channels, shape.heads)
        gate, wide, dt = functional.linear(x, weights.into).split(sizes, dim=1)
        conv = ConvInputs(wide, weights.conv, weights.conv_bias)
        mixed, out = x.new_empty(wide.shape), x.new_empty(gate.shape)
        inputs = SsmInputs(mixed, dt, weights.a, weights.d, weights.dt_bias)
        for segments, advance in _parts(ragged, kernels.update_state, kernels.scan):
            kernels.convolve(conv, layer, segments, mixed)
            advance(inputs, layer, segments, out)
        eps = self.shape.norm_eps
        normed = kernels.gated_norm(out, gate, weights.gate_norm, eps, shape.groups)
        return functional.linear(normed, weights.out)

    def _mlp(self, x: torch.Tensor, weights: MlpWeights) -> torch.Tensor:
        wide = functional.linear(x, weights.up)
        gated = self.shape.mlp.gated
        active = self.kernels.gated_silu(wide) if gated else self.kernels.squared_relu(wide)
        return functional.linear(active, weights.down)


def _parts(ragged: Ragged, one: Advance, many: Advance) -> list[tuple[Segments, Advance]]:
    """Segments that there are, each kind with its kernel."""
    parts = ((ragged.decodes, one), (ragged.chunks, many))
    return [(segments, kernel) for segments, kernel in parts if segments is not None]


def rotary_of(shape: DecoderShape, max_tokens: int, device: str) -> Rotary:
    """Rotations of positions below max_tokens, theta^(-2i / dims) a token (arXiv 2104.09864)."""
    rotary = shape.attention.rotary
    steps = torch.arange(0, max(rotary.dims, 2), 2, dtype=torch.float32, device=device)
    frequencies = rotary.theta ** -(steps / max(rotary.dims, 1))
    positions = torch.arange(max_tokens, dtype=torch.float32, device=device)
    angles = positions[:, None] * frequencies
    return Rotary(rotary.dims, angles.cos(), angles.sin())
