"""Value objects are frozen and slotted: nobody changes what somebody else was given."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass
from typing import Any

import pytest

import allocator
import sim
import traces
from allocator.paper.timed import PhaseTimes
from sim.step import StepPlan

FILLED_STEP_BY_STEP = {PhaseTimes, StepPlan}
"""What one part makes and others add to, and so the only dataclasses that change."""


def dataclasses_of(package: Any) -> list[type[Any]]:  # noqa: ANN401 - a package
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [
        each
        for module in [importlib.import_module(info.name) for info in modules]
        for _, each in inspect.getmembers(module, inspect.isclass)
        if is_dataclass(each) and each.__module__ == module.__name__
    ]


@pytest.mark.parametrize("package", [allocator, sim, traces], ids=lambda package: package.__name__)
def test_dataclasses_are_frozen_and_slotted(package: Any) -> None:  # noqa: ANN401 - a package
    found = dataclasses_of(package)
    assert len(found) > 5
    assert [each.__qualname__ for each in found if "__slots__" not in vars(each)] == []
    changing = {each for each in found if not each.__dataclass_params__.frozen}
    assert changing <= FILLED_STEP_BY_STEP
