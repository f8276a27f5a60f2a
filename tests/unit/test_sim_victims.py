"""Who makes way when memory is full, by each rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sim.event_log import EventKind
from sim.schedulers.fcfs import FcfsOptions
from sim.victims import RULES, Victim
from tests.unit.test_sim_fcfs import Rig, decoded

# (place, output tokens made, tokens in all) in order of admission.
RUNNING = [(1, 4, 90), (2, 3, 50), (3, 3, 40), (4, 9, 90), (5, 8, 10)]


def running() -> list[Any]:
    return [
        SimpleNamespace(place=place, made_tokens=made, total_tokens=total)
        for place, made, total in RUNNING
    ]


@pytest.mark.parametrize(
    ("rule", "place"),
    [(Victim.LATEST, 5), (Victim.FEWEST_OUTPUTS, 3), (Victim.LONGEST, 4)],
)
def test_a_rule_picks_its_victim_and_of_equals_the_latest(rule: Victim, place: int) -> None:
    assert max(running(), key=RULES[rule]).place == place


def test_a_victim_that_was_extended_in_the_same_step_leaves_the_plan() -> None:
    """9 of 10 tokens are held: the first takes the last, and then makes way for the second."""
    rig = Rig([(5, 4), (2, 4)], FcfsOptions(victim=Victim.LONGEST), 10)
    rig.step()
    rig.step()
    plan = rig.step()
    assert decoded(plan) == [1]
    assert plan.decode_context_tokens == 3 + 1
    assert rig.log.of(EventKind.PREEMPTION)[:, 2:5].tolist() == [[0, 6, 2]]
    assert (rig.running(), rig.waiting()) == ([1], [0])
    rig.batch.decoding.check_integrity()


def test_the_longest_makes_way_itself() -> None:
    rig = Rig([(5, 4), (2, 4)], FcfsOptions(victim=Victim.LONGEST), 9)
    rig.step()
    rig.step()
    assert decoded(rig.step()) == [1]
    assert rig.log.of(EventKind.OOM)[:, 2].tolist() == [0]


def test_with_equal_outputs_the_latest_makes_way() -> None:
    rig = Rig([(3, 5), (3, 5), (3, 5)], FcfsOptions(victim=Victim.FEWEST_OUTPUTS), 10)
    rig.step()
    assert decoded(rig.step()) == [0, 1]
    assert rig.waiting() == [2]
