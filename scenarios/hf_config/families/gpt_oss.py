"""GPT-OSS: local and full attention in turn, with sinks, and experts in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import (
    FULL,
    SLIDING,
    Family,
    Parts,
    grouped_attention,
    layer_kinds,
    with_windows,
)
from scenarios.layers.feed_forward import Moe

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class GptOss(Family):
    """All projections have biases; every head has a sink."""

    name = "gpt-oss"
    model_types = ("gpt_oss",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`; without a list every other layer is local, the first one too."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, SLIDING))
        sliding = kinds.count(SLIDING) if kinds else (layers + 1) // 2
        bias = config.flag("attention_bias", default=True)
        (attention,) = grouped_attention(
            config, layers, qkv_bias=bias, output_bias=bias, sinks=True
        )
        moe = Moe(
            layers,
            experts=config.count("num_local_experts"),
            experts_per_token=config.count("num_experts_per_tok", "experts_per_token"),
            expert_intermediate_size=config.count("intermediate_size"),
            gated=True,
            biases=True,
        )
        window = config.count("sliding_window", default=128)
        return Parts(attention=with_windows(attention, sliding, window), moe=moe)
