"""`calibrate` and `validate` from end to end where the host stands in for the device."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install twinpool[gpu]")
pytest.importorskip("scipy", reason="scipy is not installed")

from scenarios.commands import calibrate, validate  # noqa: E402 - what they run needs torch
from scenarios.device_calibration import CalibrationSize  # noqa: E402 - the same
from scenarios.profile import read_profile  # noqa: E402 - the same
from tests.gpu.tiny_model import FILE, PacedRig, paced_rig, tiny_machine  # noqa: E402 - the same
from tests.unit.test_calibrate import PRIMITIVES  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.machine import MachineOptions
    from sim.step import StepExecutor
    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

torch.set_num_threads(1)

PRODUCT = "NVIDIA H200"
MEMORY = ("--memory-gib", "0.0625")
# Requests shorter than what a warm-up lets decode between prompts.
TRACE = ("--trace", "poisson:n=4,rate=50,prompt=30,output=6", *MEMORY)
SLOWER = 1.1


class Priced(PacedRig):
    """Runs nothing: steps take what they cost."""

    def executor(self, *_: object) -> StepExecutor:
        return self.prices  # type: ignore[no-any-return] # of whatever kind


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[MachineOptions]:
    """The host stands in for the device; options of each rig that is made."""
    seen: list[MachineOptions] = []
    prices = tiny_machine().executor()

    def measured(_model: object, options: MachineOptions) -> PacedRig:
        seen.append(options)
        rig = paced_rig(prices, options=options)
        return Priced(**{field.name: getattr(rig, field.name) for field in fields(rig)})

    def served(_model: object, options: MachineOptions) -> PacedRig:
        seen.append(options)
        return paced_rig(prices, SLOWER, options)

    for command, rig_of in ((calibrate, measured), (validate, served)):
        monkeypatch.setattr(command, "device_product", lambda: PRODUCT)
        monkeypatch.setattr(command, "rig_of", rig_of)
    monkeypatch.setattr(calibrate, "primitives_of_device", lambda: PRIMITIVES)
    size = CalibrationSize(13, 300, 1100, trials=1)
    monkeypatch.setattr(calibrate, "CalibrationSize", lambda: size)
    return seen


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A file of the tiny model beside what commands write."""
    shutil.copy(FILE, tmp_path)
    return f"./{FILE.name}"


@pytest.fixture
def profile(twinpool: Twinpool, asked: list[MachineOptions], model: str) -> str:
    """A profile that the command made, for states of 16 bits."""
    options = (*MEMORY, "--state-dtype", "bf16", "--json")
    made = twinpool("calibrate", "--model", model, "--out", "made.json", *options)
    assert made.exit_code == 0, made.stderr
    found = made.json()
    assert (found["command"], found["model"]) == ("calibrate", "tiny-hybrid")
    assert (found["device"], found["profile"]) == ("h200", "made.json")
    assert found["profile_digest"] == read_profile(Path("made.json")).digest
    assert 0 <= found["fit_error"]["median_pct"] <= found["fit_error"]["p95_pct"]
    assert json.loads(Path("made.json").read_text())["dtypes"]["state"] == "bf16"
    assert [options.state_dtype for options in asked] == ["bf16"]
    return "made.json"


def test_a_profile_predicts_the_device_on_each_backing_and_no_other_device(
    twinpool: Twinpool, profile: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("validate", "--model", model, "--profile", profile, *TRACE, "--allocator", "avmp")
    done = twinpool(*command, "--backing", "torch", "--backing", "vmm", "--out", "kept", "--json")
    assert done.exit_code == 0, done.stderr
    found = done.json()
    assert json.loads(Path("kept/validate.json").read_text()) == found
    assert [row["backing"] for row in found["rows"]] == ["torch", "vmm"]
    in_torch, mapped = found["rows"]
    assert in_torch["physical_bytes"] > mapped["physical_bytes"] == mapped["budget_bytes"]
    for row in found["rows"]:
        assert row["decisions_identical"]
        assert row["measured"]["completed"] == 4
        assert (row["verified_pages"] > 0, row["corrupted_pages"]) == (True, 0)
        # The device is a tenth slower than what was calibrated.
        assert row["steps"]["all"]["p50_error_pct"] == pytest.approx(100 / SLOWER - 100, abs=2)
    monkeypatch.setattr(validate, "device_product", lambda: "NVIDIA L40S")
    refused = twinpool(*command)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "was measured on h200, and this device is NVIDIA L40S: calibrate here" in refused.stderr


def test_states_of_more_bytes_are_more_bytes_on_the_device(
    twinpool: Twinpool, profile: str, model: str, asked: list[MachineOptions]
) -> None:
    command = ("validate", "--model", model, "--profile", profile, *TRACE, "--allocator", "padded")
    peaks = {}
    for dtype in ("bf16", "fp32"):
        (row,) = twinpool(*command, "--state-dtype", dtype, "--json").json()["rows"]
        peaks[dtype] = row["decisions"]["peak_bytes"]
    assert peaks["fp32"] > peaks["bf16"]
    assert [options.state_dtype for options in asked] == ["bf16", "bf16", "fp32"]


@pytest.mark.usefixtures("asked")
def test_a_person_reads_a_sentence_and_a_table(twinpool: Twinpool, model: str) -> None:
    made = twinpool("calibrate", "--model", model, "--out", "made.json", *MEMORY)
    assert made.stdout == ""
    assert "made.json: fitted to" in made.stderr
    place = ("--model", model, "--profile", "made.json", *TRACE, "--allocator", "avmp")
    shown = twinpool("validate", *place).stdout
    assert f"{model} on h200" in shown
    for cell in ("avmp", "vmm", "identical"):
        assert cell in shown
