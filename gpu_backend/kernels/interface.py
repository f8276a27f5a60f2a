"""The kernels of a decoder, as one object that can be exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from gpu_backend.kernels.views import KvLayer, Segments, StateLayer


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotations by position of the first `dims` dimensions of queries and keys; 0 for none.

    Attributes:
        dims: Dimensions that are rotated; i goes with i + dims / 2.
        cos: float32, shape (positions, dims / 2).
        sin: The same.
    """

    dims: int
    cos: torch.Tensor
    sin: torch.Tensor


@dataclass(frozen=True, slots=True)
class ConvInputs:
    """A causal convolution of each channel apart.

    Attributes:
        x: Shape (tokens, channels); rows may be apart.
        weight: Shape (conv_width, channels), for the oldest input first.
        bias: Shape (channels,).
    """

    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class SsmInputs:
    """What moves the recurrent state of a Mamba-2 layer on.

    Attributes:
        mixed: Output of the convolution, shape (tokens, channels): x, then B and C by group.
        dt: Step sizes before bias and softplus, shape (tokens, heads); rows may be apart.
        a: float32, shape (heads,): decay rate of each head, below 0.
        d: float32, shape (heads,): how much of x passes straight on.
        dt_bias: float32, shape (heads,).
    """

    mixed: torch.Tensor
    dt: torch.Tensor
    a: torch.Tensor
    d: torch.Tensor
    dt_bias: torch.Tensor


class Kernels(Protocol):
    """Everything between the matrix products of a decoder.

    `attend`, `update_state` take segments of at most one token, `attend_chunks`, `scan` any.
    """

    def norm(
        self, x: torch.Tensor, added: torch.Tensor | None, weight: torch.Tensor, eps: float
    ) -> torch.Tensor:
        """Add to x, in place, what is to be added; return the RMS norm of its rows."""

    def gated_norm(
        self, x: torch.Tensor, gate: torch.Tensor, weight: torch.Tensor, eps: float, groups: int
    ) -> torch.Tensor:
        """RMS norm of x silu(gate) within each of the groups of a row."""

    def gated_silu(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the first half of each row, times its second half."""

    def squared_relu(self, x: torch.Tensor) -> torch.Tensor:
        """max(x, 0)^2."""

    def store_kv(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, rotary: Rotary
    ) -> None:
        """Rotate queries in place; write rotated keys, and values, to their pages.

        Args:
            qkv: Shape (tokens, query_heads + 2 kv_heads, head_dim).
            layer: Where to.
            segments: Whose tokens.
            rotary: By how much.
        """

    def attend(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """Attention of one query each over all tokens so far; out: (tokens, heads x head_dim)."""

    def attend_chunks(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """Causal attention of many queries over the pages of their sequence."""

    def convolve(
        self, inputs: ConvInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """SiLU of the causal convolution, shape (tokens, channels); keeps the last inputs."""

    def update_state(
        self, inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """One step of the recurrence; out: (tokens, heads x head_dim)."""

    def scan(
        self, inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """Many steps of the recurrence, in order of tokens."""
