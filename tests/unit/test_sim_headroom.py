"""What `headroom` expects of sequences, and what it asks for because of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import NO_TERMS, Terms
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.admissions.headroom import Headroom, HeadroomOptions
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.request import Sequence
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from traces.record import Request, Trace

SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 128),))


def sequence(prompt: int, made: int, output: int = 10_000) -> Sequence:
    found = Sequence(Request(0, 0, prompt, output))
    found.made_tokens = made
    found.target_tokens = prompt + made
    return found


def taught(*lengths: int, options: HeadroomOptions | None = None) -> Headroom:
    control = Headroom(options or HeadroomOptions())
    for length in lengths:
        control.completed(sequence(1, length))
    return control


def test_before_any_completion_the_prior_is_expected() -> None:
    control = taught(options=HeadroomOptions(prior=100))
    assert [control.expected_tokens(made) for made in (0, 30, 100, 200)] == [100, 70, 0, 0]


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=20), made=st.integers(0, 60))
def test_the_mean_residual_life_is_expected(lengths: list[int], made: int) -> None:
    longer = [length for length in lengths if length > made]
    expected = sum(longer) / len(longer) - made if longer else made
    assert taught(*lengths).expected_tokens(made) == pytest.approx(expected)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), window=st.integers(1, 8))
def test_only_the_last_completions_are_remembered(lengths: list[int], window: int) -> None:
    control = taught(*lengths, options=HeadroomOptions(window=window))
    assert control.expected_tokens(0) == taught(*lengths[-window:]).expected_tokens(0)


def test_terms_cover_the_growth_of_all() -> None:
    """After 3 made of lengths 2, 4, 8: (4 + 8) / 2 - 3 = 3 more; of a new one 14 / 3."""
    control = taught(8, 2, 4)
    running = [sequence(5, 3), sequence(5, 3)]
    terms = control.raised(Terms(margin=0.1), sequence(10, 0), running)
    assert terms == Terms(room_tokens=10 + 4, others_tokens=6, margin=0.1)
    assert control.raised(Terms(50, 60), sequence(10, 0), running) == Terms(50, 60)


def test_whoever_is_to_run_alone_enters_on_the_schedulers_terms() -> None:
    assert taught(8).raised(NO_TERMS, sequence(10, 0), []) is NO_TERMS


@pytest.mark.parametrize("options", [{"window": 0}, {"prior": -1}, {"share": -0.5}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        HeadroomOptions(**options)


def run(control: Headroom | None) -> EventLog:
    """200 short prompts with long outputs at once; memory for about ten of them at their end."""
    outputs = np.random.default_rng(5).integers(20, 120, 200)
    trace = Trace("burst", np.full(200, 10), outputs)
    manager = SharedBytesManager(SPEC, HostBacking(1000 * 128, 128), SharedBytesOptions())
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=100))
    return Engine(trace, Wiring(manager, scheduler, ConstantExecutor(10), control=control)).run()


def test_what_fits_with_its_growth_is_rarely_preempted() -> None:
    without, with_it = run(None), run(Headroom(HeadroomOptions()))
    preemptions = [len(log.of(EventKind.PREEMPTION)) for log in (without, with_it)]
    assert preemptions[0] > 100
    assert preemptions[1] < preemptions[0] // 10
    assert len(with_it.of(EventKind.COMPLETION)) == 200
