"""Whole pages of a slab: copied, filled and compared by lists of pages, one launch a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import ModuleType

WORD_BYTES = 4
"""Pages are filled with 32-bit words; every page size is a multiple of 16 bytes."""


def copy_pages(
    slab: torch.Tensor, page_bytes: int, sources: torch.Tensor, targets: torch.Tensor
) -> None:
    """Copy pages to pages that none of them is.

    Args:
        slab: uint8, shape (bytes,).
        page_bytes: Bytes of a page, a multiple of 16.
        sources: int64, shape (pages,), on the slab's device: byte offset of each page.
        targets: The same, of where it goes.
    """
    if kernels := _kernels(slab):
        kernels.copy_pages(slab, page_bytes, sources, targets)
        return
    words = slab.view(torch.int32)
    step = torch.arange(page_bytes // WORD_BYTES, device=slab.device)
    words[targets[:, None] // WORD_BYTES + step] = words[sources[:, None] // WORD_BYTES + step]


def fill_pages(slab: torch.Tensor, page_bytes: int, pages: torch.Tensor, word: int) -> None:
    """Fill pages with a 32-bit word.

    Args:
        slab: uint8, shape (bytes,).
        page_bytes: Bytes of a page, a multiple of 16.
        pages: int64, shape (pages,), on the slab's device: byte offset of each page.
        word: From -2**31 to 2**31 - 1.
    """
    if kernels := _kernels(slab):
        kernels.fill_pages(slab, page_bytes, pages, word)
        return
    step = torch.arange(page_bytes // WORD_BYTES, device=slab.device)
    slab.view(torch.int32)[pages[:, None] // WORD_BYTES + step] = word


def count_other_words(
    slab: torch.Tensor, page_bytes: int, pages: torch.Tensor, word: int
) -> torch.Tensor:
    """Words of each page that differ from a word; int32, shape (pages,), on the device.

    Arguments are those of `fill_pages`.
    """
    if kernels := _kernels(slab):
        counts: torch.Tensor = kernels.count_other_words(slab, page_bytes, pages, word)
        return counts
    step = torch.arange(page_bytes // WORD_BYTES, device=slab.device)
    found = slab.view(torch.int32)[pages[:, None] // WORD_BYTES + step]
    return (found != word).sum(1, dtype=torch.int32)


def scatter(target: torch.Tensor, changes: torch.Tensor) -> None:
    """Write words to places.

    Args:
        target: int32, shape (words,).
        changes: int32, shape (2, n): places, each at most once, and what to write there.
    """
    if kernels := _kernels(target):
        kernels.scatter(target, changes)
        return
    target[changes[0].long()] = changes[1]


def _kernels(tensor: torch.Tensor) -> ModuleType | None:
    """The Triton kernels where they run natively."""
    if not tensor.is_cuda:
        return None
    from gpu_backend.kernels.device import pages  # noqa: PLC0415 - there may be no triton

    return pages
