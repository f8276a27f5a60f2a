"""The layers a hybrid model is made of: what each stores per token or sequence, and its weights.

Every `parameters(hidden_size)` counts one layer with the norm that stands in front of it, after the
`transformers` 5.23.0 modelling code of the families named. State sizes follow vLLM: the recurrent
state keeps one value an element, the convolution its last `conv_width - 1` inputs.
"""

from dataclasses import dataclass
from typing import Protocol

from scenarios.errors import UserError


@dataclass(frozen=True, slots=True)
class Attention:
    """Attention layers; `layers` counts each place that keeps its own keys and values."""

    layers: int
    query_heads: int
    kv_heads: int
    head_dim: int
    input_multiple: int = 1  # Zamba2 feeds the hidden state beside the embedding: twice as wide
    output_gate: bool = False  # Qwen3.5: the query projection also makes a gate as wide as itself
    qk_norm: bool = False

    def kv_heads_per_device(self, tp: int) -> int:
        """Return the KV heads one of `tp` devices keeps: a head is copied, never split."""
        share("query heads", self.query_heads, tp)
        if tp % self.kv_heads:
            return share("KV heads", self.kv_heads, tp)
        return 1

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: four projections and their norms."""
        width = self.query_heads * self.head_dim
        inputs = hidden_size * self.input_multiple
        query = width * (2 if self.output_gate else 1)
        key_value = 2 * self.kv_heads * self.head_dim
        norms = inputs + (2 * self.head_dim if self.qk_norm else 0)
        return inputs * (query + key_value) + width * hidden_size + norms


class Mixer(Protocol):
    """A layer whose memory of a sequence is a state of fixed size."""

    @property
    def layers(self) -> int:
        """Number of such layers."""
        ...

    def conv_elements(self, tp: int) -> int:
        """Return the convolution inputs kept for one sequence, layer and device."""
        ...

    def recurrent_elements(self, tp: int) -> int:
        """Return the elements of the recurrent state of one sequence, layer and device."""
        ...

    def flops_per_token(self) -> int:
        """Return what updating and reading one layer's recurrent state takes for one token."""
        ...

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer."""
        ...


@dataclass(frozen=True, slots=True)
class Mamba1:
    """Selective state space with a decay for every channel and state (Jamba)."""

    layers: int
    inner_size: int
    state_size: int
    conv_width: int
    dt_rank: int

    def conv_elements(self, tp: int) -> int:
        """Return d_inner / tp x (d_conv - 1)."""
        return share("state channels", self.inner_size, tp) * (self.conv_width - 1)

    def recurrent_elements(self, tp: int) -> int:
        """Return d_inner / tp x d_state."""
        return share("state channels", self.inner_size, tp) * self.state_size

    def flops_per_token(self) -> int:
        """Return 8 an element: a multiply-add each for decay, input and readout, and exp(dt A).

        The decay differs from element to element, so its product and exponential are made there.
        """
        return 8 * self.recurrent_elements(1)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer, with Jamba's norms of dt, B and C."""
        inner, low_rank = self.inner_size, self.dt_rank + 2 * self.state_size
        projections = 3 * hidden_size * inner + inner * low_rank + self.dt_rank * inner
        per_channel = self.conv_width + 1 + self.state_size + 2  # conv and bias, A, D, dt bias
        return projections + inner * per_channel + low_rank + hidden_size


@dataclass(frozen=True, slots=True)
class Mamba2:
    """Selective state space with one decay a head (Bamba, Nemotron-H, Zamba2, Granite, Falcon)."""

    layers: int
    heads: int
    head_dim: int
    state_size: int
    groups: int
    conv_width: int
    gated_norm: bool = True

    @property
    def inner_size(self) -> int:
        """Channels of all heads together."""
        return self.heads * self.head_dim

    def conv_elements(self, tp: int) -> int:
        """Return (heads x head_dim + 2 x G x d_state) / tp x (d_conv - 1).

        G is the number of groups, raised to tp where tp does not divide it: every device needs
        whole groups, so they are copied.
        """
        share("state heads", self.heads, tp)
        groups = self.groups if self.groups % tp == 0 else tp
        return (self.inner_size + 2 * groups * self.state_size) // tp * (self.conv_width - 1)

    def recurrent_elements(self, tp: int) -> int:
        """Return heads / tp x head_dim x d_state."""
        return share("state heads", self.heads, tp) * self.head_dim * self.state_size

    def flops_per_token(self) -> int:
        """Return 6 x d_inner x d_state: a multiply-add each for decay, outer product, readout."""
        return 6 * self.recurrent_elements(1)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: z, x, B, C, dt in; one projection out; conv, bias."""
        channels = self.inner_size + 2 * self.groups * self.state_size
        projections = hidden_size * (2 * self.inner_size + channels + self.heads)
        norms = hidden_size + (self.inner_size if self.gated_norm else 0)
        return projections + channels * (self.conv_width + 1) + 3 * self.heads + norms


@dataclass(frozen=True, slots=True)
class GatedDeltaNet:
    """Linear attention with the gated delta rule (Qwen3.5)."""

    layers: int
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_width: int

    @property
    def conv_channels(self) -> int:
        """Channels of queries, keys and values together."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    def conv_elements(self, tp: int) -> int:
        """Return (2 x k_heads x k_dim + v_heads x v_dim) / tp x (d_conv - 1)."""
        share("key heads of the state", self.key_heads, tp)
        share("value heads of the state", self.value_heads, tp)
        return self.conv_channels // tp * (self.conv_width - 1)

    def recurrent_elements(self, tp: int) -> int:
        """Return v_heads / tp x v_dim x k_dim."""
        value_heads = share("value heads of the state", self.value_heads, tp)
        return value_heads * self.value_dim * self.key_dim

    def flops_per_token(self) -> int:
        """Return 8 an element: a multiply-add each for decay, recall, delta update and readout."""
        return 8 * self.recurrent_elements(1)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: q, k, v, z, a, b in; one projection out; no biases."""
        value = self.value_heads * self.value_dim
        projections = hidden_size * (self.conv_channels + 2 * value + 2 * self.value_heads)
        small = self.conv_channels * self.conv_width + 2 * self.value_heads + self.value_dim
        return projections + small + hidden_size


@dataclass(frozen=True, slots=True)
class Mlp:
    """Dense feed-forward layers: two matrices, three where the activation is gated."""

    layers: int
    intermediate_size: int
    gated: bool

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer."""
        return feed_forward(hidden_size, self.intermediate_size, gated=self.gated) + hidden_size


@dataclass(frozen=True, slots=True)
class Moe:
    """Feed-forward layers of routed experts, with shared experts that every token passes."""

    layers: int
    experts: int
    experts_per_token: int
    expert_intermediate_size: int
    gated: bool
    shared_experts: int = 0
    shared_intermediate_size: int = 0

    def expert_parameters(self, hidden_size: int) -> int:
        """Return the weights of one routed expert of one layer."""
        return feed_forward(hidden_size, self.expert_intermediate_size, gated=self.gated)

    def dense_parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer every token uses: router, shared experts, norm."""
        shared = feed_forward(hidden_size, self.shared_intermediate_size, gated=self.gated)
        return hidden_size * self.experts + self.shared_experts * shared + hidden_size


@dataclass(frozen=True, slots=True)
class SharedBlock:
    """Attention and MLP of a few blocks used in turn by all their layers (Zamba2).

    Every use has its own low-rank adapter on the MLP's gate and up projection and its own square
    projection from the block back into the model.
    """

    blocks: int
    adapter_rank: int

    def parameters_per_use(self, hidden_size: int, intermediate_size: int) -> int:
        """Return the weights that belong to one use and are not shared."""
        return self.adapter_rank * (hidden_size + 2 * intermediate_size) + hidden_size**2


def feed_forward(hidden_size: int, intermediate_size: int, *, gated: bool) -> int:
    """Return the weights of up and down projections, and of the gate where there is one."""
    return (3 if gated else 2) * hidden_size * intermediate_size


def share(what: str, count: int, tp: int) -> int:
    """Return one device's share of `count`; raise `UserError` where tp devices cannot share it."""
    if tp < 1 or count % tp:
        raise UserError(f"--tp {tp} cannot split {count} {what}: use a divisor of {count}")
    return count // tp
