"""What the user got wrong, said in one sentence with what to do about it."""

from collections.abc import Iterable
from difflib import SequenceMatcher


class UserError(ValueError):
    """The user's mistake: the message is one sentence that says what to do."""


class LostWorkersError(Exception):
    """Processes or a cluster that work was given to ended; the message is one sentence."""


class UnknownNameError(UserError):
    """A name that is not there; the message lists the known names, nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        nearest = sorted(known, key=lambda other: (-_likeness(name, other), other))
        super().__init__(f"unknown {kind} {name!r}: use one of {', '.join(nearest)}")


def _likeness(name: str, other: str) -> float:
    return SequenceMatcher(None, name.lower(), other.lower()).ratio()
