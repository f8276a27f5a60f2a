"""The recurrence of a Mamba-2 layer, a token at a time or a chunk at a time; states by handle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from gpu_backend.kernels.interface import SsmInputs
    from gpu_backend.kernels.views import Segments, StateLayer

TILE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Launch:
    """How the update is cut; found by measurement."""

    tile_dims: int = 64
    num_warps: int = 4


DEFAULT_LAUNCH = Launch()


@triton.jit
def _softplus(x):
    """log(1 + e^x), without overflow."""
    return tl.where(x > 20.0, x, tl.log(1.0 + tl.exp(tl.minimum(x, 20.0))))


@triton.jit
def _state_at(
    slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask
):
    """Where the state of a sequence starts."""
    handle = tl.load(handles_ptr + row.to(tl.int64) * handles_stride)
    page = tl.load(page_of_ptr + (handle & index_mask)).to(tl.int64)
    return slab_ptr + tl.multiple_of(page * page_stride + offset, 4)


@triton.jit
def _load_state(state_at, dims, context, DIM: tl.constexpr):
    """The state after the tokens before; nothing if there are none, whatever the page holds."""
    held = dims[:, None] < tl.where(context > 0, DIM, 0)
    return tl.load(state_at, mask=held, other=0.0).to(tl.float32)


@triton.jit
def _update_state(
    mixed_ptr, dt_ptr, a_ptr, d_ptr, bias_ptr, out_ptr, slab_ptr, handles_ptr, page_of_ptr,
    rows_ptr, starts_ptr, lengths_ptr, contexts_ptr, dt_stride, handles_stride, page_stride,
    offset, index_mask,
    HEADS: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr, STATE: tl.constexpr,
    GROUPS: tl.constexpr,
):  # fmt: skip
    part, head, segment = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    if tl.load(lengths_ptr + segment) == 0:
        return
    row = tl.load(rows_ptr + segment)
    state_at = _state_at(
        slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask
    )
    dims, across = part * TILE + tl.arange(0, TILE), tl.arange(0, STATE)
    state_at += (head * DIM + dims[:, None]) * STATE + across[None, :]
    state = _load_state(state_at, dims, tl.load(contexts_ptr + segment), DIM)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    mixed_at = mixed_ptr + start * (HEADS * DIM + 2 * GROUPS * STATE)
    of_group = HEADS * DIM + head // (HEADS // GROUPS) * STATE + across
    x = tl.load(mixed_at + head * DIM + dims).to(tl.float32)
    b = tl.load(mixed_at + of_group).to(tl.float32)
    c = tl.load(mixed_at + of_group + GROUPS * STATE).to(tl.float32)
    raw = tl.load(dt_ptr + start * dt_stride + head).to(tl.float32) + tl.load(bias_ptr + head)
    dt = _softplus(raw)
    state = state * tl.exp(dt * tl.load(a_ptr + head)) + (dt * x)[:, None] * b[None, :]
    tl.store(state_at, state.to(slab_ptr.dtype.element_ty))
    y = tl.sum(state * c[None, :], 1) + tl.load(d_ptr + head) * x
    out_at = out_ptr + (start * HEADS + head) * DIM + dims
    tl.store(out_at, y.to(out_ptr.dtype.element_ty))


@triton.jit
def _scan_tile(x, b, c, dt, dt_a, state, PRECISION: tl.constexpr):
    """Outputs of a tile of tokens, and the state after it, from the state before it.

    The recurrence as matrix products (state-space duality, Mamba-2, arXiv 2405.21060, section 6).
    """
    decays = tl.cumsum(dt_a, 0)
    whole = tl.sum(dt_a, 0)
    at = tl.arange(0, x.shape[0])
    between = tl.where(at[:, None] >= at[None, :], decays[:, None] - decays[None, :], float("-inf"))
    met = tl.dot(c, tl.trans(b), input_precision=PRECISION) * tl.exp(between) * dt[None, :]
    y = tl.dot(met.to(x.dtype), x, input_precision=PRECISION)
    before = tl.dot(c, tl.trans(state).to(c.dtype), input_precision=PRECISION)
    y += before * tl.exp(decays)[:, None]
    weighted = (b.to(tl.float32) * (tl.exp(whole - decays) * dt)[:, None]).to(x.dtype)
    added = tl.dot(tl.trans(x), weighted, input_precision=PRECISION)
    return y, state * tl.exp(whole) + added


@triton.jit
def _scan(
    mixed_ptr, dt_ptr, a_ptr, d_ptr, bias_ptr, out_ptr, slab_ptr, handles_ptr, page_of_ptr,
    rows_ptr, starts_ptr, lengths_ptr, contexts_ptr, dt_stride, handles_stride, page_stride,
    offset, index_mask,
    HEADS: tl.constexpr, DIM: tl.constexpr, STATE: tl.constexpr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    head, segment = tl.program_id(0), tl.program_id(1)
    length = tl.load(lengths_ptr + segment)
    if length == 0:
        return
    row = tl.load(rows_ptr + segment)
    state_at = _state_at(
        slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask
    )
    dims, across = tl.arange(0, DIM), tl.arange(0, STATE)
    state_at += (head * DIM + dims[:, None]) * STATE + across[None, :]
    state = _load_state(state_at, dims, tl.load(contexts_ptr + segment), DIM)
    a, d, bias = tl.load(a_ptr + head), tl.load(d_ptr + head), tl.load(bias_ptr + head)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    WIDTH: tl.constexpr = HEADS * DIM + 2 * GROUPS * STATE
    of_group = HEADS * DIM + head // (HEADS // GROUPS) * STATE + across
    for first in range(0, length, TILE):
        tokens = first + tl.arange(0, TILE)
        exists = tokens < length
        flat = start + tokens
        inside = exists[:, None]
        at = mixed_ptr + flat[:, None] * WIDTH
        x = tl.load(at + (head * DIM + dims)[None, :], mask=inside, other=0.0)
        b = tl.load(at + of_group[None, :], mask=inside, other=0.0)
        c = tl.load(at + (of_group + GROUPS * STATE)[None, :], mask=inside, other=0.0)
        raw = tl.load(dt_ptr + flat * dt_stride + head, mask=exists, other=0.0)
        dt = tl.where(exists, _softplus(raw.to(tl.float32) + bias), 0.0)
        y, state = _scan_tile(x, b, c, dt, dt * a, state, PRECISION)
        y += d * x.to(tl.float32)
        out_at = out_ptr + (flat[:, None] * HEADS + head) * DIM + dims[None, :]
        tl.store(out_at, y.to(out_ptr.dtype.element_ty), mask=inside)
    tl.store(state_at, state.to(slab_ptr.dtype.element_ty))


def update_state(
    inputs: SsmInputs,
    layer: StateLayer,
    segments: Segments,
    out: torch.Tensor,
    launch: Launch = DEFAULT_LAUNCH,
) -> None:
    """See `Kernels.update_state`."""
    shape, tile = layer.shape, min(launch.tile_dims, layer.shape.head_dim)
    _update_state[(shape.head_dim // tile, shape.heads, len(segments))](
        *_arguments(inputs, layer, segments, out),
        HEADS=shape.heads, DIM=shape.head_dim, TILE=tile, STATE=shape.state_size,
        GROUPS=shape.groups, num_warps=launch.num_warps,
    )  # fmt: skip


def scan(inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor) -> None:
    """See `Kernels.scan`."""
    shape = layer.shape
    _scan[(shape.heads, len(segments))](
        *_arguments(inputs, layer, segments, out),
        HEADS=shape.heads, DIM=shape.head_dim, STATE=shape.state_size, GROUPS=shape.groups,
        TILE=TILE_TOKENS, PRECISION="ieee" if inputs.mixed.dtype is torch.float32 else "tf32",
        num_warps=4, num_stages=2,
    )  # fmt: skip


def _arguments(
    inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor
) -> tuple[torch.Tensor | int, ...]:
    """What both kernels take, in order."""
    shape, pages = layer.shape, layer.pages
    return (
        inputs.mixed, inputs.dt, inputs.a, inputs.d, inputs.dt_bias, out,
        pages.slab.view(shape.dtype), layer.handles, pages.page_of, segments.rows,
        segments.starts, segments.lengths, segments.contexts, inputs.dt.stride(0),
        layer.handles.stride(0), pages.page_bytes // shape.dtype.itemsize,
        layer.offset_bytes // shape.dtype.itemsize, pages.index_mask,
    )  # fmt: skip
