"""Which requests of a trace repeat each other's texts, so that they stay or go together."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from traces.record import Int64Array, Trace


def families_of(trace: Trace) -> Int64Array:
    """The family of each request: numbers from 0 in the order of their first requests.

    Requests whose prompts share a block are of one family, as the turns of a conversation are. A
    block that more requests share than the square root of their number is a preamble of many
    conversations, not one of them: the first rarer block of a prompt names its family. A request
    without such a block is a family of its own.

    Returns:
        int64, shape (n,); without prefixes `0, 1, ..., n - 1`.
    """
    if not trace.prefixes:
        return np.arange(len(trace), dtype=np.int64)
    counts = Counter(block for prefix in trace.prefixes for block in set(prefix))
    most = max(1, math.isqrt(len(trace)))
    numbers: dict[tuple[str, int], int] = {}
    found = np.empty(len(trace), np.int64)
    for row, prefix in enumerate(trace.prefixes):
        block = next((block for block in prefix if counts[block] <= most), None)
        name = ("request", row) if block is None else ("block", block)
        found[row] = numbers.setdefault(name, len(numbers))
    return found
