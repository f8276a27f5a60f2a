"""How messages quote what users wrote: on one line, at bounded length, the likest name first."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN_CHARACTERS = 40
LISTED_NAMES = 20
SEARCHED_FILES = 1000
MOST_CHARACTERS = 1600
"""Of a message: the names of all models take 900."""


def shown(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """A text in quotes, escaped to one line and cut to a number of characters."""
    return repr(text if len(text) <= most else text[:most] + "...")


def one_sentence(text: str) -> str:
    """A message on one line and at bounded length, whatever it quotes; what is cut is its middle.

    Characters that no terminal should be sent, and halves of surrogates, are escaped.
    """
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 2]} ... {text[-MOST_CHARACTERS // 2 :]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def listed(names: Sequence[str]) -> str:
    """Column names found in a file, separated by commas."""
    return ", ".join(shown(name)[1:-1] for name in names[:LISTED_NAMES])


def nearest_first(word: str, names: Iterable[str]) -> str:
    """The known names as one comma-separated text, the likest to a mistyped word first."""

    def unlikeness(name: str) -> tuple[float, str]:
        return -SequenceMatcher(None, word.lower(), name.lower()).ratio(), name

    return ", ".join(sorted(names, key=unlikeness))


def nearest_file(path: str) -> str | None:
    """The file beside a path that is not there whose name is much like it, if there is one."""
    missing = Path(path)
    try:
        names = [entry.name for entry in islice(missing.parent.iterdir(), SEARCHED_FILES)]
    except (OSError, ValueError):
        return None
    near = get_close_matches(missing.name, sorted(names), n=1)
    return str(missing.with_name(near[0])) if near else None
