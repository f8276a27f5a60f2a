"""The paper's harness, by hand: what happens at which tick, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from allocator.interface import OutOfMemoryError, PoolUsage
from allocator.paper.interface import KV, STATE, Witness
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader
from sim.open_loop import CarryOn, GiveUp, LayerCalls, OpenLoop, Reaction
from traces.ticks import TickStream

HEADER = LogHeader(0, 1, 0, (PoolHeader("kv", 1),))


@dataclass
class Scripted:
    """Notes every call, and fails those that are scripted to fail."""

    failing: tuple[int, ...] = ()
    evicting: dict[int, int] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    witness: Witness | None = None

    def build(self, witness: Witness) -> Scripted:
        self.witness = witness
        return self

    def allocate(self, request: int, group: int, count: int) -> tuple[int, ...]:
        number = len(self.calls)
        self.calls.append(("take", request, group, count))
        if number in self.evicting and self.witness is not None:
            self.witness.evicted(self.evicting[number], group, 1, request)
        if number in self.failing:
            raise OutOfMemoryError("kv", count, 0, largest=0)
        return (0,) * count

    def release(self, request: int) -> None:
        self.calls.append(("give", request))

    def pools(self) -> tuple[PoolUsage, ...]:
        return (PoolUsage("kv", 1, 9, 0),)

    def footprint_bytes(self) -> int:
        return 9

    def check_integrity(self) -> None:
        pass


def run(
    requests: list[tuple[int, int, int]],
    script: Scripted,
    after_failure: Reaction | None = None,
    after_eviction: Reaction | None = None,
) -> EventLog:
    columns = np.array(requests, dtype=np.int64).T
    loop = OpenLoop(
        HEADER,
        LayerCalls(attention_layers=2, state_layers=1, page_tokens=16),
        script.build,
        after_failure or CarryOn(),
        after_eviction or CarryOn(),
    )
    return loop.run(TickStream(columns[0], columns[1], columns[2]))


def test_all_attention_layers_come_before_the_state_layers() -> None:
    script = Scripted()
    run([(0, 17, 1)], script)
    assert script.calls == [
        ("take", 0, KV, 2),
        ("take", 0, KV, 2),
        ("take", 0, STATE, 1),
        ("give", 0),
    ]


def test_output_opens_pages_where_prompt_and_step_fill_one() -> None:
    """Prompt 30: token 32 is the third of the output, so its page is asked at tick 30 + 2 + 1."""
    script = Scripted()
    log = run([(0, 30, 40)], script, after_failure=CarryOn())
    growth = [call for call in script.calls if call[0] == "take" and call[3] == 1][1:]
    assert len(growth) == 2 * 3  # tokens 32, 48, 64 in two layers
    assert int(log.of(EventKind.COMPLETION)[0, 0]) == 70


def test_growth_on_the_tick_of_departure_is_lost() -> None:
    script = Scripted()
    run([(0, 16, 1)], script)
    assert [call[0] for call in script.calls] == ["take", "take", "take", "give"]


def test_at_one_tick_departures_then_growth_then_arrivals_each_by_number() -> None:
    script = Scripted()
    # Requests 0 and 1 both grow at tick 17, 2 leaves there, 3 and 4 arrive there.
    run([(0, 16, 5), (0, 16, 9), (0, 1, 16), (17, 1, 1), (17, 1, 1)], script)
    at_17 = script.calls[9:16]
    assert at_17 == [
        ("give", 2),
        *[("take", request, KV, 1) for request in (0, 0, 1, 1)],
        *[("take", 3, KV, 1)] * 2,
    ]


def test_the_paper_goes_on_after_a_failure_and_counts_every_call() -> None:
    script = Scripted(failing=(0, 1))
    log = run([(0, 10, 1)], script)
    assert len(log.of(EventKind.OOM)) == 2
    assert script.calls[2] == ("take", 0, STATE, 1)
    assert log.of(EventKind.COMPLETION)[0, 3:].tolist() == [1, 0, 2]


def test_a_request_that_gives_up_returns_all_and_asks_no_more() -> None:
    script = Scripted(failing=(0,))
    log = run([(0, 10, 40)], script, after_failure=GiveUp())
    assert script.calls[0] == ("take", 0, KV, 1)
    assert {call[0] for call in script.calls[1:]} == {"give"}
    assert len(log.of(EventKind.OOM)) == 1
    assert len(log.of(EventKind.COMPLETION)) == 0


def test_an_eviction_is_noted_and_ends_only_those_who_are_told() -> None:
    requests = [(0, 20, 5), (1, 20, 5)]
    silent = run(requests, Scripted(evicting={3: 0}))
    assert silent.of(EventKind.COMPLETION)[:, 4].tolist() == [1, 0]
    told = run(requests, Scripted(evicting={3: 0}), after_eviction=GiveUp())
    assert told.of(EventKind.COMPLETION)[:, 2].tolist() == [1]
    assert told.of(EventKind.EVICTION)[0, 2:].tolist() == [0, 0, 1, 1]


def test_a_request_that_its_own_call_ended_keeps_no_page_of_it() -> None:
    script = Scripted(evicting={1: 0})
    run([(0, 20, 5)], script, after_eviction=GiveUp())
    assert script.calls == [
        ("take", 0, KV, 2),
        ("take", 0, KV, 2),
        ("give", 0),
        ("give", 0),
    ]


def test_live_requests_are_sampled_every_hundred_events_and_at_the_end() -> None:
    """Each request makes three events: it arrives, opens a page at token 16, and leaves."""
    log = run([(tick, 10, 20) for tick in range(100)], Scripted())
    samples = log.of(EventKind.QUEUE_SAMPLE)
    assert len(samples) == 3 + 1
    # Request r grows at tick r + 17 and leaves at r + 30. Up to tick 48 there were 49 arrivals,
    # 32 growths and 19 departures; up to 81 there were 199 events, and 82 opens with a departure.
    assert samples[:, 3].tolist() == [49 - 19, 82 - 53, 0, 0]
    assert samples[:2, 0].tolist() == [48, 82]
    assert int(samples[-1, 0]) == 99 + 30


@pytest.mark.parametrize("seed", range(3))
def test_the_same_stream_gives_the_same_bytes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    requests = [(i, int(rng.integers(1, 90)), int(rng.integers(1, 90))) for i in range(20)]
    assert run(requests, Scripted()).sha256() == run(requests, Scripted()).sha256()
