"""What the user got wrong, said in one sentence with what to do about it."""

from __future__ import annotations

import os
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from traces.wording import one_sentence, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_COMPARED = 200
"""Characters of an unknown name that are quoted, and compared with the known ones."""


class UserError(ValueError):
    """The user's mistake: the message is one sentence that says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_sentence(sentence))


class LostWorkersError(Exception):
    """Processes or a cluster that work was given to ended; the message is one sentence."""


class UnknownNameError(UserError):
    """A name that is not there; the message lists the known names, nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        start = name[:MOST_COMPARED]
        nearest = sorted(known, key=lambda other: (-_likeness(start, other), other))
        quoted = shown(name, MOST_COMPARED)
        super().__init__(f"unknown {kind} {quoted}: use one of {', '.join(nearest)}")


class CannotWriteError(Exception):
    """A result that could not be written: the disk is full, or was taken away."""

    @classmethod
    def of(cls, file: Path, error: OSError) -> CannotWriteError:
        """What the system said of a file."""
        reason = os.strerror(error.errno) if error.errno else str(error)
        return cls(one_sentence(f"{file} cannot be written: {reason}; what is there is whole"))


def _likeness(name: str, other: str) -> float:
    return SequenceMatcher(None, name.lower(), other.lower()).ratio()
