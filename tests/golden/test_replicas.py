"""The golden scenario over two replicas: its logs never change unnoticed, whatever the engine."""

import json
import runpy
from pathlib import Path

import pytest

from sim.engine import Engine
from sim.macro_steps import MacroStepEngine
from sim.router import known_routers

HERE = Path(__file__).parent
RECORDER = runpy.run_path(str(HERE / "regenerate.py"))
STORED = json.loads((HERE / "replica_logs.json").read_text())
HOW_TO = "run `python tests/golden/regenerate.py`, read the difference, and commit it"


@pytest.mark.parametrize("engine", [Engine, MacroStepEngine])
@pytest.mark.parametrize("router", known_routers())
def test_the_event_log_is_as_stored(router: str, engine: type[Engine]) -> None:
    assert router in STORED, f"{router} has no stored event log: {HOW_TO}"
    seen = RECORDER["summary"](RECORDER["simulate_replicas"](router, engine))
    assert seen == STORED[router], f"{router} routes differently; if that is meant, {HOW_TO}"


def test_no_stored_log_is_of_a_router_that_is_gone() -> None:
    assert set(STORED) == set(known_routers()), HOW_TO


def test_the_scenario_tells_routers_apart() -> None:
    assert len({log["sha256"] for log in STORED.values()}) == len(STORED)
    assert all(log["preemptions"] and log["migrations"] for log in STORED.values())
