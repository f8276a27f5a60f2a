"""Some hostile inputs a target, the same in every run; `python -m tests.fuzz` feeds more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import known_targets

if TYPE_CHECKING:
    from pathlib import Path

INPUTS, SEED = 100, 2


@pytest.mark.parametrize("name", known_targets())
def test_hostile_input_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    target = known_targets()[name]
    prepared = target.prepare(tmp_path)
    for example in prepared.seeds:
        prepared.feed(example)
    tally = run(prepared, round(INPUTS * min(1.0, target.share)), SEED)
    assert not tally.findings, "\n".join(
        f"{found.trace}\nwith {found.input[:300]!r}" for found in tally.findings.values()
    )
    assert tally.refused > 0


def test_equal_seeds_give_equal_inputs() -> None:
    examples = (b"a,b\n1,2\n", b'{"k": [1, 2.5e3]}\n')
    mutators = [Mutator(5, examples) for _ in range(2)]
    streams = [[mutator.fresh() for _ in range(50)] for mutator in mutators]
    assert streams[0] == streams[1]
    assert len(set(streams[0])) > 40
