from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.compare.occupancy import (
    OccupancyInput,
    Series,
    occupancy_error,
    read_occupancy,
    simulated_occupancy,
)
from scenarios.errors import UserError
from tests.unit.compare_case import log_of, served

if TYPE_CHECKING:
    from pathlib import Path


def _series(*samples: tuple[float, float]) -> Series:
    time_s, pct = np.array(samples, dtype=np.float64).T
    return Series(time_s, pct)


def test_steps_are_weighted_by_their_time() -> None:
    measured = _series((0, 10), (4, 20), (10, 0))
    simulated = _series((1, 10), (7, 40), (12, 99))
    # From 1 to 10: equal for 3 s, then 10 apart for 3 s, then 20 apart for 3 s.
    found = occupancy_error(measured, simulated)
    assert found.edges_s.tolist() == [1, 4, 7]
    assert found.end_s == 10
    assert found.mae_pct == pytest.approx((0 * 3 + 10 * 3 + 20 * 3) / 9)
    assert found.bias_pct == pytest.approx((-10 * 3 + 20 * 3) / 9)
    assert found.measured_mean_pct == pytest.approx((10 * 3 + 20 * 6) / 9)


INSTANTS = st.lists(st.integers(1, 999), min_size=1, max_size=30, unique=True).map(sorted)


@given(INSTANTS, st.integers(0, 2**32), st.sampled_from([-5, 5]))
def test_an_offset_of_five_points_is_an_error_of_five_however_it_is_sampled(
    extra: list[int], seed: int, offset: int
) -> None:
    """A series sampled where it changes, and the same, higher, sampled at other times as well."""
    rng = np.random.default_rng(seed)
    base = Series(np.arange(0.0, 1001.0, 100.0), rng.uniform(10, 80, 11))
    instants = np.unique(np.concatenate((base.time_s, extra)))
    found = occupancy_error(base, Series(instants, base.at(instants) + offset))
    assert found.mae_pct == pytest.approx(5)
    assert found.bias_pct == pytest.approx(offset)
    assert occupancy_error(base, base).mae_pct == 0


def test_of_a_run_live_bytes_count_against_those_of_all_pages() -> None:
    log = log_of(served())
    both = simulated_occupancy(log)
    assert both.time_s[:2].tolist() == [1, 2]
    assert both.pct[[0, -1]] == pytest.approx([50, 100 * (40 * 100 + 10 * 300) / 10_000])
    assert simulated_occupancy(log, "kv").pct[-1] == 100
    assert simulated_occupancy(log, "state").pct[-1] == 50
    with pytest.raises(UserError, match="use one of state, kv"):
        simulated_occupancy(log, "stat")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("time,pct\n100.5,20\n102,35.5\n", None),
        ('{"time": 100.5, "pct": 20}\n{"time": 102, "pct": 35.5}\n', None),
        ("t;use\n100500;0.2\n102000;0.355\n", "time=t:ms,pct=use:fraction"),
        ("t,use\n1970-01-01T00:01:40.5Z,20\n1970-01-01T00:01:42Z,35.5\n", "time=t,pct=use:pct"),
    ],
)
def test_a_series_is_on_the_clock_of_the_log(
    tmp_path: Path, text: str, columns: str | None
) -> None:
    path = tmp_path / "use"
    path.write_text(text)
    series = read_occupancy(OccupancyInput(path, columns), zero_ns=100 * 10**9)
    assert series.time_s.tolist() == [0.5, 2.0]
    assert series.pct == pytest.approx([20, 35.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,pct\n0,1\n1,101\n", "line 3: pct is '101', not between 0 and 100"),
        ("time,pct\n0,1\n1,nan\n", "line 3: pct is 'nan', not between"),
        ("time,pct\n0,full\n", "line 2: pct is 'full', no number"),
        ("time,pct\n3,1\n1,2\n", "line 3: time lies before the row above"),
        ("time,use\n3,1\n", "no column pct"),
        ("time,pct\n", "no rows"),
    ],
)
def test_a_bad_series_is_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "use.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_occupancy(OccupancyInput(path), 0)


def test_series_without_common_time_are_refused() -> None:
    with pytest.raises(UserError, match="no time in common"):
        occupancy_error(_series((0, 1), (5, 1)), _series((5, 1), (9, 1)))
