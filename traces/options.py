"""Texts such as `gamma:rate=5,cv=2` become frozen dataclasses whose fields are the known keys."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

from traces.record import TraceError
from traces.wording import nearest_first, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

Made = TypeVar("Made", bound="Options")


def about(
    text: str,
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Metadata of an option field: what it means and which values it takes.

    Args:
        text: What the option sets, with its unit.
        low: Smallest value allowed.
        above: Bound that a value must exceed.
        high: Largest value allowed.
        choices: The words allowed, for an option that is a word.
    """
    return {"text": text, "low": low, "above": above, "high": high, "choices": choices}


@dataclass(frozen=True, slots=True)
class Options:
    """Base of everything written as `NAME:key=value,...`; fields carry `about` metadata."""

    name: ClassVar[str]
    description: ClassVar[str]

    def __post_init__(self) -> None:
        """Raise TraceError where a value is outside of its field's range."""
        for entry in fields(self):
            _check_range(self.name, entry, getattr(self, entry.name))

    @property
    def label(self) -> str:
        """The text that makes this object again, every option spelled out."""
        values = ",".join(f"{entry.name}={getattr(self, entry.name)}" for entry in fields(self))
        return f"{self.name}:{values}" if values else self.name


def split_spec(text: str) -> tuple[str, dict[str, str]]:
    """Split `NAME[:key=value,...]` into the name and its options, still as text.

    Raises:
        TraceError: An option lacks its `=`, is empty, or is given twice.
    """
    name, _, tail = text.strip().partition(":")
    values: dict[str, str] = {}
    for part in tail.split(",") if tail.strip() else []:
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not (equals and key and value.strip()):
            raise TraceError(f"{shown(part)} is no option; write {name}:key=value,...")
        if key in values:
            raise TraceError(f"{name}: {shown(key)} is given twice; give it once")
        values[key] = value.strip()
    return name.strip(), values


def build(kind: type[Made], values: Mapping[str, str], defaults: Mapping[str, Any]) -> Made:
    """Make the options object of a kind from texts.

    Args:
        kind: The dataclass to make.
        values: Text by key, as written by the user.
        defaults: Values that stand in for keys that the user left out.

    Raises:
        TraceError: An unknown key, a missing one, or a value of the wrong type or range.
    """
    known = {entry.name: entry for entry in fields(kind)}
    types = get_type_hints(kind)
    chosen: dict[str, Any] = {key: value for key, value in defaults.items() if key in known}
    for key, text in values.items():
        if key not in known:
            raise TraceError(_unknown_key(kind.name, key, known))
        chosen[key] = _value(f"{kind.name}: {key}", text, types[key])
    _refuse_missing(kind.name, known, chosen)
    return kind(**chosen)


def described(kind: type[Options]) -> tuple[str, ...]:
    """One text an option: `key=default: meaning`, for listings."""
    return tuple(_described(entry) for entry in fields(kind))


def _described(entry: Field[Any]) -> str:
    default = "" if entry.default is MISSING else entry.default
    return f"{entry.name}={default}: {entry.metadata['text']}"


def _unknown_key(name: str, key: str, known: Mapping[str, Any]) -> str:
    offer = nearest_first(key, known) if known else "none"
    return f"{name} has no option {shown(key)}; it knows {offer}"


def _refuse_missing(name: str, known: Mapping[str, Field[Any]], chosen: Mapping[str, Any]) -> None:
    for key, entry in known.items():
        if entry.default is MISSING and key not in chosen:
            raise TraceError(f"{name} needs {key} ({entry.metadata['text']}): {name}:{key}=...")


def _value(what: str, text: str, kind: type) -> object:
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise TraceError(f"{what} must be {noun}, not {shown(text)}") from None


def _check_range(name: str, entry: Field[Any], value: object) -> None:
    about_it = entry.metadata
    if isinstance(value, str):
        if about_it["choices"] and value not in about_it["choices"]:
            offer = nearest_first(value, about_it["choices"])
            raise TraceError(f"{name}: {entry.name} must be one of {offer}, not {shown(value)}")
        return
    if not (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))):
        raise TraceError(f"{name}: {entry.name} must be a finite number, not {value!r}")
    if value < about_it["low"] or value <= about_it["above"] or value > about_it["high"]:
        raise TraceError(f"{name}: {entry.name} must be {_range_text(about_it)}, not {value}")


def _range_text(about_it: Mapping[str, Any]) -> str:
    words = (("low", "at least"), ("above", "above"), ("high", "at most"))
    bounds = [f"{word} {about_it[key]:g}" for key, word in words if math.isfinite(about_it[key])]
    return " and ".join(bounds)
