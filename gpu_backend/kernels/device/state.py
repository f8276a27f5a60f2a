"""The recurrence of a Mamba-2 layer, a token at a time or a chunk at a time; states by handle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from gpu_backend.kernels.device.naming import page_named

if TYPE_CHECKING:
    from gpu_backend.kernels.interface import SsmInputs
    from gpu_backend.kernels.views import Segments, StateLayer

TILE_TOKENS = 64
PART_DIMS = 32
"""Dimensions of a head that one program scans: with all of them it would run out of registers."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How the update is cut; found by measurement.

    Attributes:
        tile_rows: Rows of the state, (heads x head_dim, state_size), that are updated at once.
        tiles: Tiles that a program takes, one after the other.
        num_warps: Warps of a program.
        num_stages: Tiles under way in a program.
    """

    tile_rows: int = 16
    tiles: int = 1
    num_warps: int = 1
    num_stages: int = 1


DEFAULT_LAUNCH = Launch()


@triton.jit
def _softplus(x):
    """log(1 + e^x), without overflow, and without losing what 1 + e^x rounds off."""
    power = tl.exp(-tl.abs(x))
    rounded = 1.0 + power
    lost = tl.where(rounded > 1.0, power / tl.maximum(rounded - 1.0, 1e-30), 1.0)
    return tl.maximum(x, 0.0) + tl.where(rounded > 1.0, tl.log(rounded) * lost, power)


@triton.jit
def _state_at(
    slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask,
    ALIGNED: tl.constexpr, NAMING: tl.constexpr,
):  # fmt: skip
    """Where the state of a sequence starts."""
    table = handles_ptr + row.to(tl.int64) * handles_stride
    page = page_named(table, 0, page_of_ptr, index_mask, NAMING)
    return slab_ptr + tl.multiple_of(page * page_stride + offset, ALIGNED)


@triton.jit
def _load_state(state_at, rows, context, ROWS: tl.constexpr):
    """The state after the tokens before; nothing if there are none, whatever the page holds."""
    held = rows[:, None] < tl.where(context > 0, ROWS, 0)
    return tl.load(state_at, mask=held, other=0.0).to(tl.float32)


@triton.jit
def _update_state(
    mixed_ptr, dt_ptr, a_ptr, d_ptr, bias_ptr, out_ptr, slab_ptr, handles_ptr, page_of_ptr,
    rows_ptr, starts_ptr, lengths_ptr, contexts_ptr, dt_stride, handles_stride, page_stride,
    offset, index_mask,
    HEADS: tl.constexpr, DIM: tl.constexpr, STATE: tl.constexpr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr, STAGES: tl.constexpr, ALIGNED: tl.constexpr,
    NAMING: tl.constexpr,
):  # fmt: skip
    part, segment = tl.program_id(0), tl.program_id(1)
    if tl.load(lengths_ptr + segment) == 0:
        return
    row, context = tl.load(rows_ptr + segment), tl.load(contexts_ptr + segment)
    state_at = _state_at(
        slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask,
        ALIGNED, NAMING,
    )  # fmt: skip
    start = tl.load(starts_ptr + segment).to(tl.int64)
    mixed_at = mixed_ptr + start * (HEADS * DIM + 2 * GROUPS * STATE)
    across = tl.arange(0, STATE)
    for tile in tl.range(part * TILES, (part + 1) * TILES, num_stages=STAGES):
        rows = tile * TILE + tl.arange(0, TILE)
        head = tile * TILE // DIM
        at = state_at + rows[:, None] * STATE + across[None, :]
        state = _load_state(at, rows, context, HEADS * DIM)
        of_group = HEADS * DIM + head // (HEADS // GROUPS) * STATE + across
        x = tl.load(mixed_at + rows).to(tl.float32)
        b = tl.load(mixed_at + of_group).to(tl.float32)
        c = tl.load(mixed_at + of_group + GROUPS * STATE).to(tl.float32)
        raw = tl.load(dt_ptr + start * dt_stride + head).to(tl.float32)
        dt = _softplus(raw + tl.load(bias_ptr + head))
        state = state * tl.exp(dt * tl.load(a_ptr + head)) + (dt * x)[:, None] * b[None, :]
        tl.store(at, state.to(slab_ptr.dtype.element_ty))
        y = tl.sum(state * c[None, :], 1) + tl.load(d_ptr + head) * x
        tl.store(out_ptr + start * (HEADS * DIM) + rows, y.to(out_ptr.dtype.element_ty))


@triton.jit
def _scan_tile(x, b, c, dt, dt_a, state, PRECISION: tl.constexpr):
    """Outputs of a tile of tokens, and the state (STATE, DIM) after it, from that before it.

    The recurrence as matrix products (state-space duality, Mamba-2, arXiv 2405.21060, section 6).
    """
    decays = tl.cumsum(dt_a, 0)
    whole = tl.sum(dt_a, 0)
    at = tl.arange(0, x.shape[0])
    between = tl.where(at[:, None] >= at[None, :], decays[:, None] - decays[None, :], float("-inf"))
    met = tl.dot(c, tl.trans(b), input_precision=PRECISION) * tl.exp(between) * dt[None, :]
    y = tl.dot(met.to(x.dtype), x, input_precision=PRECISION)
    before = tl.dot(c, state.to(c.dtype), input_precision=PRECISION)
    y += before * tl.exp(decays)[:, None]
    weighted = (x.to(tl.float32) * (tl.exp(whole - decays) * dt)[:, None]).to(x.dtype)
    state = tl.dot(tl.trans(b), weighted, state * tl.exp(whole), input_precision=PRECISION)
    return y, state


@triton.jit
def _scan(
    mixed_ptr, dt_ptr, a_ptr, d_ptr, bias_ptr, out_ptr, slab_ptr, handles_ptr, page_of_ptr,
    rows_ptr, starts_ptr, lengths_ptr, contexts_ptr, dt_stride, handles_stride, page_stride,
    offset, index_mask,
    HEADS: tl.constexpr, DIM: tl.constexpr, STATE: tl.constexpr, GROUPS: tl.constexpr,
    PART: tl.constexpr, TILE: tl.constexpr, ALIGNED: tl.constexpr, PRECISION: tl.constexpr,
    NAMING: tl.constexpr,
):  # fmt: skip
    part, head, segment = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths_ptr + segment)
    if length == 0:
        return
    row = tl.load(rows_ptr + segment)
    state_at = _state_at(
        slab_ptr, handles_ptr, page_of_ptr, row, handles_stride, page_stride, offset, index_mask,
        ALIGNED, NAMING,
    )  # fmt: skip
    dims, across = part * PART + tl.arange(0, PART), tl.arange(0, STATE)
    state_at += (head * DIM + dims[None, :]) * STATE + across[:, None]
    state = _load_state(state_at, across, tl.load(contexts_ptr + segment), STATE)
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
    shape = layer.shape
    tile = min(launch.tile_rows, shape.head_dim)
    tiles = math.gcd(launch.tiles, shape.inner_size // tile)
    _update_state[(shape.inner_size // tile // tiles, len(segments))](
        *_arguments(inputs, layer, segments, out),
        HEADS=shape.heads, DIM=shape.head_dim, STATE=shape.state_size, GROUPS=shape.groups,
        TILE=tile, TILES=tiles, STAGES=launch.num_stages, ALIGNED=_alignment(layer),
        NAMING=layer.pages.naming, num_warps=launch.num_warps,
    )  # fmt: skip


def scan(inputs: SsmInputs, layer: StateLayer, segments: Segments, out: torch.Tensor) -> None:
    """See `Kernels.scan`."""
    shape, part = layer.shape, min(PART_DIMS, layer.shape.head_dim)
    _scan[(shape.head_dim // part, shape.heads, len(segments))](
        *_arguments(inputs, layer, segments, out),
        HEADS=shape.heads, DIM=shape.head_dim, STATE=shape.state_size, GROUPS=shape.groups,
        PART=part, TILE=TILE_TOKENS, ALIGNED=_alignment(layer),
        PRECISION="ieee" if inputs.mixed.dtype is torch.float32 else "tf32",
        NAMING=layer.pages.naming, num_warps=4, num_stages=2,
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


def _alignment(layer: StateLayer) -> int:
    return layer.pages.alignment(layer.offset_bytes, layer.shape.dtype.itemsize)
