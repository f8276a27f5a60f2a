"""Mamba and Mamba2: states only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.spec import ceil_div
from scenarios.hf_config.family import Family, Parts
from scenarios.layers.state_space import Mamba1, Mamba2

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class Mamba(Family):
    """The first Mamba, and Falcon-Mamba, whose norms of dt, B and C have no weights."""

    name = "mamba"
    model_types = ("mamba", "falcon_mamba")

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        hidden = config.count("hidden_size")
        is_auto = config.values.get("time_step_rank", "auto") == "auto"
        state = Mamba1(
            config.count("num_hidden_layers"),
            inner_size=config.count(
                "intermediate_size", default=config.count("expand", default=2) * hidden
            ),
            state_size=config.count("state_size", default=16),
            conv_width=config.count("conv_kernel", default=4),
            dt_rank=ceil_div(hidden, 16) if is_auto else config.count("time_step_rank"),
            inner_norms=False,
        )
        return Parts(state=state, tied_embeddings=True)


class MambaSecond(Family):
    """Mamba2 as published, and Codestral Mamba."""

    name = "mamba2"
    model_types = ("mamba2",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        state = Mamba2(
            config.count("num_hidden_layers"),
            heads=config.count("num_heads"),
            head_dim=config.count("head_dim"),
            state_size=config.count("state_size", default=128),
            groups=config.count("n_groups", default=8),
            conv_width=config.count("conv_kernel", default=4),
        )
        inner = config.count("expand", default=2) * config.count("hidden_size")
        if state.inner_size != inner:
            raise config.fault("head_dim", f"x num_heads is {state.inner_size}, not {inner}")
        return Parts(state=state)
