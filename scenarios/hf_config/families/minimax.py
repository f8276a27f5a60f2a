"""MiniMax-01: seven lightning attention layers to one of softmax attention, all with experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import (
    FULL,
    LINEAR,
    Family,
    Parts,
    check_length,
    grouped_attention,
    layer_kinds,
)
from scenarios.layers.feed_forward import Moe
from scenarios.layers.linear_attention import LightningAttention

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class MiniMax(Family):
    """The first checkpoints list 1 for a softmax layer and 0 for a lightning layer."""

    name = "minimax"
    model_types = ("minimax", "minimax_text_01", "minimax_m1")

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, LINEAR)) or _listed(config)
        attention = grouped_attention(config, kinds.count(FULL))
        linear = kinds.count(LINEAR)
        (shape,) = attention or grouped_attention(config, 1)
        moe = Moe(
            layers,
            experts=config.count("num_local_experts"),
            experts_per_token=config.count("num_experts_per_tok"),
            expert_intermediate_size=config.count("intermediate_size"),
            gated=True,
        )
        state = LightningAttention(linear, shape.query_heads, shape.head_dim) if linear else None
        return Parts(attention=attention, state=state, moe=moe, recurrent_state="fp32")


def _listed(config: Config) -> list[str]:
    kinds = [FULL if kind else LINEAR for kind in config.counts("attn_type_list")]
    if not kinds:
        raise config.fault("layer_types", "or attn_type_list must be given")
    check_length(config, "attn_type_list", len(kinds))
    return kinds
