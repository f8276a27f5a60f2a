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
BUDGETS = ["loose", "tight", "very tight"]
Stored = dict[str, dict[str, dict[str, int | str]]]
"""By allocator and budget: counts and a digest."""
HOW_TO = "run `python tests/golden/regenerate.py`, read the difference, and commit it"


@pytest.fixture(scope="module")
def recorder() -> dict[str, Any]:
    """The names of regenerate.py, which holds the scenario."""
    return runpy.run_path(str(HERE / "regenerate.py"))


@pytest.fixture(scope="module")
def stored() -> Stored:
    found: Stored = json.loads((HERE / "event_logs.json").read_text())
    return found


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("allocator", known_managers())
def test_the_event_log_is_as_stored(
    allocator: str, budget: str, recorder: dict[str, Any], stored: Stored
) -> None:
    assert allocator in stored, f"{allocator} has no stored event log: {HOW_TO}"
    seen = recorder["summary"](recorder["simulate"](allocator, budget))
    assert seen == stored[allocator][budget], (
        f"{allocator} behaves differently; if that is meant, {HOW_TO}"
    )


@pytest.mark.parametrize("choice", ["always", "cheaper"])
def test_the_event_log_of_swapping_is_as_stored(choice: str, recorder: dict[str, Any]) -> None:
    stored = json.loads((HERE / "swap_logs.json").read_text())
    seen = recorder["swap_summary"](recorder["simulate_swapping"](choice))
    assert seen == stored[choice], f"swapping behaves differently; if that is meant, {HOW_TO}"
    assert seen["swapped"] > 0
    assert seen["host_full"] > 0
    assert (seen["cheaper"] > 0) == (choice == "cheaper")


def test_no_stored_log_is_of_an_allocator_or_a_budget_that_is_gone(stored: Stored) -> None:
    assert set(stored) <= set(known_managers()), HOW_TO
    assert all(list(logs) == BUDGETS for logs in stored.values()), HOW_TO


def test_the_scenario_makes_everything_happen(stored: Stored) -> None:
    for allocator, logs in stored.items():
        assert all(counts["completions"] != 0 for counts in logs.values())
        for budget in ("tight", "very tight"):
            assert logs[budget]["ooms"] != 0
            # What is reserved to the full at admission never fails later.
            assert (logs[budget]["preemptions"] != 0) == (allocator != "contiguous")
    assert stored["shared-bytes"]["loose"]["ooms"] == 0
    assert stored["static"]["tight"]["rejections"] != 0
    assert stored["avmp"]["tight"]["migrations"] != 0
    assert stored["granule"]["tight"]["migrations"] != 0


def test_no_allocator_completes_more_than_the_bound(stored: Stored) -> None:
    for budget in BUDGETS:
        most = stored["shared-bytes"][budget]["completions"]
        assert max(logs[budget]["completions"] for logs in stored.values()) == most


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_fresh_process_with_another_hash_seed_writes_the_same_bytes(
    hash_seed: str, stored: Stored
) -> None:
    printed = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(HERE / "regenerate.py"), "--print"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(printed) == stored
