from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema
import pytest

from scenarios.sweep_file import load_sweep
from scenarios.sweep_task import settings_of
from sim.engine import Fleet
from tests.cli.replay_schema import REPLAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

RUN = ("--model", "nemotron-h-8b", "--device", "h200", "--allocator", "avmp")
TIGHT = ("--memory-gib", "0.5", "--rate-scale", "8")


def test_two_replicas_show_in_the_result(twinpool: Twinpool, small_trace: Path) -> None:
    options = ("--replicas", 2, "--router", "least-loaded:by=queue", "--tp", 2)
    result = twinpool("replay", small_trace, *RUN, *TIGHT, *options, "--json").json()
    jsonschema.validate(result, REPLAY)
    assert result["replicas"] == 2
    assert result["router"] == "least-loaded:by=queue"
    assert result["devices"] == 4
    (run,) = result["runs"]
    assert [replica["replica"] for replica in run["replicas"]] == [0, 1]
    assert sum(replica["requests"] for replica in run["replicas"]) == 60
    assert run["budget_bytes"] == 2 * result["budget_bytes"]
    assert set(run["load_imbalance"]) == {"requests", "output_tokens", "in_flight"}


def test_one_replica_is_as_before(twinpool: Twinpool, small_trace: Path) -> None:
    plain = twinpool("replay", small_trace, *RUN, *TIGHT, "--json").json()
    one = twinpool("replay", small_trace, *RUN, *TIGHT, "--replicas", 1, "--json").json()
    assert (plain["replicas"], plain["router"], plain["devices"]) == (1, None, 1)
    assert "replicas" not in plain["runs"][0]
    digests = {result["runs"][0]["event_log_sha256"] for result in (plain, one)}
    assert len(digests) == 1


def test_both_engines_write_the_same_log(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *RUN, *TIGHT, "--json", "--replicas", 3, "--engine-step")
    runs = [twinpool(*command, engine).json()["runs"][0] for engine in ("fast", "exact")]
    assert runs[0]["event_log_sha256"] == runs[1]["event_log_sha256"]


def test_table_and_report_name_the_replicas(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *RUN, *TIGHT, "--replicas", 2, "--out", "here")
    outcome = twinpool(*command)
    assert "in flight, max/mean" in outcome.stdout
    assert "2 replicas" in " ".join(outcome.stdout.split())
    page = (small_trace.parent / "here" / "report.html").read_text()
    assert "2 behind round-robin" in page
    assert '<h2 id="replicas">' in page
    assert twinpool(*command, "--json").json()["runs"][0]["replicas"]  # kept, and read again


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--replicas", 0), "replicas must be from 1 to 1024, not 0"),
        (("--replicas", 2, "--router", "least-load"), "unknown router 'least-load'"),
        (("--router", "prefix-affine:block=0"), "block and max_blocks must be at least 1"),
        (("--router", "least-loaded:by=colour"), "must be one of requests, queue, tokens, memory"),
    ],
)
def test_mistakes_are_said_in_one_sentence(
    twinpool: Twinpool, small_trace: Path, options: tuple[object, ...], complaint: str
) -> None:
    outcome = twinpool("replay", small_trace, *RUN, *options)
    assert outcome.exit_code == 2
    assert complaint in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_routers_are_listed(twinpool: Twinpool) -> None:
    items = twinpool("list", "routers", "--json").json()["items"]
    assert {"round-robin", "least-loaded", "prefix-affine"} <= {item["name"] for item in items}
    assert all(item["source"] for item in items)


SWEEP = """
[sweep]
summary = "two replicas"
models = ["nemotron-h-8b"]
device = "h200"
loads = [0.5]
seeds = 1
allocators = ["avmp"]
replicas = 2
router = "least-loaded"

[memory]
sequences = 16
reference_tokens = 4096

[mixes.chat]
trace = "mooncake-like:n=20"
"""


def test_a_sweep_takes_replicas_and_a_router(tmp_path: Path, twinpool: Twinpool) -> None:
    file = tmp_path / "two.toml"
    file.write_text(SWEEP)
    (setting,) = settings_of(load_sweep(str(file)))
    parts = setting.cell("avmp").wire()
    assert isinstance(parts, Fleet)
    assert len(parts.replicas) == 2
    result = twinpool("sweep", file, "--jobs", 1, "--out", "there", "--json", "--quiet").json()
    (row,) = result["rows"]
    assert row["error"] is None
    assert row["load_imbalance_requests"] >= 1


@pytest.mark.parametrize(
    ("line", "key"), [("replicas = 0", "replicas"), ('router = "x"', "router")]
)
def test_a_sweep_says_which_key_is_wrong(
    tmp_path: Path, twinpool: Twinpool, line: str, key: str
) -> None:
    file = tmp_path / "two.toml"
    old = "replicas = 2" if key == "replicas" else 'router = "least-loaded"'
    file.write_text(SWEEP.replace(old, line))
    outcome = twinpool("sweep", file)
    assert outcome.exit_code == 2
    assert key in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
