"""Results of several processes: whoever stops in the middle is told nothing that he knows."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from joblib import delayed

from scenarios.processes import results_as_they_end

if TYPE_CHECKING:
    from pathlib import Path


def _leave_mark(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def test_who_stops_early_gets_no_warning_of_what_ended_unused(tmp_path: Path) -> None:
    results = results_as_they_end((delayed(_leave_mark)(tmp_path, n) for n in range(3)), 2)
    first = next(results)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 3:
        assert time.monotonic() < deadline, "the others never ran"
        time.sleep(0.02)
    time.sleep(0.5)  # until joblib has what they returned
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results.close()
    assert 0 <= first < 3
