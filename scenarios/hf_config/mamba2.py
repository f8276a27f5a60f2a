"""Mamba2 layers by the field names that Bamba, Granite and Falcon-H1 share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.layers.state_space import Mamba2

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


def mamba2_layers(config: Config, layers: int, *, gated_norm: bool = True) -> Mamba2 | None:
    """Mamba2 of so many layers; None for none.

    Raises:
        UserError: A field is missing, or heads x head size contradicts the inner size.
    """
    if not layers:
        return None
    inner = _inner_size(config)
    heads = config.count("mamba_n_heads", default=128)
    if config.values.get("mamba_d_head", "auto") == "auto":
        head_dim = config.divided("mamba_d_head", inner, heads)
    else:
        head_dim = config.count("mamba_d_head")
    if heads * head_dim != inner:
        raise config.fault("mamba_d_head", f"x mamba_n_heads is {heads * head_dim}, not {inner}")
    return Mamba2(
        layers,
        heads,
        head_dim,
        state_size=config.count("mamba_d_state", default=256),
        groups=config.count("mamba_n_groups", default=1),
        conv_width=config.count("mamba_d_conv", default=4),
        gated_norm=gated_norm,
    )


def _inner_size(config: Config) -> int:
    """Channels of all heads: given, or a multiple of the hidden size."""
    if config.first("mamba_d_ssm"):
        return config.count("mamba_d_ssm")
    return config.count("mamba_expand", default=2) * config.count("hidden_size")
