"""Profiles as files: what is wrong with one is said with file and key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.cell import ENGINES, Cell, simulate
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from scenarios.profile import load_profile, read_profile
from scenarios.trace_input import TraceInput
from sim.metric import Slo
from traces.load import TraceOptions

if TYPE_CHECKING:
    from pathlib import Path

CONTENT: dict[str, Any] = {
    "schema": 1,
    "model": "nemotron-h-8b",
    "device": "h200",
    "measured_on": {"product": "NVIDIA H200"},
    "dtypes": {"kv": "bf16", "state": "fp32"},
    "terms_ns": {"steps": 3.5e6, "decodes": 4e4, "tokens_beyond_192": 2e4, "attended_tokens": 3.9},
    "remap": {"batch_ns": 3000, "unmap_ns": 20000, "map_ns": 34000},
    "remap_beside": {"batch_ns": 84000, "unmap_ns": 20000, "map_ns": 29000},
    "copy_ns": 98000,
    "copied_byte_ns": 0.0011,
    "fit_error": {
        "median_pct": 1.0,
        "p95_pct": 3.0,
        "held_out_median_pct": 1.1,
        "held_out_p95_pct": 3.3,
    },
    "steps": [],
}


def written(folder: Path, **changes: object) -> Path:
    file = folder / "some.json"
    file.write_text(json.dumps(CONTENT | changes))
    return file


def test_a_file_is_read_as_it_says(tmp_path: Path) -> None:
    profile = load_profile(str(written(tmp_path)))
    assert dict(profile.table.terms) == CONTENT["terms_ns"]
    assert profile.table.remap.map_ns == 34_000
    assert profile.fit_error.held_out_p95_pct == 3.3
    other = load_profile(str(written(tmp_path, copy_ns=98_001)))
    assert other.digest != profile.digest


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": 2}, "no profile of schema 1"),
        ({"model": 3}, "model must be a text"),
        ({"measured_on": []}, "measured_on must be a table of texts"),
        ({"terms_ns": {"stpes": 1.0}}, "terms_ns: terms must be some of steps"),
        ({"terms_ns": {"steps": -1.0}}, "terms_ns.steps must be a number, 0 or above"),
        ({"copy_ns": None}, "copy_ns must be a number"),
        ({"remap": {"batch_ns": 1}}, "remap must be a table of batch_ns, unmap_ns, map_ns"),
        ({"fit_error": {}}, "fit_error must be a table of median_pct"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=f"some.json.*{complaint}"):
        read_profile(written(tmp_path, **changes))


def test_what_is_no_file_or_no_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_profile(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        load_profile(str(tmp_path / "bad.json"))
    with pytest.raises(UserError, match=r"profile.*h201"):
        load_profile("h201")


@pytest.mark.parametrize(
    ("model", "device", "tp"),
    [("bamba-9b", "h200", 1), ("nemotron-h-8b", "l40s", 1), ("nemotron-h-8b", "h200", 2)],
)
def test_a_profile_is_for_its_model_and_device(
    tmp_path: Path, model: str, device: str, tp: int
) -> None:
    profile = read_profile(written(tmp_path))
    with pytest.raises(UserError, match="was measured for nemotron-h-8b on one h200"):
        machine_of(load_model(model), load_device(device), MachineOptions(tp=tp), profile)


def test_both_engines_write_the_same_log_from_a_profile(tmp_path: Path) -> None:
    machine = machine_of(
        load_model("nemotron-h-8b"),
        load_device("h200"),
        MachineOptions(memory_gib=2.0),
        read_profile(written(tmp_path)),
    )
    options = TraceOptions(seed=1)
    trace = TraceInput("azure-like", options, limit=150, rate_scale=4.0).load()
    logs = {
        step: simulate(Cell(machine, "avmp", "fcfs", Slo(), step), trace).log.to_bytes()
        for step in ENGINES
    }
    assert len(set(logs.values())) == 1
    rates = machine_of(
        load_model("nemotron-h-8b"), load_device("h200"), MachineOptions(memory_gib=2.0)
    )
    assert simulate(Cell(rates, "avmp", "fcfs", Slo()), trace).log.to_bytes() not in logs.values()
