"""What is fuzzed: a reader with valid examples, in a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from tests.fuzz import targets
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REFUSALS = (UserError, TraceError)
"""What a reader may raise, whatever it reads; the command line ends with 2 for both."""

MOST_CHARACTERS = 2000
"""Of a refusal: a file name and a value may be quoted, a file may not."""


@dataclass(frozen=True)
class Prepared:
    """A target that is ready.

    Attributes:
        seeds: Valid inputs, at least one.
        feed: Reads an input; raises one of `REFUSALS`, or nothing.
    """

    seeds: tuple[bytes, ...]
    feed: Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """A reader by name; `prepare` makes what it needs in an empty folder.

    Attributes:
        name: What the command line calls it.
        prepare: Makes seeds and reader.
        share: How often it gets an input, beside the others; slow ones get fewer.
    """

    name: str
    prepare: Callable[[Path], Prepared]
    share: float = 1.0


def known_targets() -> dict[str, Target]:
    """Every target of every module in `tests/fuzz/targets`, by name."""
    files = sorted(module.name for module in iter_modules(targets.__path__))
    modules = [import_module(f"{targets.__name__}.{file}") for file in files]
    return {target.name: target for module in modules for target in module.TARGETS}


def check_sentence(error: BaseException) -> None:
    """Raise AssertionError unless a refusal is one sentence that a terminal can show."""
    sentence = str(error)
    assert sentence.strip(), "the refusal says nothing"
    assert "\n" not in sentence, f"the refusal has several lines: {sentence!r}"
    assert len(sentence) <= MOST_CHARACTERS, f"the refusal is {len(sentence)} characters long"
