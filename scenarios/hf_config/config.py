"""A `config.json`, read field by field; every complaint names the file and the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from scenarios.errors import UserError
from scenarios.text_file import parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

T = TypeVar("T")

MOST_BYTES = 64 << 20
MOST = 10**9
"""No count in a config is above it; larger ones would only make later arithmetic slow."""


@dataclass(frozen=True, slots=True)
class Config:
    """One JSON object of a config.

    Attributes:
        file: Where it came from, for complaints.
        values: The object.
    """

    file: Path
    values: dict[str, Any]

    @classmethod
    def load(cls, file: Path) -> Config:
        """Read a file.

        Raises:
            UserError: It cannot be read, is larger than 64 MiB, or holds no JSON object.
        """
        content = parse_json(file, read_text(file, MOST_BYTES))
        if not isinstance(content, dict):
            raise UserError(f"{file} holds no JSON object, so it is no config.json")
        return cls(file, content)

    def part(self, key: str) -> Config | None:
        """The object under a key; None where there is none."""
        value = self.values.get(key)
        return Config(self.file, value) if isinstance(value, dict) else None

    def count(self, *keys: str, default: int | None = None, least: int = 1) -> int:
        """A whole number under the first of some keys that is there and not null.

        Args:
            keys: Names that checkpoints of the family have used, the first for complaints.
            default: What a missing field means to the family's own class; None: it must be there.
            least: Smallest number that makes sense.

        Raises:
            UserError: It is missing, no whole number, or out of range.
        """
        key = self.first(*keys)
        if key is None:
            if default is None:
                raise self.fault(keys[0], "is missing")
            return default
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            raise self.fault(key, f"must be a whole number from {least} on, not {_shown(value)}")
        return value

    def number(self, *keys: str, default: float) -> float:
        """A number above 0 under the first of some keys that is there.

        Raises:
            UserError: It is no number, or not above 0.
        """
        key = self.first(*keys)
        if key is None:
            return default
        value = self.values[key]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < float("inf"):
            raise self.fault(key, f"must be a number above 0, not {_shown(value)}")
        return float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false; raise `UserError` if it is something else."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fault(key, f"must be true or false, not {_shown(value)}")
        return value

    def text(self, *keys: str, default: str = "") -> str:
        """A text under the first of some keys that is there; raise `UserError` if it is none."""
        key = self.first(*keys)
        if key is None:
            return default
        value = self.values[key]
        if not isinstance(value, str):
            raise self.fault(key, f"must be a text, not {_shown(value)}")
        return value

    def texts(self, *keys: str) -> list[str]:
        """A list of texts; empty where there is none. Raise `UserError` if it is no such list."""
        return self._list(keys, str, "texts")

    def counts(self, *keys: str) -> list[int]:
        """A list of whole numbers, likewise."""
        return self._list(keys, int, "whole numbers")

    def first(self, *keys: str) -> str | None:
        """The first of some keys that is there and not null."""
        return next((key for key in keys if self.values.get(key) is not None), None)

    def fault(self, key: str, complaint: str) -> UserError:
        """The error that names this file and a field."""
        return UserError(f"{self.file}: {key} {complaint}")

    def divided(self, key: str, whole: int, parts: int) -> int:
        """A size that follows from two others; raise `UserError` if they do not divide."""
        if whole % parts:
            raise self.fault(key, f"is missing, and {whole} is not divisible by {parts}")
        return whole // parts

    def _list(self, keys: Sequence[str], kind: type[T], named: str) -> list[T]:
        key = self.first(*keys)
        if key is None:
            return []
        value = self.values[key]
        if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
            raise self.fault(key, f"must be a list of {named}, not {_shown(value)}")
        return value


def _shown(value: object) -> str:
    """A value for a complaint, cut short."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - what fits a sentence
