"""How a kernel finds a page: by handle, or, to measure what that costs, without one."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def page_named(table, number, page_of, index_mask, NAMING: tl.constexpr):
    """The page of a block of tokens, or of a state with number 0; see `kernels.views.HANDLE`."""
    if NAMING == "contiguous":
        page = tl.load(table) + number
    else:
        page = tl.load(table + number)
        if NAMING == "handle":
            page = tl.load(page_of + (page & index_mask))
    return page.to(tl.int64)


@triton.jit
def pages_named(table, numbers, exists, page_of, index_mask, NAMING: tl.constexpr):
    """The pages of many blocks; any page where there is no block."""
    if NAMING == "contiguous":
        pages = tl.load(table) + tl.where(exists, numbers, 0)
    else:
        pages = tl.load(table + numbers, mask=exists, other=0)
        if NAMING == "handle":
            pages = tl.load(page_of + (pages & index_mask))
    return pages.to(tl.int64)
