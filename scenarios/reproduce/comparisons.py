"""Variants against `fixed_dual_mr05`, with the paper's intervals and with ones that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.reproduce.cell import Row


def comparisons_of(cells: Sequence[Row]) -> list[dict[str, Any]]:
    return []
