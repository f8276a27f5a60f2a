"""Attention layers: what a token leaves in their caches."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from scenarios.errors import UserError
from scenarios.layers.kv_dtype import ELEMENT_BYTES, head_bytes
from scenarios.layers.sharing import share


class AttentionLayers(Protocol):
    """Layers that keep something of every token, or of the last ones."""

    name: ClassVar[str]
    """Name of the cache group."""

    @property
    def layers(self) -> int:
        """Number of such layers, each place that keeps its own keys and values counted."""
        ...

    @property
    def window(self) -> int:
        """Tokens that a token attends to at most, itself included; 0 for all."""
        ...

    def kv_bytes_per_token(self, kv_dtype: str, tp: int) -> int:
        """Return the bytes one token leaves in one layer on one of tp devices.

        Raises:
            UserError: heads that tp devices cannot share, or a dtype the layer has no form of.
        """
        ...

    def flops_per_pair(self) -> int:
        """Return the FLOPs of one query token meeting one key token in one layer."""
        ...

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer."""
        ...


@dataclass(frozen=True, slots=True)
class Attention:
    """Grouped-query attention; over all tokens, or over the last `window`."""

    name: ClassVar[str] = "attention"

    layers: int
    query_heads: int
    kv_heads: int
    head_dim: int
    input_multiple: int = 1  # Zamba2 feeds the hidden state beside the embedding: twice as wide
    output_gate: bool = False  # Qwen3.5: the query projection also makes a gate as wide as itself
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    sinks: bool = False  # GPT-OSS: a learnt logit a head that takes attention from all tokens
    window: int = 0
    rotary_dims: int = 0  # of each head; 0 where positions are not rotated, or it is not stated
    rotary_theta: float = 10_000.0

    def kv_heads_per_device(self, tp: int) -> int:
        """Return the KV heads one of `tp` devices keeps: a head is copied, never split."""
        share("query heads", self.query_heads, tp)
        if tp % self.kv_heads:
            return share("KV heads", self.kv_heads, tp)
        return 1

    def kv_bytes_per_token(self, kv_dtype: str, tp: int) -> int:
        """Return 2 x max(1, kv_heads / tp) x bytes of a head, as vLLM does."""
        return 2 * self.kv_heads_per_device(tp) * head_bytes(kv_dtype, self.head_dim)

    def flops_per_pair(self) -> int:
        """Return 4 x heads x head_dim: QK^T and PV take a multiply-add each."""
        return 4 * self.query_heads * self.head_dim

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: four projections, their biases and norms."""
        width = self.query_heads * self.head_dim
        inputs = hidden_size * self.input_multiple
        made = width * (2 if self.output_gate else 1) + 2 * self.kv_heads * self.head_dim
        biases = made * self.qkv_bias + hidden_size * self.output_bias
        norms = inputs + (2 * self.head_dim if self.qk_norm else 0)
        return inputs * made + width * hidden_size + biases + norms + self.query_heads * self.sinks


@dataclass(frozen=True, slots=True)
class SlidingAttention(Attention):
    """Attention to the last `window` tokens, beside layers that attend to all."""

    name: ClassVar[str] = "sliding attention"


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention: a token leaves one compressed vector, the same for all heads."""

    name: ClassVar[str] = "latent attention"
    window: ClassVar[int] = 0

    layers: int
    query_heads: int
    latent_dim: int  # kv_lora_rank
    rope_dim: int
    key_dim: int  # of a head, without the rotated part
    value_dim: int
    query_rank: int = 0  # queries come through a narrower space, where it is above 0

    def kv_bytes_per_token(self, kv_dtype: str, tp: int) -> int:
        """Return (latent + rope) x bytes an element: no factor 2, and every device keeps all."""
        share("query heads", self.query_heads, tp)
        if kv_dtype not in ELEMENT_BYTES:
            raise UserError(f"--kv-dtype {kv_dtype} has no form for latent attention: use fp8")
        return (self.latent_dim + self.rope_dim) * ELEMENT_BYTES[kv_dtype]

    def flops_per_pair(self) -> int:
        """Return 4 x heads x latent + 2 x heads x rope: attention is done in latent space."""
        return self.query_heads * (4 * self.latent_dim + 2 * self.rope_dim)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: query, down and up projections, output, two norms."""
        rank, queries = self.query_rank, self.query_heads * (self.key_dim + self.rope_dim)
        query = rank * (hidden_size + queries + 1) if rank else hidden_size * queries
        down = hidden_size * (self.latent_dim + self.rope_dim)
        up = self.latent_dim * self.query_heads * (self.key_dim + self.value_dim)
        output = self.query_heads * self.value_dim * hidden_size
        return query + down + up + output + self.latent_dim + hidden_size
