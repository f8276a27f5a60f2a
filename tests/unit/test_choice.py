from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import pytest

from scenarios.choice import choose, choose_scheduler, described_options
from scenarios.errors import UserError
from scenarios.slo import parse_slo
from sim.admissions.headroom import HeadroomOptions
from sim.metric import Slo
from sim.schedulers.fcfs import FcfsOptions


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True)
class DesignOptions:
    share: float = field(default=0.5, metadata={"help": "a share"})
    count: int = 3
    speed: Speed = Speed.SLOW

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count must not be negative")


class Design:
    Options = DesignOptions


KNOWN = {"design": Design, "other": Design}


def test_options_are_typed_and_default() -> None:
    assert choose("thing", "design", KNOWN).options == DesignOptions()
    chosen = choose("thing", "design:share=0.25,count=7,speed=fast", KNOWN)
    assert chosen.options == DesignOptions(0.25, 7, Speed.FAST)
    assert chosen.design is Design


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("desing", "unknown thing 'desing': use one of design, other"),
        ("design:shar=1", "unknown option of design 'shar': use one of share"),
        ("design:count=1.5", "design: count must be a whole number, not '1.5'"),
        ("design:share=x", "design: share must be a number, not 'x'"),
        ("design:speed=fats", "design: speed must be one of slow, fast, not 'fats'"),
        ("design:count=-1", "design: count must not be negative"),
        ("design:count", "is no option"),
        ("design:count=1,count=2", "twice"),
    ],
)
def test_mistakes_are_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        choose("thing", text, KNOWN)
    assert said in str(error.value)


def test_options_are_described_for_listings() -> None:
    described = described_options(DesignOptions)
    assert described[0] == {"key": "share", "default": "0.5", "help": "a share"}
    assert described[2]["default"] == "slow"


def test_an_slo_is_read_with_units() -> None:
    assert parse_slo("ttft=2s,tpot=50ms") == Slo(2.0, 0.05)
    assert parse_slo("tpot=0.2s") == Slo(tpot_s=0.2)


@pytest.mark.parametrize("text", ["", "ttft", "ttft=2", "ttft=0s", "ttft=-1s", "e2e=1s", "ttft=xs"])
def test_an_slo_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--slo"):
        parse_slo(text)


def test_a_scheduler_may_have_an_admission_control_behind_a_plus() -> None:
    scheduler, (control,) = choose_scheduler("fcfs:max_seqs=7+headroom:share=1e+0,window=5")
    assert scheduler.options == FcfsOptions(max_seqs=7)
    assert control.options == HeadroomOptions(window=5, share=1.0)
    assert choose_scheduler("vllm")[1] == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fcfs+head", "headroom"),
        ("fcfs+headroom:windows=3", "window"),
        ("fcfs+headroom:window=0", "window must be at least 1"),
        ("fcsf+headroom", "fcfs"),
    ],
)
def test_mistakes_on_either_side_of_the_plus_are_named(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose_scheduler(text)
