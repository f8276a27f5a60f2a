"""Whole pages in Triton: copied, filled and compared, one launch a list of pages.

Kernels are compiled by size of page. Where the columns of a list start depends on its length; they
are read entry by entry, so that nothing is gained by compiling for those that start on 16 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from allocator.spec import PAGE_ALIGNMENT_BYTES
from gpu_backend.page_ops import WORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpu_backend.page_ops import Pattern

TILE = 2048
"""Words of a program: 16 KiB."""

SCATTER_TILE = 1024


@triton.jit
def _page_at(offsets_ptr, number):
    """First word of a page; pages start on 16 bytes."""
    return tl.multiple_of(tl.load(offsets_ptr + number) // 8, 2)


@triton.jit(do_not_specialize_on_alignment=["sources_ptr", "targets_ptr"])
def _copy(slab_ptr, sources_ptr, targets_ptr, WORDS: tl.constexpr, TILE: tl.constexpr):
    pair, words = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    source, target = _page_at(sources_ptr, pair), _page_at(targets_ptr, pair)
    inside = words < WORDS
    tl.store(
        slab_ptr + target + words, tl.load(slab_ptr + source + words, mask=inside), mask=inside
    )


@triton.jit(do_not_specialize_on_alignment=["offsets_ptr", "seeds_ptr"])
def _fill(slab_ptr, offsets_ptr, seeds_ptr, stride, WORDS: tl.constexpr, TILE: tl.constexpr):
    page, words = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    pattern = tl.load(seeds_ptr + page) + words.to(tl.int64) * stride
    tl.store(slab_ptr + _page_at(offsets_ptr, page) + words, pattern, mask=words < WORDS)


@triton.jit(do_not_specialize_on_alignment=["offsets_ptr", "seeds_ptr"])
def _differ(
    slab_ptr, offsets_ptr, seeds_ptr, found_ptr, stride, WORDS: tl.constexpr, TILE: tl.constexpr
):
    page, words = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    pattern = tl.load(seeds_ptr + page) + words.to(tl.int64) * stride
    held = tl.load(slab_ptr + _page_at(offsets_ptr, page) + words, mask=words < WORDS, other=0)
    differs = ((held != pattern) & (words < WORDS)).to(tl.int32)
    if tl.max(differs, 0) > 0:
        tl.store(found_ptr + page, 1)


@triton.jit(do_not_specialize=["count"])
def _scatter(target_ptr, places_ptr, values_ptr, count, TILE: tl.constexpr):
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = at < count
    places = tl.load(places_ptr + at, mask=inside, other=0)
    tl.store(target_ptr + places, tl.load(values_ptr + at, mask=inside), mask=inside)


class TritonPageOps:
    """See `PageOps`; pages start on 16 bytes and hold a multiple of them, as those of pools do."""

    def copy(
        self, slab: torch.Tensor, page_bytes: int, sources: Sequence[int], targets: Sequence[int]
    ) -> None:
        """See `PageOps.copy`."""
        if sources:
            places = _upload(slab, page_bytes, (sources, targets))
            words = page_bytes // WORD_BYTES
            _copy[_grid(sources, words)](
                slab.view(torch.int64), places[0], places[1], WORDS=words, TILE=TILE
            )

    def fill(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> None:
        """See `PageOps.fill`."""
        if offsets:
            given = _upload(slab, page_bytes, (offsets, pattern.seeds))
            words = page_bytes // WORD_BYTES
            _fill[_grid(offsets, words)](
                slab.view(torch.int64), given[0], given[1], pattern.stride, WORDS=words, TILE=TILE
            )

    def differ(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> torch.Tensor:
        """See `PageOps.differ`."""
        found = torch.zeros(len(offsets), dtype=torch.int32, device=slab.device)
        if offsets:
            given = _upload(slab, page_bytes, (offsets, pattern.seeds))
            words = page_bytes // WORD_BYTES
            _differ[_grid(offsets, words)](
                slab.view(torch.int64), given[0], given[1], found, pattern.stride,
                WORDS=words, TILE=TILE,
            )  # fmt: skip
        return found.bool()


def scatter(target: torch.Tensor, changes: torch.Tensor) -> None:
    """Write words to places.

    Args:
        target: int32, shape (words,).
        changes: int32, shape (2, n): places, each at most once, and what to write there.
    """
    count = changes.shape[1]
    grid = (triton.cdiv(count, SCATTER_TILE),)
    _scatter[grid](target, changes[0], changes[1], count, TILE=SCATTER_TILE)


def _upload(
    slab: torch.Tensor, page_bytes: int, columns: tuple[Sequence[int], Sequence[int]]
) -> torch.Tensor:
    """Offsets, and what goes with them, on the slab's device: int64, shape (2, pages)."""
    if page_bytes % PAGE_ALIGNMENT_BYTES or any(at % PAGE_ALIGNMENT_BYTES for at in columns[0]):
        raise ValueError(f"pages of {page_bytes} bytes do not lie on {PAGE_ALIGNMENT_BYTES} bytes")
    return torch.tensor(columns, dtype=torch.int64).to(slab.device)


def _grid(pages: Sequence[int], words: int) -> tuple[int, int]:
    return len(pages), triton.cdiv(words, TILE)
