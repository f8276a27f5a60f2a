"""Selective state spaces: Mamba and Mamba2, and the gated linear recurrence of Griffin."""

from dataclasses import dataclass

from scenarios.layers.sharing import share


@dataclass(frozen=True, slots=True)
class Mamba1:
    """Selective state space with a decay for every channel and state (Mamba, Jamba)."""

    layers: int
    inner_size: int
    state_size: int
    conv_width: int
    dt_rank: int
    inner_norms: bool = True  # Jamba norms dt, B and C

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return d_inner / tp x (d_conv - 1); the family keeps no columns for drafts."""
        del drafts
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
        """Return the weights of one layer."""
        inner, low_rank = self.inner_size, self.dt_rank + 2 * self.state_size
        norms = hidden_size + low_rank * self.inner_norms
        projections = 3 * hidden_size * inner + inner * low_rank + self.dt_rank * inner
        per_channel = self.conv_width + 1 + self.state_size + 2  # conv and bias, A, D, dt bias
        return projections + inner * per_channel + norms


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

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return (heads x head_dim + 2 x G x d_state) / tp x (d_conv - 1 + drafts).

        G is the number of groups, raised to tp where tp does not divide it: every device needs
        whole groups, so they are copied.
        """
        share("state heads", self.heads, tp)
        groups = self.groups if self.groups % tp == 0 else tp
        return (
            (self.inner_size + 2 * groups * self.state_size) // tp * (self.conv_width - 1 + drafts)
        )

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
class GatedRecurrence:
    """Real-gated linear recurrent unit of Griffin (RecurrentGemma): one value a channel."""

    layers: int
    width: int
    heads: int  # blocks of the two gates
    conv_width: int

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return width / tp x (d_conv - 1); the family keeps no columns for drafts."""
        del drafts
        return self.recurrent_elements(tp) * (self.conv_width - 1)

    def recurrent_elements(self, tp: int) -> int:
        """Return width / tp."""
        share("blocks of the recurrence", self.heads, tp)
        return share("channels of the recurrence", self.width, tp)

    def flops_per_token(self) -> int:
        """Return 10 a channel: gates' products, exp, root, and a multiply-add for the state."""
        return 10 * self.width

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer, every projection with its bias."""
        width = self.width
        projections = 2 * (hidden_size + 1) * width + (width + 1) * hidden_size
        gates = 2 * (width * width // self.heads + width) + width
        return projections + gates + width * (self.conv_width + 1) + hidden_size
