"""What a family of architectures promises, and how its parts become a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from allocator.discovery import discover
from scenarios.layers.attention import Attention, AttentionLayers, SlidingAttention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.hf_config.config import Config
    from scenarios.layers.feed_forward import Mlp, Moe, SharedBlock
    from scenarios.layers.mixer import Mixer


@dataclass(frozen=True, slots=True)
class Parts:
    """The layers that a config describes.

    Attributes:
        attention: Attention layers by kind.
        state: Layers with a state of fixed size.
        mlp: Dense feed-forward layers.
        moe: Feed-forward layers of experts.
        shared_block: Blocks that several layers share.
        recurrent_state: Element type of the recurrent state in vLLM; empty for the model's own.
        tied_embeddings: What a missing `tie_word_embeddings` means to the family's class.
        parallel: Whether layers run attention and state on one normed input.
        sandwich_norms: Whether attention and MLP are normed behind them too.
        mtp_layers: Layers that predict tokens ahead.
    """

    attention: tuple[AttentionLayers, ...] = ()
    state: Mixer | None = None
    mlp: Mlp | None = None
    moe: Moe | None = None
    shared_block: SharedBlock | None = None
    recurrent_state: str = ""
    tied_embeddings: bool = False
    parallel: bool = False
    sandwich_norms: bool = False
    mtp_layers: int = 0


class Family(ABC):
    """Reads the configs of one family.

    Class attributes:
        name: Name of the family.
        model_types: Values of `model_type` that it reads.
    """

    name: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]

    @abstractmethod
    def parts(self, config: Config) -> Parts:
        """The layers of a config.

        Raises:
            UserError: A field is missing, malformed, or contradicts another.
        """


@cache
def known_families() -> dict[str, type[Family]]:
    """Every family by each `model_type` that it reads."""
    from scenarios.hf_config import families  # noqa: PLC0415 - the modules found there import this one

    found = discover(families, Family)  # type: ignore[type-abstract]
    return {kind: family for family in found.values() for kind in family.model_types}


def grouped_attention(config: Config, layers: int, **features: bool) -> tuple[Attention, ...]:
    """Grouped-query attention by the usual field names; empty for no layers.

    Raises:
        UserError: A field is missing, or heads do not divide.
    """
    if not layers:
        return ()
    heads = config.count("num_attention_heads")
    kv_heads = config.count("num_key_value_heads", default=heads)
    if heads % kv_heads:
        raise config.fault("num_key_value_heads", f"{kv_heads} does not divide {heads} heads")
    if config.first("head_dim", "attention_head_dim"):
        head_dim = config.count("head_dim", "attention_head_dim")
    else:
        head_dim = config.divided("head_dim", config.count("hidden_size"), heads)
    return (Attention(layers, heads, kv_heads, head_dim, **features),)


def rotated(config: Config, attention: tuple[Attention, ...]) -> tuple[Attention, ...]:
    """The same attention with positions rotated as the config says: how many dims, and how fast."""
    rope = config.part("rope_parameters") or config.part("rope_scaling") or config
    theta = rope.number("rope_theta", default=config.number("rope_theta", default=10_000.0))
    share = rope.number(
        "partial_rotary_factor", default=config.number("partial_rotary_factor", default=1.0)
    )
    return tuple(
        replace(kind, rotary_dims=int(kind.head_dim * share), rotary_theta=theta)
        for kind in attention
    )


def with_windows(attention: Attention, sliding_layers: int, window: int) -> tuple[Attention, ...]:
    """Some layers of an attention made to look at the last `window` tokens only."""
    full = attention.layers - sliding_layers
    kinds = [replace(attention, layers=full)] if full else []
    if sliding_layers:
        shape = {**asdict(attention), "layers": sliding_layers, "window": window}
        kinds.append(SlidingAttention(**shape))
    return tuple(kinds)


LINEAR, FULL, SLIDING = "linear_attention", "full_attention", "sliding_attention"
_TODAY = {"mamba": LINEAR, "attention": FULL, "recurrent": LINEAR}
"""Names of kinds of layers that older configs use, and what `transformers` 5 calls them."""


def layer_kinds(config: Config, key: str, known: Sequence[str]) -> list[str]:
    """The list of layers' kinds under a key, by their names of today; empty where it is missing.

    Raises:
        UserError: It names an unknown kind, or has another length than the model has layers.
    """
    kinds = [_TODAY.get(kind, kind) for kind in config.texts(key)]
    for kind in kinds:
        if kind not in known:
            raise config.fault(key, f"names {kind!r}: known are {', '.join(known)}")
    check_length(config, key, len(kinds))
    return kinds


def check_length(config: Config, key: str, entries: int) -> None:
    """Raise `UserError` if a list is there and has another length than the model has layers."""
    layers = config.count("num_hidden_layers", default=entries or 1)
    if entries and entries != layers:
        raise config.fault(key, f"has {entries} entries, but num_hidden_layers is {layers}")
