"""LFM2: short convolutions with a few attention layers between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.spec import ceil_div
from scenarios.hf_config.family import FULL, Family, Parts, grouped_attention, layer_kinds
from scenarios.layers.feed_forward import Mlp, Moe
from scenarios.layers.linear_attention import ShortConvolution

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

CONV = "conv"


class Lfm2(Family):
    """The width of the MLP is adjusted from the stated one, unless the config says not to."""

    name = "lfm2"
    model_types = ("lfm2", "lfm2_moe")

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, hidden = config.count("num_hidden_layers"), config.count("hidden_size")
        kinds = layer_kinds(config, "layer_types", (FULL, CONV))
        attention = kinds.count(FULL) if kinds else len(set(config.counts("full_attn_idxs")))
        is_moe = config.text("model_type") == "lfm2_moe"
        dense = config.count("num_dense_layers", default=2, least=0) if is_moe else layers
        width = config.count("intermediate_size") if is_moe else _width(config)
        convolutions = layers - attention
        return Parts(
            attention=grouped_attention(config, attention, qk_norm=True),
            state=ShortConvolution(convolutions, hidden, config.count("conv_L_cache", default=3))
            if convolutions
            else None,
            mlp=Mlp(dense, width, gated=True) if dense else None,
            moe=_moe(config, layers - dense) if is_moe else None,
            tied_embeddings=True,
        )


def _width(config: Config) -> int:
    """Two thirds of the stated width, times a factor, rounded up to a multiple."""
    width = config.count("block_ff_dim", "intermediate_size")
    if not config.flag("block_auto_adjust_ff_dim", default=True):
        return width
    width = 2 * width // 3
    width = int(config.number("block_ffn_dim_multiplier", default=1.0) * width)
    multiple = config.count("block_multiple_of", default=256)
    return multiple * ceil_div(width, multiple)


def _moe(config: Config, layers: int) -> Moe | None:
    if layers <= 0:
        return None
    return Moe(
        layers,
        experts=config.count("num_experts"),
        experts_per_token=config.count("num_experts_per_tok"),
        expert_intermediate_size=config.count("moe_intermediate_size"),
        gated=True,
    )
