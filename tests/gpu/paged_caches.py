"""Random caches in pages that lie in no order, as kernels meet them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gpu_backend.kernels.interface import ConvInputs, Rotary, SsmInputs
from gpu_backend.kernels.views import KvLayer, KvShape, Pages, Segments, StateLayer, StateShape

if TYPE_CHECKING:
    from collections.abc import Sequence

INDEX_BITS = 10


@dataclass(frozen=True)
class Case:
    """Segments of (tokens, tokens before) in a device's memory, from a seed."""

    segments: Sequence[tuple[int, int]]
    dtype: torch.dtype
    device: str
    seed: int = 0

    def random(self, *shape: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed + sum(shape))
        return torch.randn(shape, generator=generator).to(self.device, self.dtype)

    @property
    def num_tokens(self) -> int:
        return sum(length for length, _ in self.segments)

    def runs(self) -> Segments:
        """The segments one after another."""
        rows, starts, lengths, contexts = self.columns()
        most = max(length for length, _ in self.segments), max(map(sum, self.segments))
        return Segments(rows, starts, lengths, contexts, *most)

    def pages(self, num_pages: int, page_bytes: int) -> tuple[Pages, torch.Tensor]:
        """Pages full of random numbers, and a handle of each, in no order."""
        generator = torch.Generator().manual_seed(self.seed)
        numbers = self.random(num_pages * page_bytes // self.dtype.itemsize)
        page_of = torch.randperm(num_pages, generator=generator).to(self.device, torch.int32)
        entries = torch.randperm(num_pages, generator=generator)
        generation = torch.randint(1, 200, (num_pages,), generator=generator)
        handles = (generation << INDEX_BITS | entries).to(self.device, torch.int32)
        mask = (1 << INDEX_BITS) - 1
        return Pages(numbers.view(torch.uint8), page_bytes, page_of, mask), handles

    def kv(self, shape: KvShape, layers_in_page: int = 1) -> KvLayer:
        """The last layer of pages that hold so many."""
        rows = len(self.segments) + 1
        blocks = max(-(-sum(segment) // shape.page_tokens) for segment in self.segments)
        layer_bytes = shape.page_tokens * shape.token_bytes
        pages, handles = self.pages(rows * blocks, layers_in_page * layer_bytes + 16)
        offset_bytes = (layers_in_page - 1) * layer_bytes
        layer = KvLayer(pages, handles.view(rows, blocks), offset_bytes, shape)
        self._spoil(layer)
        return layer

    def _spoil(self, layer: KvLayer) -> None:
        """Places of tokens that a sequence does not have may hold anything: here NaN."""
        view, tokens = layer.view(), layer.shape.page_tokens
        for row, _, length, context in zip(*(c.tolist() for c in self.columns()), strict=True):
            pages = layer.pages.of(layer.handles[row]).long()
            held = torch.arange(len(pages) * tokens, device=self.device) < length + context
            spoilt = (~held).view(len(pages), 1, 1, tokens, 1).expand_as(view[pages])
            view[pages] = view[pages].masked_fill(spoilt, torch.nan)

    def columns(self) -> list[torch.Tensor]:
        """Rows, starts, lengths, contexts; sequences in backward order of rows, row 0 unused."""
        lengths = [length for length, _ in self.segments]
        starts = [sum(lengths[:i]) for i in range(len(lengths))]
        rows = list(range(len(lengths), 0, -1))
        columns = (rows, starts, lengths, [context for _, context in self.segments])
        return [torch.tensor(c, dtype=torch.int32, device=self.device) for c in columns]

    def state(self, shape: StateShape) -> StateLayer:
        """States of which each row of a table has one."""
        page_bytes = -(-shape.size_bytes // 16) * 16
        pages, handles = self.pages(len(self.segments) + 1, page_bytes)
        return StateLayer(pages, handles, 0, shape)

    def conv_inputs(self, shape: StateShape) -> ConvInputs:
        wide = self.random(self.num_tokens, shape.channels + 24)
        weight = self.random(shape.conv_width, shape.channels)
        return ConvInputs(wide[:, 8 : 8 + shape.channels], weight, self.random(shape.channels))

    def ssm_inputs(self, shape: StateShape) -> SsmInputs:
        mixed = self.random(self.num_tokens, shape.channels) * 0.5
        dt = self.random(self.num_tokens, shape.heads + 8)[:, : shape.heads]
        a = -torch.linspace(0.5, 4, shape.heads, device=self.device)
        d, bias = (self.random(shape.heads + i).float()[: shape.heads] for i in (1, 2))
        return SsmInputs(mixed, dt, a, d, bias)

    def rotary(self, dims: int) -> Rotary:
        angles = torch.rand(4096, max(dims // 2, 1), device=self.device) * 6
        return Rotary(dims, angles.cos(), angles.sin())


def copy_of(pages: Pages) -> Pages:
    """The same pages in memory of their own."""
    return Pages(pages.slab.clone(), pages.page_bytes, pages.page_of, pages.index_mask)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is expected; NaN passes nothing."""
    found, expected = found.double(), expected.double()
    return float((found - expected).norm() / expected.norm())
