"""Who enters first by predicted output, and how far predictions err."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind
from sim.request import Sequence
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.sjf_predicted import SjfPredictedOptions, SjfPredictedScheduler
from traces.record import Request, Trace

SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 128),))


def order(scheduler: FcfsScheduler, outputs: list[int]) -> list[int]:
    """The order in which requests that arrive together are admitted, one at a time."""
    trace = Trace("together", np.full(len(outputs), 4), np.array(outputs))
    manager = SharedBytesManager(SPEC, HostBacking(1 << 20, 128), SharedBytesOptions())
    log = Engine(trace, Wiring(manager, scheduler, ConstantExecutor(10))).run()
    admitted: list[int] = log.of(EventKind.ADMISSION)[:, 2].tolist()
    return admitted


def predictions(options: SjfPredictedOptions, count: int, output: int) -> np.ndarray:
    scheduler = SjfPredictedScheduler(options)
    sequences = (Sequence(Request(number, 0, 1, output)) for number in range(count))
    return np.array([scheduler.predicted_tokens(sequence) for sequence in sequences])


def test_an_oracle_admits_the_shortest_first_and_equal_ones_by_arrival() -> None:
    outputs = [9, 3, 7, 3, 1]
    oracle = SjfPredictedScheduler(SjfPredictedOptions(max_seqs=1, sigma=0.0))
    assert order(oracle, outputs) == [4, 1, 3, 2, 0]
    assert order(FcfsScheduler(FcfsOptions(max_seqs=1)), outputs) == [0, 1, 2, 3, 4]


def test_errors_are_log_normal() -> None:
    found = predictions(SjfPredictedOptions(sigma=0.5), count=4000, output=100_000)
    logs = np.log(found / 100_000)
    assert abs(logs.mean()) < 4 * 0.5 / math.sqrt(4000)
    assert logs.std() == pytest.approx(0.5, rel=0.05)


def test_a_prediction_is_the_same_whenever_it_is_asked_and_another_with_another_seed() -> None:
    first, again = (predictions(SjfPredictedOptions(), 50, 1000) for _ in range(2))
    assert (first == again).all()
    assert (first != predictions(SjfPredictedOptions(seed=1), 50, 1000)).any()
    assert predictions(SjfPredictedOptions(sigma=5.0), 500, 1).min() == 1


@pytest.mark.parametrize("sigma", [-0.1, float("inf"), float("nan")])
def test_impossible_errors_are_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be at least 0"):
        SjfPredictedOptions(sigma=sigma)


def test_the_rules_of_fcfs_hold_for_its_options() -> None:
    with pytest.raises(ValueError, match="max_batched_tokens at least max_seqs"):
        SjfPredictedOptions(max_seqs=10, max_batched_tokens=5)
