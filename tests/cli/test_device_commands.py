"""`calibrate` and `validate` where there is no device: one sentence, and exit code 2."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

MISSING = ("torch is not installed", "is built without CUDA", "no CUDA device answers")
CALIBRATE = ("calibrate", "--model", "nemotron-h-8b", "--out", "made.json")
VALIDATE = (
    *("validate", "--model", "nemotron-h-8b", "--profile", "nemotron-h-8b-h200"),
    *("--trace", "azure-like", "--limit", "5", "--allocator", "avmp", "--memory-gib", "3"),
)


@pytest.mark.parametrize("command", [CALIBRATE, VALIDATE], ids=["calibrate", "validate"])
def test_without_a_device_one_sentence_says_what_is_missing(
    command: tuple[str, ...], twinpool: Callable[..., Outcome]
) -> None:
    if find_spec("torch") is not None:
        import torch  # noqa: PLC0415 - it may not be there

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
    outcome = twinpool(*command)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.count("\n") == 1
    assert any(sentence in outcome.stderr for sentence in MISSING)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"--profile": "nemotron-h-9b-h200"}, "unknown profile"),
        ({"--allocator": "jenga"}, "cannot read the pages of jenga"),
        ({"--model": "bamba-9b"}, "was measured for nemotron-h-8b"),
    ],
)
def test_names_are_looked_up_before_the_device(
    changes: dict[str, str], complaint: str, twinpool: Callable[..., Outcome]
) -> None:
    arguments = list(VALIDATE)
    for option, value in changes.items():
        arguments[arguments.index(option) + 1] = value
    outcome = twinpool(*arguments)
    assert outcome.exit_code == 2
    assert complaint in outcome.stderr


def test_a_profile_goes_to_a_json_file(twinpool: Callable[..., Outcome]) -> None:
    outcome = twinpool("calibrate", "--model", "nemotron-h-8b", "--out", "made.txt")
    assert outcome.exit_code == 2
    assert "must be a .json file" in outcome.stderr
