"""Bamba: Mamba2 with attention at listed layers, a dense MLP behind each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scenarios.hf_config.family import (
    FULL,
    LINEAR,
    Family,
    Parts,
    grouped_attention,
    layer_kinds,
    rotated,
)
from scenarios.hf_config.mamba2 import mamba2_layers
from scenarios.layers.feed_forward import Mlp

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class Bamba(Family):
    """Attention stands at `attn_layer_indices`."""

    name = "bamba"
    model_types = ("bamba",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, LINEAR))
        attention = kinds.count(FULL) if kinds else _listed(config, layers)
        # Checkpoints that do not say so rotate half of each head, as the class does.
        halved = replace(config, values={"partial_rotary_factor": 0.5, **config.values})
        return Parts(
            attention=rotated(halved, grouped_attention(config, attention)),
            state=mamba2_layers(config, layers - attention),
            mlp=Mlp(layers, config.count("intermediate_size"), gated=True),
        )


def _listed(config: Config, layers: int) -> int:
    places = set(config.counts("attn_layer_indices"))
    if any(not 0 <= place < layers for place in places):
        raise config.fault("attn_layer_indices", f"names a layer that is not among {layers}")
    return len(places)
