"""Feed-forward layers, dense or of experts, and blocks that several layers share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mlp:
    """Dense feed-forward layers: two matrices, three where the activation is gated."""

    layers: int
    intermediate_size: int
    gated: bool
    biases: bool = False

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer."""
        matrices = feed_forward(hidden_size, self.intermediate_size, gated=self.gated)
        biases = (1 + self.gated) * self.intermediate_size + hidden_size
        return matrices + biases * self.biases + hidden_size


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
    shared_gate: bool = False  # Qwen: a learnt scalar weighs the shared expert
    latent_size: int = 0  # Nemotron-3-Super: routed experts work in a narrower space
    biases: bool = False  # GPT-OSS: of router and experts

    def expert_parameters(self, hidden_size: int) -> int:
        """Return the weights of one routed expert of one layer."""
        inner = self.expert_intermediate_size
        width = self.latent_size or hidden_size
        biases = ((1 + self.gated) * inner + width) * self.biases
        return feed_forward(width, inner, gated=self.gated) + biases

    def dense_parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer every token uses: router, shared experts, norm."""
        shared = feed_forward(hidden_size, self.shared_intermediate_size, gated=self.gated)
        router = (hidden_size + self.biases) * self.experts
        latent = 2 * hidden_size * self.latent_size
        gate = hidden_size * self.shared_gate
        return router + latent + gate + self.shared_experts * shared + hidden_size


@dataclass(frozen=True, slots=True)
class SharedBlock:
    """Attention and MLP of a few blocks used in turn by all their layers (Zamba2).

    Every use has its own low-rank adapter on the MLP's gate and up projection, its own square
    projection from the block back into the model, and in some checkpoints adapters on queries,
    keys and values.
    """

    blocks: int
    adapter_rank: int
    attention_adapters: bool = False

    def parameters_per_use(self, hidden_size: int, intermediate_size: int) -> int:
        """Return the weights that belong to one use and are not shared.

        The attention of the block is twice as wide as the model, at its input and its output.
        """
        attention = 3 * 2 * self.adapter_rank * (2 * hidden_size) * self.attention_adapters
        mlp = self.adapter_rank * (hidden_size + 2 * intermediate_size)
        return mlp + attention + hidden_size**2


def feed_forward(hidden_size: int, intermediate_size: int, *, gated: bool) -> int:
    """Return the weights of up and down projections, and of the gate where there is one."""
    return (3 if gated else 2) * hidden_size * intermediate_size
