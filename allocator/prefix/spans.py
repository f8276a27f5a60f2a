"""Parts of texts: what two have in common, and where they are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.run import Run

Span = tuple[int, int, int]
"""A segment, the place in it of the first token, and how many tokens from there on.

Parts of a text are lists of spans. Where one span ends the next starts another segment at its
first token (`Content`), so equal tokens are cut into equal spans, but for the last of a part.
"""


def common_tokens(one: Sequence[Span], other: Sequence[Span]) -> int:
    """Tokens that two parts start with alike."""
    total = 0
    for (segment, place, count), (its_segment, its_place, its_count) in zip(
        one, other, strict=False
    ):
        if (segment, place) != (its_segment, its_place):
            break
        total += min(count, its_count)
        if count != its_count:
            break
    return total


def cut_spans(spans: Sequence[Span], tokens: int) -> tuple[list[Span], list[Span]]:
    """The first so many tokens of a part, and the rest; all of a part that has fewer."""
    for number, (segment, place, count) in enumerate(spans):
        if tokens < count:
            inside = [(segment, place, tokens)] if tokens else []
            rest = (segment, place + tokens, count - tokens)
            return [*spans[:number], *inside], [rest, *spans[number + 1 :]]
        tokens -= count
    return list(spans), []


def cut_runs(runs: Sequence[Run], pages: int) -> tuple[list[Run], list[Run]]:
    """The first so many pages of some runs, and the rest."""
    for number, (first, count) in enumerate(runs):
        if pages < count:
            inside = [(first, pages)] if pages else []
            rest = (first + pages, count - pages)
            return [*runs[:number], *inside], [rest, *runs[number + 1 :]]
        pages -= count
    return list(runs), []
