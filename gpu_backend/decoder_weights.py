"""The weights of a decoder, as its blocks take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gpu_backend.decoder_shape import BlockKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_backend.decoder_shape import DecoderShape
    from gpu_backend.kernels.views import StateShape

SCALE = 0.02
"""Standard deviation of random weights, that of the usual initialisation."""


@dataclass(frozen=True, slots=True)
class AttentionWeights:
    """Norm (hidden,); qkv ((query + 2 kv heads) x head_dim, hidden); out (hidden, heads x dim)."""

    norm: torch.Tensor
    qkv: torch.Tensor
    out: torch.Tensor


@dataclass(frozen=True, slots=True)
class StateWeights:
    """A Mamba-2 mixer.

    Attributes:
        norm: Shape (hidden,).
        into: Shape (inner + channels + heads, hidden): makes gate, convolution inputs, dt.
        conv: Shape (conv_width, channels), oldest input first.
        conv_bias: Shape (channels,).
        a: float32, shape (heads,): -exp(A_log).
        d: float32, shape (heads,).
        dt_bias: float32, shape (heads,).
        gate_norm: Shape (inner,).
        out: Shape (hidden, inner).
    """

    norm: torch.Tensor
    into: torch.Tensor
    conv: torch.Tensor
    conv_bias: torch.Tensor
    a: torch.Tensor
    d: torch.Tensor
    dt_bias: torch.Tensor
    gate_norm: torch.Tensor
    out: torch.Tensor


@dataclass(frozen=True, slots=True)
class MlpWeights:
    """Norm (hidden,); up (intermediate, hidden), below the gate if there is one; down."""

    norm: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor


BlockWeights = AttentionWeights | StateWeights | MlpWeights


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """Embedding and head (vocabulary, hidden), blocks in order, the last norm (hidden,)."""

    embedding: torch.Tensor
    blocks: tuple[BlockWeights, ...]
    norm: torch.Tensor
    head: torch.Tensor


class RandomWeights:
    """Draws weights of a shape on a device, from a seed."""

    def __init__(self, shape: DecoderShape, device: str, seed: int = 0) -> None:
        self._shape = shape
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def decoder(self) -> DecoderWeights:
        """All weights."""
        shape = self._shape
        makers: dict[BlockKind, Callable[[], BlockWeights]] = {
            BlockKind.ATTENTION: self._attention,
            BlockKind.STATE: self._state,
            BlockKind.MLP: self._mlp,
        }
        return DecoderWeights(
            embedding=self._matrix(shape.vocab_size, shape.hidden_size),
            blocks=tuple(makers[kind]() for kind in shape.blocks),
            norm=self._ones(shape.hidden_size),
            head=self._matrix(shape.vocab_size, shape.hidden_size),
        )

    def _attention(self) -> AttentionWeights:
        hidden, attention = self._shape.hidden_size, self._shape.attention
        dim, heads = attention.kv.head_dim, attention.query_heads
        width = (heads + 2 * attention.kv.kv_heads) * dim
        norm, qkv = self._ones(hidden), self._matrix(width, hidden)
        return AttentionWeights(norm, qkv, self._matrix(hidden, heads * dim))

    def _state(self) -> StateWeights:
        hidden, state = self._shape.hidden_size, self._state_shape()
        width = state.inner_size + state.channels + state.heads
        rates = torch.arange(1, state.heads + 1, device=self._device, dtype=torch.float32)
        return StateWeights(
            norm=self._ones(hidden),
            into=self._matrix(width, hidden),
            conv=self._matrix(state.conv_width, state.channels) / SCALE / state.conv_width,
            conv_bias=self._matrix(1, state.channels)[0],
            a=-rates,
            d=torch.ones_like(rates),
            dt_bias=torch.ones_like(rates),
            gate_norm=self._ones(state.inner_size),
            out=self._matrix(hidden, state.inner_size),
        )

    def _mlp(self) -> MlpWeights:
        hidden, mlp = self._shape.hidden_size, self._shape.mlp
        rows = mlp.intermediate_size * (2 if mlp.gated else 1)
        down = self._matrix(hidden, mlp.intermediate_size)
        return MlpWeights(self._ones(hidden), self._matrix(rows, hidden), down)

    def _state_shape(self) -> StateShape:
        if self._shape.state is None:
            raise ValueError("a decoder with state blocks needs their dimensions")
        return self._shape.state

    def _matrix(self, rows: int, columns: int) -> torch.Tensor:
        made = torch.empty(rows, columns, device=self._device, dtype=self._shape.dtype)
        return made.normal_(0, SCALE, generator=self._generator)

    def _ones(self, size: int) -> torch.Tensor:
        return torch.ones(size, device=self._device, dtype=self._shape.dtype)


def weight_bytes(weights: DecoderWeights) -> int:
    """Bytes that a step reads of the weights: all but the embedding, of which it reads rows."""
    tensors = [weights.norm, weights.head]
    for block in weights.blocks:
        tensors += [getattr(block, name) for name in block.__slots__]
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors)
