"""Gemma 3: five layers of local attention to one of full attention."""

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
from scenarios.layers.feed_forward import Mlp

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

PATTERN = 6
"""Every sixth layer attends to all tokens, unless told otherwise."""


class Gemma3(Family):
    """Attention and MLP are normed before and behind."""

    name = "gemma3"
    model_types = ("gemma3_text",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`; fields left out have the defaults of the class."""
        layers = config.count("num_hidden_layers", default=26)
        kinds = layer_kinds(config, "layer_types", (FULL, SLIDING))
        every = config.count("sliding_window_pattern", "_sliding_window_pattern", default=PATTERN)
        sliding = kinds.count(SLIDING) if kinds else layers - layers // every
        (attention,) = grouped_attention(_with_defaults(config), layers, qk_norm=True)
        return Parts(
            attention=with_windows(
                attention, sliding, config.count("sliding_window", default=4096)
            ),
            mlp=Mlp(layers, config.count("intermediate_size", default=9216), gated=True),
            tied_embeddings=True,
            sandwich_norms=True,
        )


def _with_defaults(config: Config) -> Config:
    """Checkpoints leave out the numbers of heads where they are those of the class."""
    defaults = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
    return type(config)(config.file, {**defaults, **config.values})
