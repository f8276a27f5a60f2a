from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from traces.load import TraceOptions, load_trace, read_table
from traces.record import TraceError
from traces.timestamps import instants_ns

if TYPE_CHECKING:
    from pathlib import Path


def arrivals(tmp_path: Path, cells: list[str], name: str = "t", unit: str = "") -> list[int]:
    path = tmp_path / "trace.csv"
    rows = "".join(f"{cell},1,1\n" for cell in cells)
    path.write_text(f"{name},p,o\n{rows}")
    suffix = f":{unit}" if unit else ""
    mapping = f"arrival={name}{suffix},prompt=p,output=o"
    trace = load_trace(str(path), TraceOptions(columns=mapping))
    assert trace.arrival_ns is not None
    return [int(time) for time in trace.arrival_ns]


@pytest.mark.parametrize(
    ("name", "ns_per_unit"),
    [
        ("t", 10**9),
        ("time_s", 10**9),
        ("seconds", 10**9),
        ("arms", 10**6),
        ("timestamp_ms", 10**6),
        ("timestampMs", 10**6),
        ("time (ms)", 10**6),
        ("milliseconds", 10**6),
        ("t_us", 10**3),
        ("micros", 10**3),
        ("t_ns", 1),
        ("nanoseconds", 1),
        ("bus", 10**9),
        ("tokens", 10**9),
    ],
)
def test_the_name_of_a_column_gives_the_unit(name: str, ns_per_unit: int, tmp_path: Path) -> None:
    assert arrivals(tmp_path, ["7", "10"], name) == [0, 3 * ns_per_unit]


@pytest.mark.parametrize(
    ("first", "second", "gap_ns"),
    [
        ("1700000000", "1700000001", 10**9),
        ("1700000000.6805900", "1700000000.6805901", 100),
        ("1700000000000", "1700000000001", 10**6),
        ("1700000000000000", "1700000000000001", 10**3),
        ("1700000000000000000", "1700000000000000001", 1),
    ],
)
def test_the_size_of_an_epoch_gives_the_unit(
    first: str, second: str, gap_ns: int, tmp_path: Path
) -> None:
    assert arrivals(tmp_path, [first, second]) == [0, gap_ns]


@pytest.mark.parametrize(("unit", "ns"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_a_written_unit_wins(unit: str, ns: int, tmp_path: Path) -> None:
    assert arrivals(tmp_path, ["1", "3"], "t_ms", unit) == [0, 2 * ns]


def test_a_colon_that_ends_in_no_unit_belongs_to_the_name(tmp_path: Path) -> None:
    assert arrivals(tmp_path, ["1", "3"], "log:when") == [0, 2 * 10**9]


def test_decimals_do_not_pass_through_floats(tmp_path: Path) -> None:
    cells = ["0", "0.1", "0.30000000000000004", "123456789.123456789"]
    assert arrivals(tmp_path, cells) == [0, 100_000_000, 300_000_000, 123_456_789_123_456_789]


def test_below_a_nanosecond_it_rounds_half_up(tmp_path: Path) -> None:
    assert arrivals(tmp_path, ["0", "0.0000000014", "0.0000000015"]) == [0, 1, 2]


def test_exponents_are_read_exactly(tmp_path: Path) -> None:
    assert arrivals(tmp_path, ["0", "1e-05", "1.5E+1", "16."]) == [0, 10**4, 15 * 10**9, 16 * 10**9]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2024-05-10", "2024-05-11"),
        ("2024-05-10T00:00", "2024-05-11 00:00:00"),
        ("2024-05-10T00:00:00Z", "2024-05-11T02:00:00.000+0200"),
        ("2024-02-28T23:00:00-01", "2024-02-29T19:00:00-05:00"),
    ],
)
def test_iso_times_are_parsed(first: str, second: str, tmp_path: Path) -> None:
    assert arrivals(tmp_path, [first, second]) == [0, 86_400 * 10**9]


@pytest.mark.parametrize("cell", ["1e999999999", "0x10", "1,5", "10/05/2024", "12:00", "-3", "."])
def test_what_is_no_time_is_refused_at_once(cell: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="line 3: t is"):
        arrivals(tmp_path, ["0", f'"{cell}"'])


def test_the_failing_row_is_found_among_many(tmp_path: Path) -> None:
    cells = ["2024-05-10"] * 1000
    cells[777] = "2024-05-32"
    with pytest.raises(TraceError, match="line 779: t is '2024-05-32'"):
        arrivals(tmp_path, cells)


def test_an_instant_too_far_from_its_zero_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("done\n7\n5\n4611686019\n")
    table = read_table(path, ["done"])
    assert instants_ns(table.only(np.array([0, 1])), "done").tolist() == [7 * 10**9, 5 * 10**9]
    with pytest.raises(TraceError, match=r"line 4: done is 4611686019, over 146 years; .*done:ns"):
        instants_ns(table, "done", "s")
