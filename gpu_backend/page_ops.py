"""Copying, filling and checking pages, a whole list of them in a call.

Pages of one list have one size and lie in one slab, at offsets in bytes. A slab is a byte tensor
(uint8, shape (size_bytes,)). No operation starts work page by page: the paper's prototype did, and
ran at a quarter of the speed of a plain copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MOST_BYTES = 64 << 20
"""Bytes that a torch operation holds apart at once; longer lists are worked off in parts."""

WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class PageList:
    """Pages of one size in one slab.

    Attributes:
        slab: Number of the slab.
        page_bytes: Bytes of each page.
        offsets: Byte offsets in the slab.
    """

    slab: int
    page_bytes: int
    offsets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What pages hold: word i of page p is seeds[p] + i * stride, modulo 2**64.

    Where page size or offsets are no multiples of 8, words are bytes, and count modulo 256.

    Attributes:
        seeds: The first word of each page, signed 64-bit.
        stride: What is added from word to word, signed 64-bit.
    """

    seeds: Sequence[int]
    stride: int


class PageOps(Protocol):
    """Batched operations on pages of a slab; a kernel may take the place of torch."""

    def copy(
        self, slab: torch.Tensor, page_bytes: int, sources: Sequence[int], targets: Sequence[int]
    ) -> None:
        """Copy pages; no page is source and target."""

    def fill(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> None:
        """Write a pattern to pages."""

    def differ(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> torch.Tensor:
        """Which pages hold something else: bool, shape (pages,), on the slab's device."""


class CopyKernel(Protocol):
    """A kernel that copies a list of pages in one launch."""

    def __call__(
        self, slab: torch.Tensor, page_bytes: int, sources: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """Copy pages of a multiple of 16 bytes; offsets are int64, shape (pages,), on the device.

        Args:
            slab: uint8, shape (size_bytes,).
            page_bytes: Bytes of each page.
            sources: Byte offset of each page.
            targets: Byte offset of where it goes.
        """


@dataclass(frozen=True, slots=True)
class _Rows:
    """Pages as rows of equal width that a tensor view can address.

    Attributes:
        view: Shape (rows of the slab, words of a row).
        numbers: Rows of each page, int64, shape (pages, rows of a page).
    """

    view: torch.Tensor
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int]) -> _Rows:
        """Rows as wide as the offsets allow: a page each, if they lie whole pages apart."""
        places = np.asarray(offsets, dtype=np.int64)
        width = int(np.gcd.reduce(np.append(places - places[0], page_bytes)))
        start = int(places[0]) % width
        num_rows = (slab.numel() - start) // width
        view = slab[start : start + num_rows * width]
        if width % WORD_BYTES == 0 and start % WORD_BYTES == 0:
            view = view.view(torch.int64)
        first = (places - start) // width
        rows = np.arange(page_bytes // width, dtype=np.int64)
        return cls(view.view(num_rows, -1), first[:, None] + rows)

    @property
    def page_shape(self) -> tuple[int, int]:
        """Rows of a page, words of a row."""
        return self.numbers.shape[1], self.view.shape[1]

    def index(self, part: slice) -> torch.Tensor:
        """Row numbers of some pages, one after the other, on the slab's device."""
        return torch.from_numpy(self.numbers[part].reshape(-1)).to(self.view.device)


class TorchPageOps:
    """The operations in plain torch, on any device; a kernel may do the copies.

    Plain torch gathers pages and scatters them again: twice the traffic of a copy kernel.
    """

    def __init__(self, copy_kernel: CopyKernel | None = None) -> None:
        self._copy_kernel = copy_kernel

    def copy(
        self, slab: torch.Tensor, page_bytes: int, sources: Sequence[int], targets: Sequence[int]
    ) -> None:
        """See `PageOps.copy`."""
        if not sources:
            return
        if self._copy_kernel is not None:
            places = torch.tensor([sources, targets], dtype=torch.int64).to(slab.device)
            self._copy_kernel(slab, page_bytes, *places)
            return
        rows = _Rows.of(slab, page_bytes, [*sources, *targets])
        count = len(sources)
        for part in _parts(count, page_bytes):
            moved = rows.view.index_select(0, rows.index(part))
            goal = rows.index(slice(part.start + count, part.stop + count))
            rows.view.index_copy_(0, goal, moved)

    def fill(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> None:
        """See `PageOps.fill`."""
        if not offsets:
            return
        rows = _Rows.of(slab, page_bytes, offsets)
        for part in _parts(len(offsets), page_bytes):
            words = _words(rows, pattern, part).view(-1, rows.page_shape[1])
            rows.view.index_copy_(0, rows.index(part), words)

    def differ(
        self, slab: torch.Tensor, page_bytes: int, offsets: Sequence[int], pattern: Pattern
    ) -> torch.Tensor:
        """See `PageOps.differ`."""
        found = [torch.zeros(0, dtype=torch.bool, device=slab.device)]
        if offsets:
            rows = _Rows.of(slab, page_bytes, offsets)
            for part in _parts(len(offsets), page_bytes):
                held = rows.view.index_select(0, rows.index(part))
                wanted = _words(rows, pattern, part)
                found.append((held.view(len(wanted), -1) != wanted).any(dim=1))
        return torch.cat(found)


def _parts(count: int, page_bytes: int) -> Iterator[slice]:
    """So many pages in slices that hold `MOST_BYTES` at most, or one page."""
    size = max(1, MOST_BYTES // page_bytes)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _words(rows: _Rows, pattern: Pattern, part: slice) -> torch.Tensor:
    """What some pages should hold: shape (pages, words of a page)."""
    dtype, device = rows.view.dtype, rows.view.device
    height, width = rows.page_shape
    seeds = torch.tensor(pattern.seeds[part], dtype=torch.int64).to(device).to(dtype)
    words = torch.arange(height * width, dtype=torch.int64, device=device)
    return seeds[:, None] + (words * pattern.stride).to(dtype)
