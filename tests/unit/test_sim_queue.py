"""Who is at the head: by arrival, or by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sim.queue import ArrivalQueue, RankedQueue, SortedQueue
from sim.request import Sequence
from traces.record import Request

if TYPE_CHECKING:
    from sim.waiting import WaitingQueue


def sequence(number: int, priority: int = 0) -> Sequence:
    return Sequence(Request(number, 0, 1, 1, priority=priority))


def rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.request.priority, sequence.request_id


def numbers(queue: WaitingQueue) -> list[int]:
    return [waiting.request_id for waiting in queue]


@pytest.mark.parametrize("queue", [ArrivalQueue(), RankedQueue(rank)], ids=["arrival", "rank"])
def test_an_empty_queue_has_no_head(queue: WaitingQueue) -> None:
    assert not queue
    for call in (queue.head, queue.leave):
        with pytest.raises(IndexError):
            call()


def test_by_arrival_victims_go_to_the_front_and_end_up_in_their_old_order() -> None:
    queue = ArrivalQueue()
    for number in (4, 5):
        queue.join(sequence(number))
    for number in (3, 2):  # the last one running is preempted first
        queue.rejoin(sequence(number))
    assert numbers(queue) == [2, 3, 4, 5]
    assert queue.leave().request_id == queue.head().request_id - 1 == 2
    assert len(queue) == 3


def test_by_rank_everybody_has_a_place_whenever_they_come() -> None:
    queue = RankedQueue(rank)
    for number, priority in ((0, 2), (1, 1), (2, 2), (3, 1)):
        queue.join(sequence(number, priority))
    queue.rejoin(sequence(9, 0))
    assert numbers(queue) == [9, 1, 3, 0, 2]
    assert [queue.leave().request_id for _ in range(len(queue))] == [9, 1, 3, 0, 2]


def test_a_queue_that_is_sorted_now_and_then_refuses_quotas() -> None:
    with pytest.raises(ValueError, match="knows no quotas"):
        SortedQueue().with_quotas()
