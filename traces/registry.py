"""Finds what a folder offers, and names what is near to an unknown name."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def members(package: ModuleType, attribute: str) -> dict[str, Any]:
    """What every module of a package offers under one attribute, by its `name`, sorted by file.

    Raises:
        AttributeError: A module of the folder offers no such attribute.
    """
    files = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{file}") for file in files]
    offers = [getattr(module, attribute) for module in modules]
    return {offer.name: offer for offer in offers}


def nearest_first(word: str, names: Iterable[str]) -> str:
    """The known names as one comma-separated text, the likest to a mistyped word first."""

    def unlikeness(name: str) -> tuple[float, str]:
        return -SequenceMatcher(None, word.lower(), name.lower()).ratio(), name

    return ", ".join(sorted(names, key=unlikeness))
