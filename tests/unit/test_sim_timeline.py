import numpy as np

from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader
from sim.timeline import timeline_of

SECOND = 10**9


def log_of_three_requests() -> EventLog:
    """Request 1 completes before request 0; request 2 is refused; 0 was preempted once."""
    log = EventLog(LogHeader(3, 4096, SECOND, (PoolHeader("kv", 64),)))
    log.append(1 * SECOND, EventKind.ARRIVAL, 0, 5, 4)
    log.append(2 * SECOND, EventKind.ARRIVAL, 1, 5, 1)
    log.append(2 * SECOND, EventKind.ARRIVAL, 2, 500, 1)
    log.append(2 * SECOND, EventKind.REJECTION, 2, 0, 500, 64)
    log.append(3 * SECOND, EventKind.FIRST_TOKEN, 0)
    log.append(4 * SECOND, EventKind.FIRST_TOKEN, 1)
    log.append(4 * SECOND, EventKind.COMPLETION, 1, 1, 0, 2)
    log.append(9 * SECOND, EventKind.COMPLETION, 0, 4, 1, 0)
    return log


def test_only_completed_requests_stand_in_order_of_their_number() -> None:
    timeline = timeline_of(log_of_three_requests())
    assert timeline.request.tolist() == [0, 1]
    assert timeline.arrival_ns.tolist() == [1 * SECOND, 2 * SECOND]
    assert timeline.first_token_ns.tolist() == [3 * SECOND, 4 * SECOND]
    assert timeline.completion_ns.tolist() == [9 * SECOND, 4 * SECOND]
    assert timeline.output_tokens.tolist() == [4, 1]


def test_times_are_seconds_from_arrival() -> None:
    timeline = timeline_of(log_of_three_requests())
    assert timeline.ttft_s().tolist() == [2.0, 2.0]
    assert timeline.e2e_s().tolist() == [8.0, 2.0]


def test_time_per_output_token_leaves_out_the_first_and_requests_of_one_token() -> None:
    assert timeline_of(log_of_three_requests()).tpot_s().tolist() == [2.0]


def test_clean_means_neither_preempted_nor_refused_memory() -> None:
    assert not np.any(timeline_of(log_of_three_requests()).is_clean())


def test_a_log_without_completions_has_an_empty_timeline() -> None:
    log = EventLog(LogHeader(1, 4096, SECOND, (PoolHeader("kv", 64),)))
    log.append(0, EventKind.ARRIVAL, 0, 5, 4)
    timeline = timeline_of(log)
    assert len(timeline.request) == len(timeline.e2e_s()) == len(timeline.tpot_s()) == 0
