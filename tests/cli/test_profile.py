"""`--profile`: steps priced from what was measured."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

REPLAY = ("replay", "azure-like", "--limit", "60", "--device", "h200", "--allocator", "avmp")
COSTS = {"batch_ns": 3e3, "unmap_ns": 2e4, "map_ns": 3.4e4}
ERRORS = dict.fromkeys(("median_pct", "p95_pct", "held_out_median_pct", "held_out_p95_pct"), 1.0)
PROFILE: dict[str, Any] = {
    "schema": 1,
    "model": "nemotron-h-8b",
    "device": "h200",
    "measured_on": {"product": "NVIDIA H200"},
    "dtypes": {},
    "terms_ns": {"steps": 1e9},
    "remap": COSTS,
    "remap_beside": COSTS,
    "copy_ns": 1e5,
    "copied_byte_ns": 1e-3,
    "fit_error": ERRORS,
}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    file = tmp_path / "slow.json"
    file.write_text(json.dumps(PROFILE))
    return file


def test_a_replay_takes_its_steps_from_the_profile(twinpool: Twinpool, profile: Path) -> None:
    options = (*REPLAY, "--model", "nemotron-h-8b", "--json", "--quiet")
    plain, measured = twinpool(*options), twinpool(*options, "--profile", str(profile))
    result = measured.json()
    assert result["profile_digest"] == hashlib.sha256(profile.read_bytes()).hexdigest()
    assert plain.json()["profile_digest"] is None
    assert result["scenario_digest"] != plain.json()["scenario_digest"]
    run = result["runs"][0]
    assert run["tpot_s"]["p50"] == pytest.approx(1.0, rel=0.01)  # a step takes a second


@pytest.mark.parametrize(
    ("model", "source", "complaint"),
    [("bamba-9b", None, "was measured for nemotron-h-8b"), ("nemotron-h-8b", "h201", "profile")],
)
def test_a_profile_that_does_not_fit_is_refused(
    twinpool: Twinpool, profile: Path, model: str, source: str | None, complaint: str
) -> None:
    outcome = twinpool(*REPLAY, "--model", model, "--profile", source or str(profile))
    assert outcome.exit_code == 2
    assert complaint in outcome.stderr


def test_a_sweep_takes_a_profile_too(twinpool: Twinpool, profile: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(
        '[sweep]\nsummary = "s"\nmodels = ["nemotron-h-8b"]\ndevice = "h200"\nloads = [1.0]\n'
        'seeds = 1\nallocators = ["static"]\n[memory]\nsequences = 8\nreference_tokens = 2000\n'
        '[mixes.chat]\ntrace = "azure-like:n=60"\n'
    )
    out = ("--out", str(tmp_path / "out"), "--jobs", "1", "--json", "--quiet")
    result = twinpool("sweep", str(scenario), "--profile", str(profile), *out).json()
    assert result["profile_digest"] == hashlib.sha256(profile.read_bytes()).hexdigest()
    assert result["rows"][0]["tpot_s_p50"] == pytest.approx(1.0, rel=0.01)
    scenario.write_text(
        scenario.read_text().replace("seeds = 1", 'seeds = 1\nprofile = "none.json"')
    )
    outcome = twinpool("sweep", str(scenario), *out)
    assert outcome.exit_code == 2
    assert "[sweep] profile is wrong" in outcome.stderr
