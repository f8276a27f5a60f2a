"""Linear attention, whose state is a matrix a head, and the short convolution of LFM2."""

from dataclasses import dataclass

from scenarios.layers.sharing import share


@dataclass(frozen=True, slots=True)
class GatedDeltaNet:
    """Linear attention with the gated delta rule (Qwen3-Next, Qwen3.5)."""

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

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return (2 x k_heads x k_dim + v_heads x v_dim) / tp x (d_conv - 1 + drafts)."""
        share("key heads of the state", self.key_heads, tp)
        share("value heads of the state", self.value_heads, tp)
        return self.conv_channels // tp * (self.conv_width - 1 + drafts)

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
class KimiDelta:
    """The gated delta rule with a decay for every channel (Kimi-Linear)."""

    layers: int
    heads: int
    head_dim: int
    conv_width: int

    @property
    def inner_size(self) -> int:
        """Channels of all heads together."""
        return self.heads * self.head_dim

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return 3 x heads x dim / tp x (d_conv - 1 + drafts): queries, keys and values."""
        heads = share("state heads", self.heads, tp)
        return 3 * heads * self.head_dim * (self.conv_width - 1 + drafts)

    def recurrent_elements(self, tp: int) -> int:
        """Return heads / tp x dim^2."""
        return share("state heads", self.heads, tp) * self.head_dim**2

    def flops_per_token(self) -> int:
        """Return 8 an element: a multiply-add each for decay, recall, delta update and readout."""
        return 8 * self.recurrent_elements(1)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: q, k, v, b, two low-rank gates, output, conv, norms."""
        inner, rank = self.inner_size, self.head_dim
        projections = hidden_size * (4 * inner + self.heads)
        gates = 2 * rank * (hidden_size + inner) + inner + self.heads  # with dt bias and A
        return projections + gates + 3 * inner * self.conv_width + rank + hidden_size


@dataclass(frozen=True, slots=True)
class LightningAttention:
    """Linear attention with a fixed decay a head (MiniMax-01)."""

    layers: int
    heads: int
    head_dim: int

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return 0: there is no convolution."""
        del drafts
        share("state heads", self.heads, tp)
        return 0

    def recurrent_elements(self, tp: int) -> int:
        """Return heads / tp x dim^2."""
        return share("state heads", self.heads, tp) * self.head_dim**2

    def flops_per_token(self) -> int:
        """Return 6 an element: a multiply-add each for decay, outer product and readout."""
        return 6 * self.recurrent_elements(1)

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: q, k, v, output gate, output, two norms."""
        inner = self.heads * self.head_dim
        return 5 * hidden_size * inner + inner + hidden_size


@dataclass(frozen=True, slots=True)
class ShortConvolution:
    """A gated convolution over the last few tokens, with no recurrent state (LFM2)."""

    layers: int
    inner_size: int
    conv_width: int

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return d_inner / tp x (d_conv - 1 + drafts)."""
        return share("channels", self.inner_size, tp) * (self.conv_width - 1 + drafts)

    def recurrent_elements(self, tp: int) -> int:
        """Return 0."""
        share("channels", self.inner_size, tp)
        return 0

    def flops_per_token(self) -> int:
        """Return 0: the convolution is among the weights."""
        return 0

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer: two gates and input, output, conv, norm."""
        return self.inner_size * (4 * hidden_size + self.conv_width) + hidden_size
