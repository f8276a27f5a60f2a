"""Links of Markdown pages, and the anchors that their headings make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Link:
    """A target as it is written: a path, empty for the page itself, and a place there."""

    path: str
    anchor: str | None


def links_of(page: str) -> Iterator[Link]:
    """Links within the repository, outside of code."""
    for found in LINK.finditer(FENCED.sub("", page)):
        if not found["path"].startswith(("http:", "https:")):
            yield Link(found["path"], found["anchor"])


def anchors_of(page: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them; none occurs twice on our pages."""
    return {_slug(found["text"]) for found in HEADING.finditer(FENCED.sub("", page))}


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
