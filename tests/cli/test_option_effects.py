"""Options of `plan` and `replay` whose effect no other test shows, by the answers they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

WHERE = ("--model", "nemotron-h-8b", "--device", "h200", "--memory-gib", "1")
REQUESTS = 80
PLAN = (
    *("plan", *WHERE, "--trace", f"azure-like:n={REQUESTS},rate=4", "--slo", "ttft_p90=2s"),
    *("--allocator", "static", "--jobs", "1", "--seeds", "1", "--tolerance", "0.3", "--json"),
)


def test_stretched_loads_hold_the_same_requests_in_another_time(twinpool: Twinpool) -> None:
    by_copies, by_time = (
        twinpool(*PLAN, "--no-sensitivity", *flag).json() for flag in ((), ("--stretch",))
    )
    assert {run["requests"] for run in by_time["runs"]} == {REQUESTS}
    assert len({run["load"] for run in by_time["runs"]}) > 2
    for run in by_copies["runs"]:
        assert (run["requests"] > REQUESTS) == (run["load"] > 1)
        assert (run["requests"] < REQUESTS) == (run["load"] < 1)
    assert by_time["trace_digest"] == by_copies["trace_digest"]


@pytest.mark.parametrize("flag", ["--sensitivity", "--no-sensitivity"])
def test_sensitivity_searches_again_with_each_input_changed(twinpool: Twinpool, flag: str) -> None:
    found = twinpool(*PLAN, flag).json()
    variants = {run["variant"] for run in found["runs"]} - {""}
    rows = {row["input"] for row in found["sensitivity"]}
    if flag == "--no-sensitivity":
        assert (variants, rows) == (set(), set())
        assert found["recommendation"]["most_sensitive_to"] is None
        return
    assert rows == {"output length", "step times", "cache memory"}
    assert len(variants) == 2 * len(rows)
    assert found["recommendation"]["most_sensitive_to"] in rows


def test_states_of_fewer_bytes_leave_room_for_more(twinpool: Twinpool, small_trace: Path) -> None:
    def run(dtype: str) -> dict[str, Any]:
        asked = ("replay", small_trace, *WHERE, "--rate-scale", 20, "--allocator", "avmp")
        (found,) = twinpool(*asked, "--state-dtype", dtype, "--json").json()["runs"]
        return dict(found)

    narrow, wide = run("bf16"), run("fp32")
    assert narrow["e2e_s"]["mean"] < wide["e2e_s"]["mean"]
    assert run("auto")["event_log_sha256"] in {
        narrow["event_log_sha256"],
        wide["event_log_sha256"],
    }
