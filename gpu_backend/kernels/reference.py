"""The kernels in plain torch, written for sameness with the formulas, not for speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from gpu_backend.kernels.interface import ConvInputs, Rotary, SsmInputs
    from gpu_backend.kernels.views import KvLayer, Segments, StateLayer


class TorchKernels:
    """See `Kernels`; runs anywhere torch runs.

    Args:
        compute: Type in which everything is computed; what is stored keeps its own.
    """

    def __init__(self, compute: torch.dtype = torch.float32) -> None:
        self._compute = compute

    def norm(
        self, x: torch.Tensor, added: torch.Tensor | None, weight: torch.Tensor, eps: float
    ) -> torch.Tensor:
        """See `Kernels.norm`."""
        if added is not None:
            x += added
        return self._rms_norm(x.to(self._compute), weight, eps).to(x.dtype)

    def gated_norm(
        self, x: torch.Tensor, gate: torch.Tensor, weight: torch.Tensor, eps: float, groups: int
    ) -> torch.Tensor:
        """See `Kernels.gated_norm`."""
        gated = x.to(self._compute) * functional.silu(gate.to(self._compute))
        cut = gated.unflatten(-1, (groups, -1))
        return self._rms_norm(cut, weight.view(groups, -1), eps).flatten(-2).to(x.dtype)

    def gated_silu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.gated_silu`."""
        gate, up = x.to(self._compute).chunk(2, dim=-1)
        return (functional.silu(gate) * up).to(x.dtype)

    def squared_relu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.squared_relu`."""
        return functional.relu(x.to(self._compute)).square().to(x.dtype)

    def store_kv(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, rotary: Rotary
    ) -> None:
        """See `Kernels.store_kv`."""
        shape, view = layer.shape, layer.view()
        for row, start, length, context in segments.listed():
            part = qkv[start : start + length]
            positions = torch.arange(context, context + length, device=qkv.device)
            self._rotate(part[:, : -shape.kv_heads], positions, rotary)
            pages = layer.pages.of(layer.handles[row])[positions // shape.page_tokens].long()
            keys, values = part[:, -2 * shape.kv_heads :].chunk(2, dim=1)
            view[pages, 0, :, positions % shape.page_tokens] = keys.to(shape.dtype)
            view[pages, 1, :, positions % shape.page_tokens] = values.to(shape.dtype)

    def attend(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """See `Kernels.attend`."""
        self.attend_chunks(qkv, layer, segments, out)

    def attend_chunks(
        self, qkv: torch.Tensor, layer: KvLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """See `Kernels.attend_chunks`."""
        shape = layer.shape
        queries = qkv[:, : -2 * shape.kv_heads].to(self._compute)
        group = queries.shape[1] // shape.kv_heads
        for row, start, length, context in segments.listed():
            pages = layer.pages.of(layer.handles[row])
            used = pages[: -(-(context + length) // shape.page_tokens)].long()
            keys, values = (
                part.movedim(1, 0).flatten(1, 2)[:, : context + length].repeat_interleave(group, 0)
                for part in layer.view()[used].to(self._compute).unbind(1)
            )
            query = queries[start : start + length].transpose(0, 1)
            scores = query @ keys.transpose(1, 2) * shape.head_dim**-0.5
            ahead = torch.ones_like(scores[0], dtype=torch.bool).triu(context + 1)
            weights = scores.masked_fill(ahead, -torch.inf).softmax(-1)
            out[start : start + length] = (weights @ values).transpose(0, 1).flatten(1)

    def convolve(
        self, inputs: ConvInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """See `Kernels.convolve`."""
        kept, width = layer.inputs(), layer.shape.conv_width
        weight = inputs.weight.to(self._compute).T.unsqueeze(1)
        for row, start, length, context in segments.listed():
            page = int(layer.pages.of(layer.handles[row]))
            x = inputs.x[start : start + length].to(self._compute)
            past = kept[page].to(self._compute)
            past[: max(0, width - 1 - context)] = 0  # before the sequence's first token
            seen = torch.cat((past, x))
            mixed = functional.conv1d(
                seen.T, weight, inputs.bias.to(self._compute), groups=x.shape[1]
            )
            out[start : start + length] = functional.silu(mixed.T)
            kept[page] = seen[length:].to(kept.dtype)

    def update_state(
        self, inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """See `Kernels.update_state`: h = exp(dt a) h + dt x B^T, y = h C + d x."""
        used = segments.lengths > 0
        at, pages = segments.starts[used].long(), layer.pages.of(layer.handles[segments.rows[used]])
        states, pages = layer.recurrent(), pages.long()
        started = (segments.contexts[used] > 0)[:, None, None, None]
        state = states[pages].to(self._compute).where(started, 0)
        moved, read = self._advance(state, self._split(inputs, layer, at))
        states[pages] = moved.to(states.dtype)
        out[at] = read.flatten(1).to(out.dtype)

    def scan(
        self, inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
    ) -> None:
        """See `Kernels.scan`: the recurrence, token by token."""
        states = layer.recurrent()
        for row, start, length, context in segments.listed():
            page = int(layer.pages.of(layer.handles[row]))
            state = states[page].to(self._compute)[None]
            if not context:  # whatever the page held belonged to somebody else
                state = torch.zeros_like(state)
            for token in torch.arange(start, start + length, device=out.device).split(1):
                state, read = self._advance(state, self._split(inputs, layer, token))
                out[token] = read.flatten(1).to(out.dtype)
            states[page] = state[0].to(states.dtype)

    def _advance(
        self, state: torch.Tensor, token: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States after a token of each sequence, and what is read of them."""
        x, b, c, dt, decay, d = token
        state = decay[..., None, None] * state + (dt[..., None] * x)[..., None] * b[..., None, :]
        return state, (state @ c[..., None]).squeeze(-1) + d[:, None] * x

    def _split(
        self, inputs: SsmInputs, layer: StateLayer, at: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Inputs of tokens by head: x, B, C (tokens, heads, ...), dt and decay; d (heads,)."""
        shape = layer.shape
        of_groups = shape.groups * shape.state_size
        mixed = inputs.mixed[at].to(self._compute)
        x, b, c = mixed.split((shape.inner_size, of_groups, of_groups), dim=-1)
        repeats = shape.heads // shape.groups
        b, c = (
            part.unflatten(-1, (shape.groups, -1)).repeat_interleave(repeats, 1) for part in (b, c)
        )
        a, d, bias = (part.to(self._compute) for part in (inputs.a, inputs.d, inputs.dt_bias))
        dt = functional.softplus(inputs.dt[at].to(self._compute) + bias)
        return x.unflatten(-1, (shape.heads, -1)), b, c, dt, torch.exp(dt * a), d

    def _rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        return x * scale * weight.to(self._compute)

    def _rotate(self, x: torch.Tensor, positions: torch.Tensor, rotary: Rotary) -> None:
        """Rotate x (tokens, heads, head_dim) in place."""
        if not rotary.dims:
            return
        cos, sin = (
            part[positions].to(self._compute).unsqueeze(1) for part in (rotary.cos, rotary.sin)
        )
        first, second = x[..., : rotary.dims].to(self._compute).chunk(2, dim=-1)
        turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
        x[..., : rotary.dims] = turned.to(x.dtype)
