import hashlib
import json
import pickle

import numpy as np
import pytest

from sim.event_log import (
    NO_SUBJECT,
    NUM_COLUMNS,
    EventKind,
    EventLog,
    LogHeader,
    PoolHeader,
    RejectionReason,
)

HEADER = LogHeader(2, 4096, 10**6, (PoolHeader("kv", 64), PoolHeader("state", 512)))


@pytest.fixture
def log() -> EventLog:
    log = EventLog(HEADER)
    log.append(5, EventKind.ARRIVAL, 0, 7, 3)
    log.append(5, EventKind.MIGRATION, NO_SUBJECT, 0, 1, 2048)
    log.append(9, EventKind.ARRIVAL, 1, 1, 1)
    return log


def test_rows_have_six_columns_and_missing_values_are_zero(log: EventLog) -> None:
    assert NUM_COLUMNS == 6
    assert len(log) == 3
    assert log.table().tolist() == [[5, 0, 0, 7, 3, 0], [5, 7, -1, 0, 1, 2048], [9, 0, 1, 1, 1, 0]]


def test_rows_of_a_kind_keep_their_order(log: EventLog) -> None:
    assert log.of(EventKind.ARRIVAL)[:, 2].tolist() == [0, 1]
    assert log.of(EventKind.OOM).shape == (0, 6)


def test_the_table_cannot_be_changed_and_does_not_follow_the_log(log: EventLog) -> None:
    table = log.table()
    log.append(10, EventKind.END, NO_SUBJECT)
    assert len(table) == 3
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 1


def test_bytes_are_the_header_as_json_and_little_endian_rows(log: EventLog) -> None:
    header, rows = log.to_bytes().split(b"\n", 1)
    assert json.loads(header) == {
        "num_requests": 2,
        "budget_bytes": 4096,
        "sample_interval_ns": 10**6,
        "pools": [{"name": "kv", "page_bytes": 64}, {"name": "state", "page_bytes": 512}],
    }
    assert np.frombuffer(rows, dtype="<i8").reshape(-1, 6).tolist() == log.table().tolist()


def test_the_digest_is_of_the_bytes(log: EventLog) -> None:
    assert log.sha256() == hashlib.sha256(log.to_bytes()).hexdigest()
    before = log.sha256()
    log.append(10, EventKind.END, NO_SUBJECT)
    assert log.sha256() != before


def test_an_empty_log_has_a_table_and_a_digest() -> None:
    log = EventLog(HEADER)
    assert log.table().shape == (0, 6)
    assert log.to_bytes().endswith(b"}\n")


def test_stored_numbers_of_kinds_never_change() -> None:
    """Logs are compared by digest over versions, so a kind keeps its number."""
    kinds = (
        "ARRIVAL REJECTION ADMISSION CHUNK FIRST_TOKEN PREEMPTION OOM MIGRATION"
        " MIGRATION_BLOCKED COMPLETION QUEUE_SAMPLE WASTE_SAMPLE POOL_SAMPLE END"
    )
    numbers = {kind.name: kind.value for kind in EventKind}
    expected = {name: number for number, name in enumerate(kinds.split())}
    assert expected.items() <= numbers.items()
    assert [reason.name for reason in RejectionReason][:2] == ["TOO_LONG", "OUTGREW"]


def test_a_log_comes_back_from_its_table(log: EventLog) -> None:
    again = EventLog.from_table(HEADER, log.table())
    assert again.to_bytes() == log.to_bytes()


@pytest.mark.parametrize("num_rows", [0, 1, 3, 4, 5, 12, 14])
def test_rows_that_were_written_out_are_rows_like_others(
    num_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = []
    for block_rows in (4, 1000):
        monkeypatch.setattr("sim.event_log.BLOCK_ROWS", block_rows)
        log = EventLog(HEADER)
        for number in range(num_rows):
            log.append(number, EventKind(number % 3), number, 7 * number)
        blocks = [len(rows) for rows in log.blocks()]
        assert sum(blocks) == len(log) == num_rows
        assert max(blocks, default=0) <= block_rows
        assert (len(log.of(EventKind.ADMISSION)), log.table().shape) == (
            num_rows // 3,
            (num_rows, 6),
        )
        copied = pickle.loads(pickle.dumps(log))  # noqa: S301 - our own
        logs += [(each.to_bytes(), each.sha256()) for each in (log, copied)]
    assert len(set(logs)) == 1
