"""Jamba: Mamba and attention layers, every other feed-forward layer of experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.spec import ceil_div
from scenarios.hf_config.family import Family, Parts, grouped_attention
from scenarios.layers.feed_forward import Mlp, Moe
from scenarios.layers.state_space import Mamba1

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class Jamba(Family):
    """Which layers attend and which have experts follows from a period and an offset each."""

    name = "jamba"
    model_types = ("jamba",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, hidden = config.count("num_hidden_layers"), config.count("hidden_size")
        attention = _places(config, "attn_layer", layers, period=8, offset=4)
        experts = config.count("num_experts", default=16)
        routed = _places(config, "expert_layer", layers, period=2, offset=1) if experts > 1 else 0
        width, dense = config.count("intermediate_size"), layers - routed
        used = config.count("num_experts_per_tok", default=2)
        return Parts(
            attention=grouped_attention(config, attention),
            state=_mamba1(config, layers - attention, hidden),
            mlp=Mlp(dense, width, gated=True) if dense else None,
            moe=Moe(routed, experts, used, width, gated=True) if routed else None,
        )


def _mamba1(config: Config, layers: int, hidden: int) -> Mamba1 | None:
    if not layers:
        return None
    is_auto = config.values.get("mamba_dt_rank", "auto") == "auto"
    return Mamba1(
        layers,
        inner_size=config.count("mamba_expand", default=2) * hidden,
        state_size=config.count("mamba_d_state", default=16),
        conv_width=config.count("mamba_d_conv", default=4),
        dt_rank=ceil_div(hidden, 16) if is_auto else config.count("mamba_dt_rank"),
    )


def _places(config: Config, what: str, layers: int, *, period: int, offset: int) -> int:
    """How many layers stand at an offset within each period."""
    every = config.count(f"{what}_period", default=period)
    at = config.count(f"{what}_offset", default=offset, least=0)
    if at >= every:
        raise config.fault(f"{what}_offset", f"must be below {what}_period, which is {every}")
    return len(range(at, layers, every))
