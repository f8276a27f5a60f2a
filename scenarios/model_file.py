"""Models by name: one TOML file each, in `scenarios/models`."""

from pathlib import Path

from scenarios import catalogue
from scenarios.catalogue import Document
from scenarios.errors import UserError
from scenarios.layers.attention import (
    Attention,
    AttentionLayers,
    LatentAttention,
    SlidingAttention,
)
from scenarios.layers.feed_forward import Mlp, Moe, SharedBlock
from scenarios.layers.kv_dtype import KV_DTYPES
from scenarios.layers.linear_attention import (
    GatedDeltaNet,
    KimiDelta,
    LightningAttention,
    ShortConvolution,
)
from scenarios.layers.mixer import Mixer
from scenarios.layers.state_space import GatedRecurrence, Mamba1, Mamba2
from scenarios.model import (
    STATE_DTYPES,
    WEIGHT_DTYPES,
    Body,
    Dtypes,
    Model,
    PublishedParameters,
)

_FOLDER = Path(__file__).parent / "models"
_ATTENTION: dict[str, type[Attention | LatentAttention]] = {
    "attention": Attention,
    "sliding_attention": SlidingAttention,
    "latent_attention": LatentAttention,
}
MIXERS: dict[str, type[Mixer]] = {
    "mamba1": Mamba1,
    "mamba2": Mamba2,
    "gdn": GatedDeltaNet,
    "kda": KimiDelta,
    "lightning": LightningAttention,
    "short_conv": ShortConvolution,
    "rg_lru": GatedRecurrence,
}
_TABLES = ("model", "dtypes", "mlp", "moe", "shared_block", "parameters")


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
    document.refuse_other_tables((*_TABLES, *_ATTENTION, *MIXERS))
    return Model(
        name=file.stem,
        body=document.build("model", Body),
        dtypes=_read_dtypes(document),
        attention=_read_attention(document),
        state=_read_state(document),
        mlp=document.build_optional("mlp", Mlp),
        moe=document.build_optional("moe", Moe),
        shared_block=document.build_optional("shared_block", SharedBlock),
        published=document.build("parameters", PublishedParameters),
        provenance=document.provenance(),
    )


def _read_dtypes(document: Document) -> Dtypes:
    table = document.table("dtypes")
    dtypes = table.build(Dtypes)
    allowed = {"weights": WEIGHT_DTYPES, "kv": KV_DTYPES, "recurrent_state": STATE_DTYPES}
    for key, names in allowed.items():
        if getattr(dtypes, key) not in names:
            raise table.fault(key, f"must be one of {', '.join(names)}")
    return dtypes


def _read_attention(document: Document) -> tuple[AttentionLayers, ...]:
    """Read every kind of attention that the file has a table of."""
    kinds: list[AttentionLayers] = []
    for name, kind in _ATTENTION.items():
        if name in document.tables:
            kinds.append(document.build(name, kind))
    return tuple(kinds)


def _read_state(document: Document) -> Mixer | None:
    """Read the state layers, whose table is named after the mixer."""
    kinds = [kind for kind in MIXERS if kind in document.tables]
    if len(kinds) > 1:
        raise UserError(f"{document.file.name}: keep one of the tables {', '.join(kinds)}")
    if not kinds and not any(name in document.tables for name in _ATTENTION):
        raise UserError(f"{document.file.name}: give a table [attention] or one of a state layer")
    return document.build(kinds[0], MIXERS[kinds[0]]) if kinds else None
