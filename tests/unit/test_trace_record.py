from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from traces.record import Request, Trace, TraceError

ONES = np.ones(2, dtype=np.int64)
TRACE = Trace("made", ONES, ONES * 2, np.array([0, 5]), ("a", "b"), ((1,), ()), 16)


def test_requests_come_out_in_order() -> None:
    assert list(TRACE) == [Request(0, 0, 1, 2, "a", ((1, 1),)), Request(1, 5, 1, 2, "b", ())]
    assert replace(TRACE, arrival_ns=None).request(1).arrival_ns == 0


def test_a_trace_replays_with_arrivals_or_clients() -> None:
    bare = replace(TRACE, arrival_ns=None)
    assert TRACE.has_arrivals
    assert not bare.has_arrivals
    assert replace(bare, closed_loop_clients=1).has_arrivals


def test_the_digest_follows_the_requests_and_not_the_name() -> None:
    assert replace(TRACE, name="other").digest() == TRACE.digest()
    others = [
        replace(TRACE, prompt_tokens=ONES * 3),
        replace(TRACE, arrival_ns=None),
        replace(TRACE, tenants=()),
        replace(TRACE, prefixes=()),
        replace(TRACE, closed_loop_clients=1),
    ]
    assert len({trace.digest() for trace in (TRACE, *others)}) == 6


@pytest.mark.parametrize(
    ("broken", "pattern"),
    [
        (Trace("made", ONES[:0], ONES[:0]), "no requests"),
        (replace(TRACE, output_tokens=ONES[:1]), "differ in length"),
        (replace(TRACE, prompt_tokens=ONES * 0), "at least one prompt"),
        (replace(TRACE, tenants=("a",)), "one tenant"),
        (replace(TRACE, prefixes=((),)), "one prefix"),
        (replace(TRACE, prefix_block_tokens=0), "need a number of tokens"),
        (replace(TRACE, priorities=(1,)), "one priority"),
        (replace(TRACE, arrival_ns=ONES[:1]), "differ in length"),
        (replace(TRACE, arrival_ns=np.array([5, 0])), "must not fall"),
        (replace(TRACE, arrival_ns=np.array([-1, 0])), "start at 0"),
    ],
)
def test_integrity_names_what_is_broken(broken: Trace, pattern: str) -> None:
    TRACE.check_integrity()
    with pytest.raises(TraceError, match=pattern):
        broken.check_integrity()
