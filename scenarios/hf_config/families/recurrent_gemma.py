"""RecurrentGemma: two gated linear recurrences to one layer of local attention."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

from scenarios.hf_config.family import Family, Parts, grouped_attention, with_windows
from scenarios.layers.feed_forward import Mlp
from scenarios.layers.state_space import GatedRecurrence

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

RECURRENT, ATTENTION = "recurrent", "attention"


class RecurrentGemma(Family):
    """`block_types` repeats over the layers; the stated width is that of gate and up together."""

    name = "recurrent-gemma"
    model_types = ("recurrent_gemma",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, hidden = config.count("num_hidden_layers"), config.count("hidden_size")
        kinds = config.texts("block_types") or [RECURRENT, RECURRENT, ATTENTION]
        if not set(kinds) <= {RECURRENT, ATTENTION}:
            raise config.fault("block_types", f"may name {RECURRENT} and {ATTENTION} only")
        attending = list(islice(cycle(kinds), layers)).count(ATTENTION)
        attention = grouped_attention(
            config, attending, qkv_bias=config.flag("attention_bias"), output_bias=True
        )
        window = config.count("attention_window_size", default=2048)
        recurrence = GatedRecurrence(
            layers - attending,
            width=config.count("lru_width", default=hidden),
            heads=config.count("num_attention_heads"),
            conv_width=config.count("conv1d_width", default=4),
        )
        return Parts(
            attention=with_windows(attention[0], attending, window) if attention else (),
            state=recurrence if recurrence.layers else None,
            mlp=Mlp(layers, config.count("intermediate_size") // 2, gated=True, biases=True),
            recurrent_state="fp32",
            tied_embeddings=True,
        )
