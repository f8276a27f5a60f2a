"""Texts such as `static:state_ratio=0.5` become a design and its options."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from scenarios.errors import UnknownNameError, UserError
from sim.admission import known_admissions
from sim.scheduler import known_schedulers
from traces.options import split_spec
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.admission import AdmissionControl
    from sim.scheduler import Scheduler

T = TypeVar("T")
Made = TypeVar("Made")
_PLUS = re.compile(r"\+(?=[a-z])")  # not that of 1e+3


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """A design by name, with options.

    Attributes:
        text: What the user wrote.
        design: The class of that name; it has a frozen dataclass `Options`.
        options: An instance of it.
    """

    text: str
    design: type[T]
    options: Any


def choose(kind: str, text: str, known: Mapping[str, type[T]]) -> Choice[T]:
    """Find a design and make its options.

    Args:
        kind: What is chosen, for error messages: allocator, scheduler.
        text: `NAME[:key=value,...]`.
        known: The designs by name.

    Raises:
        UserError: An unknown name or option, or a value of the wrong type or range.
    """
    try:
        name, values = split_spec(text)
    except TraceError as error:
        raise UserError(str(error)) from None
    if name not in known:
        raise UnknownNameError(kind, name, known)
    design: Any = known[name]
    return Choice(text, design, options_of(name, design.Options, values))


def options_of(name: str, kind: type[Made], values: Mapping[str, str]) -> Made:
    """Make an options object of a kind from texts by key.

    Raises:
        UserError: An unknown key, or a value of the wrong type or range.
    """
    types = get_type_hints(kind)
    for key in values:
        if key not in types:
            raise UnknownNameError(f"option of {name}", key, types or ("none",))
    made = {key: _value(f"{name}: {key}", value, types[key]) for key, value in values.items()}
    try:
        return kind(**made)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


def choose_scheduler(text: str) -> tuple[Choice[Scheduler], tuple[Choice[AdmissionControl], ...]]:
    """Find a scheduler and, each behind a plus, admission controls: `fcfs:max_seqs=64+headroom`.

    Raises:
        UserError: See `choose`; also a control that is given twice.
    """
    scheduler, *controls = _PLUS.split(text)
    chosen = choose("scheduler", scheduler, known_schedulers())
    admissions = tuple(choose("admission control", one, known_admissions()) for one in controls)
    names = [admission.design.name for admission in admissions]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{text}: the admission control {name} is given twice; give it once")
    return chosen, admissions


def described_options(options: type[Any]) -> list[dict[str, str]]:
    """Key, default and meaning of each option, for listings."""
    return [
        {
            "key": field.name,
            "default": _default_text(field),
            "help": str(field.metadata.get("help", "")),
        }
        for field in fields(options)
    ]


def _default_text(field: Field[Any]) -> str:
    if field.default is MISSING:
        return ""
    return str(field.default.value if isinstance(field.default, Enum) else field.default)


def _value(what: str, text: str, kind: type[Any]) -> object:
    if issubclass(kind, Enum):
        words = [member.value for member in kind]
        if text not in words:
            raise UserError(f"{what} must be one of {', '.join(words)}, not {text!r}")
        return kind(text)
    try:
        return kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise UserError(f"{what} must be {noun}, not {text!r}") from None
