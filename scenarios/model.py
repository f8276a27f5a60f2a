"""A model as memory and arithmetic see it: bytes a token, bytes a sequence, weights, FLOPs.

Bytes are those of one tensor-parallel device (`tp` devices share the model); parameters and FLOPs
are those of the whole model, with a multiply-add counted as two.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from scenarios.catalogue import Provenance
from scenarios.errors import UnknownNameError
from scenarios.layers.attention import AttentionLayers
from scenarios.layers.feed_forward import Mlp, Moe, SharedBlock
from scenarios.layers.kv_dtype import KV_DTYPES
from scenarios.layers.mixer import Mixer

DTYPE_BYTES = {"fp8": 1, "bf16": 2, "fp16": 2, "fp32": 4}
WEIGHT_DTYPES = ("bf16", "fp16", "fp32")
STATE_DTYPES = ("bf16", "fp16", "fp32")
AUTO = "auto"  # the model's own default


@dataclass(frozen=True, slots=True)
class Body:
    """What all layers share.

    Attributes:
        checkpoint: Name of the checkpoint.
        hidden_size: Width of the residual stream.
        vocab_size: Rows of the embedding.
        tied_embeddings: Whether the LM head is the embedding.
        parallel: Whether layers run attention and state on one normed input.
        sandwich_norms: Whether attention and MLP are normed behind them too (Gemma 3).
        mtp_layers: Layers that predict tokens ahead; not among the layers of the model.
        max_position: Longest context that the checkpoint is made for; 0 if it does not say.
        quantization: How the checkpoint stores its weights; `none` if as its dtype says.
    """

    checkpoint: str
    hidden_size: int
    vocab_size: int
    tied_embeddings: bool
    parallel: bool = False
    sandwich_norms: bool = False
    mtp_layers: int = 0
    max_position: int = 0
    quantization: str = "none"


@dataclass(frozen=True, slots=True)
class Dtypes:
    """Default element types. The convolution's state has the type of the weights."""

    weights: str
    kv: str
    recurrent_state: str


@dataclass(frozen=True, slots=True)
class PublishedParameters:
    """Parameter counts as the publisher states them, often rounded; compared, never used."""

    total: int
    active: int


@dataclass(frozen=True, slots=True)
class Model:
    """One checkpoint; `state`, `mlp`, `moe` and `shared_block` are none where it has no such.

    Attributes:
        name: What the command line calls it.
        body: What all layers share.
        dtypes: Element types unless told otherwise.
        attention: Its attention layers by kind; empty in a model of states only.
        state: Its layers with a state of fixed size.
        mlp: Its dense feed-forward layers.
        moe: Its feed-forward layers of experts.
        shared_block: Blocks that several layers share.
        published: Parameters as the publisher counts them; none where nobody says.
        provenance: Where the figures come from.
    """

    name: str
    body: Body
    dtypes: Dtypes
    attention: tuple[AttentionLayers, ...]
    state: Mixer | None
    mlp: Mlp | None
    moe: Moe | None
    shared_block: SharedBlock | None
    published: PublishedParameters | None
    provenance: tuple[Provenance, ...]

    @property
    def attention_layers(self) -> int:
        """Layers that keep keys and values of tokens."""
        return sum(kind.layers for kind in self.attention)

    @property
    def state_layers(self) -> int:
        """Layers that keep one state of fixed size a sequence."""
        return self.state.layers if self.state else 0

    def kv_layer_bytes(self, kv_dtype: str = AUTO, tp: int = 1) -> tuple[int, ...]:
        """Return the KV bytes of one token in one layer of each kind of attention.

        Raises:
            UserError: an unknown dtype, or heads that `tp` devices cannot share.
        """
        dtype = resolved("KV dtype", kv_dtype, self.dtypes.kv, KV_DTYPES)
        return tuple(kind.kv_bytes_per_token(dtype, tp) for kind in self.attention)

    def kv_bytes_per_token(self, kv_dtype: str = AUTO, tp: int = 1) -> int:
        """Return the KV bytes of one token over all attention layers of one device."""
        by_kind = zip(self.attention, self.kv_layer_bytes(kv_dtype, tp), strict=True)
        return sum(kind.layers * layer_bytes for kind, layer_bytes in by_kind)

    def conv_bytes_per_layer(self, tp: int = 1, drafts: int = 0) -> int:
        """Return the convolution state of one sequence, layer and device.

        It has the type that the model computes in, whatever its weights are quantised to.
        """
        element = DTYPE_BYTES[self.dtypes.weights]
        return self.state.conv_elements(tp, drafts) * element if self.state else 0

    def recurrent_bytes_per_layer(self, state_dtype: str = AUTO, tp: int = 1) -> int:
        """Return the recurrent state of one sequence, layer and device.

        Raises:
            UserError: an unknown dtype, or heads that `tp` devices cannot share.
        """
        default = self.dtypes.recurrent_state
        dtype = resolved("state dtype", state_dtype, default, STATE_DTYPES)
        return self.state.recurrent_elements(tp) * DTYPE_BYTES[dtype] if self.state else 0

    def state_bytes_per_layer(self, state_dtype: str = AUTO, tp: int = 1) -> int:
        """Return convolution and recurrent state of one sequence, layer and device."""
        return self.conv_bytes_per_layer(tp) + self.recurrent_bytes_per_layer(state_dtype, tp)

    def state_bytes_per_sequence(self, state_dtype: str = AUTO, tp: int = 1) -> int:
        """Return the state of one sequence over all state layers of one device."""
        return self.state_layers * self.state_bytes_per_layer(state_dtype, tp)

    def weight_bytes(self, tp: int = 1) -> int:
        """Return one device's part of the weights: an even share, rounded up.

        Norms, and KV projections where tp exceeds the KV heads, are in fact copied to every
        device; that is under 1 % of any model here.
        """
        self.kv_layer_bytes(tp=tp)  # refuses a tp that cannot share the heads
        return -(-self.total_parameters * DTYPE_BYTES[self.dtypes.weights] // tp)

    @property
    def num_experts(self) -> int:
        """Routed experts a MoE layer has; 0 without such layers."""
        return self.moe.experts if self.moe else 0

    @property
    def experts_per_token(self) -> int:
        """Routed experts a token passes in a MoE layer; 0 without such layers."""
        return self.moe.experts_per_token if self.moe else 0

    @property
    def expert_parameters(self) -> int:
        """Weights of all routed experts of all MoE layers."""
        if self.moe is None:
            return 0
        one = self.moe.expert_parameters(self.body.hidden_size)
        return self.moe.layers * self.moe.experts * one

    @property
    def feed_forward_parameters(self) -> int:
        """Weights of all dense feed-forward layers and all experts, as held in memory."""
        hidden, copies = self.body.hidden_size, self.shared_block.blocks if self.shared_block else 0
        dense = (copies or self.mlp.layers) * self.mlp.parameters(hidden) if self.mlp else 0
        routed = self.moe.layers * self.moe.dense_parameters(hidden) if self.moe else 0
        return dense + routed + self.expert_parameters

    @property
    def embedding_parameters(self) -> int:
        """Weights of the token embedding: looked up, never multiplied."""
        return self.body.vocab_size * self.body.hidden_size

    @property
    def lm_head_parameters(self) -> int:
        """Weights multiplied to make the logits of one token, tied to the embedding or not."""
        return self.embedding_parameters

    @property
    def dense_parameters(self) -> int:
        """Weights read and multiplied for every token: all but routed experts.

        The LM head counts once (`lm_head_parameters`; a prefill applies it to its last token
        only), the embedding lookup not at all. A shared block counts at every use, as it is read
        and multiplied anew. Norms and convolutions count. The FLOPs a token are twice this.
        """
        return self.lm_head_parameters + self._body_parameters(copies=None)

    @property
    def total_parameters(self) -> int:
        """Weights held in memory: a shared block and tied embeddings once."""
        copies = self.shared_block.blocks if self.shared_block else None
        embeddings = self.embedding_parameters * (1 if self.body.tied_embeddings else 2)
        return embeddings + self._body_parameters(copies) + self.expert_parameters

    @property
    def active_parameters(self) -> int:
        """Weights held in memory that one token uses, embeddings counted, as publishers do."""
        if self.moe is None:
            return self.total_parameters
        unused = self.num_experts - self.experts_per_token
        return self.total_parameters - self.expert_parameters * unused // self.num_experts

    @property
    def attention_flops_per_token_pair(self) -> int:
        """FLOPs of one query token meeting one key token in all attention layers.

        A layer with a window meets fewer pairs; it is counted as if it met all.
        """
        return sum(kind.layers * kind.flops_per_pair() for kind in self.attention)

    @property
    def state_flops_per_token(self) -> int:
        """FLOPs of updating and reading the recurrent states of all layers for one token.

        Convolutions are in `dense_parameters`. This is the recurrence; a chunked prefill does more
        arithmetic, in matrix form, for the same result.
        """
        return self.state_layers * self.state.flops_per_token() if self.state else 0

    def _body_parameters(self, copies: int | None) -> int:
        """Return all weights but embeddings, LM head and routed experts.

        Args:
            copies: Blocks of attention and MLP that are held; none counts each of their uses.
        """
        hidden = self.body.hidden_size
        parts = hidden  # the last norm
        parts += sum((copies or kind.layers) * kind.parameters(hidden) for kind in self.attention)
        if self.state:
            parts += self.state.layers * self.state.parameters(hidden)
        if self.mlp:
            parts += (copies or self.mlp.layers) * self.mlp.parameters(hidden)
        if self.moe:
            parts += self.moe.layers * self.moe.dense_parameters(hidden)
        if self.shared_block and self.mlp:
            use = self.shared_block.parameters_per_use(hidden, self.mlp.intermediate_size)
            parts += self.attention_layers * use
        return parts + hidden * self._more_norms()

    def _more_norms(self) -> int:
        """Return norms beyond one a mixer and one a feed-forward layer; below 0 for fewer."""
        more = 2 * self.attention_layers if self.body.sandwich_norms else 0
        # A parallel layer norms once for both of its mixers, and each counted that norm.
        return more - (self.attention_layers if self.body.parallel else 0)


def resolved(kind: str, name: str, default: str, allowed: Iterable[str]) -> str:
    """Return the name of an element type; `auto` means `default`.

    Raises:
        UnknownNameError: `name` is neither `auto` nor allowed.
    """
    if name == AUTO:
        return default
    if name not in allowed:
        raise UnknownNameError(kind, name, (AUTO, *allowed))
    return name
