"""Finds what the files of a folder offer."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
