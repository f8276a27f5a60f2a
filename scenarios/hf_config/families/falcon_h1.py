"""Falcon-H1: attention and Mamba2 side by side in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import Family, Parts, grouped_attention
from scenarios.hf_config.mamba2 import mamba2_layers
from scenarios.layers.feed_forward import Mlp

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class FalconH1(Family):
    """Both mixers of a layer read one normed input and their outputs are added."""

    name = "falcon-h1"
    model_types = ("falcon_h1",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, bias = config.count("num_hidden_layers"), config.flag("attention_bias")
        return Parts(
            attention=grouped_attention(config, layers, qkv_bias=bias, output_bias=bias),
            state=mamba2_layers(config, layers, gated_norm=config.flag("mamba_rms_norm")),
            mlp=Mlp(
                layers,
                config.count("intermediate_size"),
                gated=True,
                biases=config.flag("mlp_bias"),
            ),
            parallel=True,
        )
