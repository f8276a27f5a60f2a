"""Norms and activations: one pass over what they read and write."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

TILE = 1024


@triton.jit
def _silu(x):
    """SiLU: x / (1 + e^-x)."""
    return x / (1.0 + tl.exp(-x))


@triton.jit
def _norm(
    x_ptr, added_ptr, weight_ptr, out_ptr, eps,
    SIZE: tl.constexpr, PAD: tl.constexpr, ADDS: tl.constexpr,
):  # fmt: skip
    row, columns = tl.program_id(0).to(tl.int64), tl.arange(0, PAD)
    inside = columns < SIZE
    x = tl.load(x_ptr + row * SIZE + columns, mask=inside, other=0.0)
    if ADDS:
        added = tl.load(added_ptr + row * SIZE + columns, mask=inside, other=0.0)
        x = (x.to(tl.float32) + added.to(tl.float32)).to(x.dtype)
        tl.store(x_ptr + row * SIZE + columns, x, mask=inside)
    wide = x.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / SIZE + eps)
    weight = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * SIZE + columns, (wide * scale * weight).to(x.dtype), mask=inside)


@triton.jit
def _gated_norm(
    x_ptr, gate_ptr, weight_ptr, out_ptr, gate_stride, eps,
    GROUPS: tl.constexpr, SIZE: tl.constexpr, PAD: tl.constexpr,
):  # fmt: skip
    row, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = tl.arange(0, PAD)
    inside = columns < SIZE
    columns += group * SIZE
    x = tl.load(x_ptr + row * (GROUPS * SIZE) + columns, mask=inside, other=0.0)
    gate = tl.load(gate_ptr + row * gate_stride + columns, mask=inside, other=0.0)
    wide = x.to(tl.float32) * _silu(gate.to(tl.float32))
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / SIZE + eps)
    weight = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    out_at = out_ptr + row * (GROUPS * SIZE) + columns
    tl.store(out_at, (wide * scale * weight).to(x.dtype), mask=inside)


@triton.jit
def _activate(x_ptr, out_ptr, SIZE: tl.constexpr, GATED: tl.constexpr, TILE: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * TILE + tl.arange(0, TILE)
    inside = columns < SIZE
    x = tl.load(x_ptr + row * (2 * SIZE if GATED else SIZE) + columns, mask=inside, other=0.0)
    wide = x.to(tl.float32)
    if GATED:
        up = tl.load(x_ptr + row * 2 * SIZE + SIZE + columns, mask=inside, other=0.0)
        wide = _silu(wide) * up.to(tl.float32)
    else:
        wide = tl.maximum(wide, 0.0)
        wide = wide * wide
    tl.store(out_ptr + row * SIZE + columns, wide.to(x.dtype), mask=inside)


def norm(
    x: torch.Tensor, added: torch.Tensor | None, weight: torch.Tensor, eps: float
) -> torch.Tensor:
    """See `Kernels.norm`."""
    rows, size = x.shape
    out = torch.empty_like(x)
    pad = triton.next_power_of_2(size)
    adds = added is not None
    _norm[(rows,)](
        x, added if adds else x, weight, out, eps,
        SIZE=size, PAD=pad, ADDS=adds, num_warps=_warps(pad),
    )  # fmt: skip
    return out


def gated_norm(
    x: torch.Tensor, gate: torch.Tensor, weight: torch.Tensor, eps: float, groups: int
) -> torch.Tensor:
    """See `Kernels.gated_norm`."""
    rows, width = x.shape
    out, size = torch.empty_like(x), width // groups
    pad = triton.next_power_of_2(size)
    _gated_norm[(rows, groups)](
        x, gate, weight, out, gate.stride(0), eps,
        GROUPS=groups, SIZE=size, PAD=pad, num_warps=_warps(pad),
    )  # fmt: skip
    return out


def activate(x: torch.Tensor, *, gated: bool) -> torch.Tensor:
    """silu(first half) x second half of each row, or max(x, 0)^2."""
    rows, width = x.shape
    size = width // 2 if gated else width
    out = x.new_empty(rows, size)
    _activate[(rows, triton.cdiv(size, TILE))](
        x, out, SIZE=size, GATED=gated, TILE=TILE, num_warps=4
    )
    return out


def _warps(elements: int) -> int:
    """Warps with 8 to 16 elements a thread."""
    return max(1, min(16, elements // 512))
