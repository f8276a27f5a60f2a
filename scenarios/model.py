"""A model as memory and arithmetic see it: bytes a token, bytes a sequence, weights, FLOPs.

Bytes are those of one tensor-parallel device (`tp` devices share the model); parameters and FLOPs
are those of the whole model, with a multiply-add counted as two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scenarios import catalogue
from scenarios.catalogue import Document, Provenance
from scenarios.errors import UnknownNameError, UserError
from scenarios.layers import (
    Attention,
    GatedDeltaNet,
    Mamba1,
    Mamba2,
    Mixer,
    Mlp,
    Moe,
    SharedBlock,
)

DTYPE_BYTES = {"fp8": 1, "bf16": 2, "fp16": 2, "fp32": 4}
KV_DTYPES = ("bf16", "fp16", "fp8")
STATE_DTYPES = ("bf16", "fp16", "fp32")
AUTO = "auto"  # the model's own default

_FOLDER = Path(__file__).parent / "models"
_MIXERS: dict[str, type[Mamba1 | Mamba2 | GatedDeltaNet]] = {
    "mamba1": Mamba1,
    "mamba2": Mamba2,
    "gdn": GatedDeltaNet,
}


@dataclass(frozen=True, slots=True)
class Body:
    """What all layers share. `parallel` layers run attention and state on one normed input."""

    checkpoint: str
    hidden_size: int
    vocab_size: int
    tied_embeddings: bool
    parallel: bool = False


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
    """One checkpoint; `state`, `mlp`, `moe` and `shared_block` are none where it has no such."""

    name: str
    body: Body
    dtypes: Dtypes
    attention: Attention
    state: Mixer | None
    mlp: Mlp | None
    moe: Moe | None
    shared_block: SharedBlock | None
    published: PublishedParameters
    provenance: tuple[Provenance, ...]

    @property
    def attention_layers(self) -> int:
        """Layers that keep keys and values of every token."""
        return self.attention.layers

    @property
    def state_layers(self) -> int:
        """Layers that keep one state of fixed size a sequence."""
        return self.state.layers if self.state else 0

    def kv_bytes_per_token_per_layer(self, kv_dtype: str = AUTO, tp: int = 1) -> int:
        """Return 2 x max(1, kv_heads / tp) x head_dim x bytes an element, as vLLM does.

        Raises:
            UserError: an unknown dtype, or heads that `tp` devices cannot share.
        """
        element = dtype_bytes("KV dtype", kv_dtype, self.dtypes.kv, KV_DTYPES)
        heads = self.attention.kv_heads_per_device(tp)
        return 2 * heads * self.attention.head_dim * element

    def kv_bytes_per_token(self, kv_dtype: str = AUTO, tp: int = 1) -> int:
        """Return the KV bytes of one token over all attention layers of one device."""
        return self.attention_layers * self.kv_bytes_per_token_per_layer(kv_dtype, tp)

    def conv_bytes_per_layer(self, tp: int = 1) -> int:
        """Return the convolution state of one sequence, layer and device, in the weights' type."""
        return self.state.conv_elements(tp) * DTYPE_BYTES[self.dtypes.weights] if self.state else 0

    def recurrent_bytes_per_layer(self, state_dtype: str = AUTO, tp: int = 1) -> int:
        """Return the recurrent state of one sequence, layer and device.

        Raises:
            UserError: an unknown dtype, or heads that `tp` devices cannot share.
        """
        default = self.dtypes.recurrent_state
        element = dtype_bytes("state dtype", state_dtype, default, STATE_DTYPES)
        return self.state.recurrent_elements(tp) * element if self.state else 0

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
        self.attention.kv_heads_per_device(tp)  # refuses a tp that cannot share the heads
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
        uses = self.mlp.layers if self.mlp else 0
        return self.lm_head_parameters + self._body_parameters(self.attention_layers, uses)

    @property
    def total_parameters(self) -> int:
        """Weights held in memory: a shared block and tied embeddings once."""
        copies = self.shared_block.blocks if self.shared_block else None
        mlp_copies = copies or (self.mlp.layers if self.mlp else 0)
        embeddings = self.embedding_parameters * (1 if self.body.tied_embeddings else 2)
        body = self._body_parameters(copies or self.attention_layers, mlp_copies)
        return embeddings + body + self.expert_parameters

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

        QK^T and PV take a multiply-add each for every query head and head dimension: 4 FLOPs.
        """
        return 4 * self.attention.query_heads * self.attention.head_dim * self.attention_layers

    @property
    def state_flops_per_token(self) -> int:
        """FLOPs of updating and reading the recurrent states of all layers for one token.

        Convolutions are in `dense_parameters`. This is the recurrence; a chunked prefill does more
        arithmetic, in matrix form, for the same result.
        """
        return self.state_layers * self.state.flops_per_token() if self.state else 0

    def _body_parameters(self, attention_blocks: int, mlp_blocks: int) -> int:
        """Return all weights but embeddings, LM head and routed experts."""
        hidden = self.body.hidden_size
        parts = hidden + attention_blocks * self.attention.parameters(hidden)  # with the last norm
        if self.state:
            parts += self.state_layers * self.state.parameters(hidden)
        if self.mlp:
            parts += mlp_blocks * self.mlp.parameters(hidden)
        if self.moe:
            parts += self.moe.layers * self.moe.dense_parameters(hidden)
        if self.shared_block and self.mlp:
            use = self.shared_block.parameters_per_use(hidden, self.mlp.intermediate_size)
            parts += self.attention_layers * use
        # A parallel layer norms once for both of its mixers, and each counted that norm.
        return parts - (hidden * self.attention_layers if self.body.parallel else 0)


def known_models() -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    return catalogue.known_names(_FOLDER)


def load_model(name: str) -> Model:
    """Load a model by name; raise `UnknownNameError` listing the known names, nearest first."""
    return read_model(catalogue.find(_FOLDER, "model", name))


def read_model(file: Path) -> Model:
    """Read a model from a TOML file like those in `scenarios/models`.

    Raises:
        UserError: the file is malformed; the message names file and key.
    """
    document = catalogue.read(file)
    return Model(
        name=file.stem,
        body=document.build("model", Body),
        dtypes=_read_dtypes(document),
        attention=document.build("attention", Attention),
        state=_read_state(document),
        mlp=document.build_optional("mlp", Mlp),
        moe=document.build_optional("moe", Moe),
        shared_block=document.build_optional("shared_block", SharedBlock),
        published=document.build("parameters", PublishedParameters),
        provenance=document.provenance(),
    )


def dtype_bytes(kind: str, name: str, default: str, allowed: Iterable[str]) -> int:
    """Return the bytes of one element; `auto` means `default`.

    Raises:
        UnknownNameError: `name` is neither `auto` nor allowed.
    """
    if name != AUTO and name not in allowed:
        raise UnknownNameError(kind, name, (AUTO, *allowed))
    return DTYPE_BYTES[default if name == AUTO else name]


def _read_dtypes(document: Document) -> Dtypes:
    table = document.table("dtypes")
    dtypes = table.build(Dtypes)
    allowed = {"weights": ("bf16", "fp16"), "kv": KV_DTYPES, "recurrent_state": STATE_DTYPES}
    for key, names in allowed.items():
        if getattr(dtypes, key) not in names:
            raise table.fault(key, f"must be one of {', '.join(names)}")
    return dtypes


def _read_state(document: Document) -> Mixer | None:
    """Read the state layers, whose table is named after the mixer."""
    kinds = [kind for kind in _MIXERS if kind in document.tables]
    if len(kinds) > 1:
        raise UserError(f"{document.file.name}: keep one of the tables {', '.join(kinds)}")
    return document.build(kinds[0], _MIXERS[kinds[0]]) if kinds else None
