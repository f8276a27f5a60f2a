"""An interrupt while a run is kept: what is said to be done lies in the folder, and the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios import store
from scenarios.replay import ReplayInterruptedError, Scenario, replay
from scenarios.store import save_run
from traces.load import load_trace

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.result import RunResult


@pytest.mark.parametrize("is_late", [False, True], ids=["before it is kept", "just after"])
def test_a_run_that_ended_is_kept_and_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_late: bool
) -> None:
    calls = []

    def save_or_stop(folder: Path, run: RunResult, digest: str) -> None:
        calls.append(run.allocator)
        if is_late or len(calls) > 1:
            save_run(folder, run, digest)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "save_run", save_or_stop)
    scenario = Scenario("nemotron-h-8b", "h200", ("avmp", "vllm"))
    trace = load_trace("azure-like:n=20")
    with pytest.raises(ReplayInterruptedError) as stopped:
        replay(scenario, trace, tmp_path)
    assert [run.allocator for run in stopped.value.partial.runs] == calls[:1]
    kept = [path.name for path in tmp_path.rglob("*.parquet")]
    assert len(kept) == 1
    assert calls[0] in kept[0]
    monkeypatch.setattr(store, "save_run", save_run)
    assert len(replay(scenario, trace, tmp_path).runs) == 2
