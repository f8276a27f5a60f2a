"""Files that promise far more than they are: what is read stays small, and it is said."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from traces import bounds, columns
from traces.load import TraceOptions, load_trace
from traces.readers import mooncake
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
COLUMNS = TraceOptions(columns="prompt=p,output=o")
SHAREGPT = b'[{"id": "a", "conversations": [{"from": "human", "value": "'


def bomb(path: Path, parts: Iterable[tuple[bytes, int]]) -> Path:
    """A gzip file of each part so many times: members of it follow each other, as gzip allows."""
    path.write_bytes(b"".join(gzip.compress(part, 9) * times for part, times in parts))
    assert path.stat().st_size < 5 * MIB
    return path


def refusal(path: Path, options: TraceOptions) -> tuple[str, int]:
    """The sentence that refuses a file, and the most memory that Python had meanwhile."""
    tracemalloc.start()
    try:
        with pytest.raises(TraceError) as caught:
            load_trace(str(path), options)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        ([(b"p,o\n", 1), (bytes(MIB), 2048)], COLUMNS, "line 2: holds a zero byte"),
        ([(b"a" * MIB, 2048)], COLUMNS, "first line is longer than 1 MiB"),
        ([(b'{"p": 1, "o": "', 1), (b"9" * MIB, 100)], COLUMNS, "line 1: longer than 64 MiB"),
        ([(SHAREGPT, 1), (b"so " * (MIB // 3), 2048)], TraceOptions(), "line 1: malformed JSON"),
    ],
    ids=["zeros", "header", "line", "value"],
)
def test_gigabytes_in_a_small_file_are_not_unpacked(
    parts: list[tuple[bytes, int]], options: TraceOptions, said: str, tmp_path: Path
) -> None:
    sentence, most_bytes = refusal(bomb(tmp_path / "bomb.gz", parts), options)
    assert said in sentence
    assert most_bytes < GIB // 2


@pytest.mark.parametrize("line", [b"7,3\n", b'{"p": 7, "o": 3}\n'], ids=["csv", "jsonl"])
def test_rows_without_end_stop_at_the_bound(
    line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MOST_REQUESTS", 300_000)
    head = b"p,o\n" if line.startswith(b"7") else b""
    path = bomb(tmp_path / "bomb.gz", [(head, 1), (line * 50_000, 100)])
    sentence, most_bytes = refusal(path, COLUMNS)
    assert "more than 300,000 requests" in sentence
    assert most_bytes < 200 * MIB


def test_blanks_without_end_stop_at_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traces.content.MOST_TEXT_BYTES", 8 * MIB)
    monkeypatch.setattr("traces.content.pieces.__defaults__", (8 * MIB,))
    path = bomb(tmp_path / "bomb.gz", [(b"p,o\n", 1), (b"\n" * MIB, 64)])
    assert "more than 8 MiB of text" in refusal(path, COLUMNS)[0]


def test_names_and_blocks_without_end_stop_at_their_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MOST_TENANTS", 100)
    monkeypatch.setattr(mooncake, "MOST_PREFIX_BLOCKS", 100)
    rows = "".join(f"1,1,name-{i}\n" for i in range(101))
    (tmp_path / "names.csv").write_text("p,o,who\n" + rows)
    with_names = TraceOptions(columns="prompt=p,output=o,tenant=who")
    assert "more than 100 names" in refusal(tmp_path / "names.csv", with_names)[0]
    line = {"timestamp": 0, "input_length": 512 * 60, "output_length": 1, "hash_ids": [*range(51)]}
    (tmp_path / "blocks.jsonl").write_text(2 * (json.dumps(line) + "\n"))
    assert "more than 100 hash_ids" in refusal(tmp_path / "blocks.jsonl", TraceOptions())[0]


@pytest.mark.parametrize(
    "source",
    [
        "poisson:n=100000000",
        "noisy-neighbour:n=1000000,factor=1000",
        "blend:duration_s=10000000,short_rate=1000",
    ],
)
def test_presets_of_more_requests_than_memory_holds_are_refused(source: str) -> None:
    with pytest.raises(TraceError, match=r"requests|at most"):
        load_trace(source)


@pytest.mark.parametrize("cell", ["9223372036854775808", "-1", "0", "nan", "inf", "1e400", "-0"])
@pytest.mark.parametrize("column", ["p", "o", "t"])
def test_impossible_numbers_in_any_column_name_their_line(
    cell: str, column: str, tmp_path: Path
) -> None:
    row = {"t": "1", "p": "7", "o": "3", column: cell}
    (tmp_path / "trace.csv").write_text(f"t,p,o\n0,7,3\n{row['t']},{row['p']},{row['o']}\n")
    options = TraceOptions(columns="arrival=t:s,prompt=p,output=o")
    if (column, cell) == ("t", "0"):
        assert len(load_trace(str(tmp_path / "trace.csv"), options)) == 2
        return
    with pytest.raises(TraceError, match=rf"line 3: {column} "):
        load_trace(str(tmp_path / "trace.csv"), options)


def test_the_line_of_a_bad_row_is_found_below_long_cells_and_many_parts(tmp_path: Path) -> None:
    """Python's own reader of CSV refuses cells that Arrow reads; parts begin at any row."""
    long = "x" * 200_000
    rows = "".join(f"{i},7,3,{long if i % 100 == 50 else ''}\n" for i in range(20_000))
    path = tmp_path / "trace.csv"
    path.write_text(f"t,p,o,text\n{rows}19000,7,3,\n")
    assert path.stat().st_size > 2 * (bounds.MOST_WHOLE_BYTES)
    with pytest.raises(TraceError, match="line 20002: t lies before the row above"):
        load_trace(str(path), TraceOptions(columns="arrival=t:s,prompt=p,output=o"))
