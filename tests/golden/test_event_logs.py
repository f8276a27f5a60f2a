"""The event log of a fixed scenario never changes unnoticed, whatever process or hash seed."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allocator.registry import known_managers

HERE = Path(__file__).parent
HOW_TO = "run `python tests/golden/regenerate.py`, read the difference, and commit it"


@pytest.fixture(scope="module")
def recorder() -> dict[str, Any]:
    """The names of regenerate.py, which holds the scenario."""
    return runpy.run_path(str(HERE / "regenerate.py"))


@pytest.fixture(scope="module")
def stored() -> dict[str, dict[str, int | str]]:
    found: dict[str, dict[str, int | str]] = json.loads((HERE / "event_logs.json").read_text())
    return found


@pytest.mark.parametrize("allocator", known_managers())
def test_the_event_log_is_as_stored(
    allocator: str, recorder: dict[str, Any], stored: dict[str, dict[str, int | str]]
) -> None:
    assert allocator in stored, f"{allocator} has no stored event log: {HOW_TO}"
    seen = recorder["summary"](recorder["simulate"](allocator))
    assert seen == stored[allocator], f"{allocator} behaves differently; if that is meant, {HOW_TO}"


def test_no_stored_log_is_of_an_allocator_that_is_gone(
    stored: dict[str, dict[str, int | str]],
) -> None:
    assert set(stored) <= set(known_managers()), HOW_TO


def test_the_scenario_makes_everything_happen(stored: dict[str, dict[str, int | str]]) -> None:
    for counts in stored.values():
        assert counts["completions"] != 0
        assert counts["preemptions"] != 0
        assert counts["ooms"] != 0
    assert stored["static"]["rejections"] != 0
    assert stored["avmp"]["migrations"] != 0


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_fresh_process_with_another_hash_seed_writes_the_same_bytes(
    hash_seed: str, stored: dict[str, dict[str, int | str]]
) -> None:
    printed = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(HERE / "regenerate.py"), "--print"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(printed) == stored
