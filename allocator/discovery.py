"""Finds the implementations of an interface by scanning a package; nothing is listed by hand."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from types import ModuleType

T = TypeVar("T")


def discover(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Concrete subclasses of `base` defined in the modules of a package, by their `name`.

    Raises:
        ValueError: If two of them share a name.
    """
    found: dict[str, type[T]] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for _, candidate in inspect.getmembers(module, inspect.isclass):
            is_own = candidate.__module__ == module.__name__
            if not is_own or not issubclass(candidate, base) or inspect.isabstract(candidate):
                continue
            name: str = candidate.name  # type: ignore[attr-defined]
            if name in found:
                raise ValueError(f"{package.__name__}: two designs are called {name}")
            found[name] = candidate
    return dict(sorted(found.items()))
