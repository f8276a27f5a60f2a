"""What shells complete, asked as they ask: bash has split words at `:` and `=`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.commands.app import COMMANDS, Commands
from scenarios.commands.completion import DESIGNS, NAMES, known, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]


@pytest.fixture
def complete(twinpool: Twinpool, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Completions of a command line, given as bash splits it; the last word is the one at hand."""

    def ask(*line: str) -> list[str]:
        split: Sequence[str] = ("twinpool", *line)
        monkeypatch.setenv("_TWINPOOL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(split))
        monkeypatch.setenv("COMP_CWORD", str(len(split) - 1))
        outcome = twinpool()
        assert outcome.stderr == ""
        return outcome.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (("re",), ["replay", "reproduce", "report"]),
        (("replay", "az"), ["azure-like"]),
        (("replay", "x", "--device", "h"), ["h100-80gb", "h200"]),
        (("replay", "x", "--allocator", "sta"), ["static"]),
        (("replay", "x", "--allocator", "static", ":"), ["state_ratio=0.5", "granularity=layer"]),
        (("replay", "x", "--allocator", "static", ":", "st"), ["state_ratio=0.5"]),
        (("replay", "x", "--allocator", "=", "sta"), ["static"]),
        (("replay", "x", "--allocator", "=", "static", ":", "st"), ["state_ratio=0.5"]),
        (
            ("replay", "x", "--allocator", "avmp", ":", "batch", "=", "9,tr"),
            ["9,trigger=failure"],
        ),
        (
            ("replay", "x", "--allocator", "avmp", ":", "trigger", "="),
            ["failure", "predictive", "off"],
        ),
        (("replay", "x", "--allocator", "avmp:trig"), ["avmp:trigger=failure"]),
        (("replay", "x", "--model", "bam"), ["bamba-9b"]),
        (("replay", "x", "--model", ""), []),
        (("replay", "x", "--router", "po"), ["power-of-two"]),
        (("capacity", "--compare", "vllm,sg"), ["vllm,sglang"]),
        (("reproduce", "avmp", "--fix", "tell"), ["tell-victims"]),
        (("sweep", "--back"), ["--backend"]),
        (("list", "mod"), ["models"]),
        (("unheard-of", "mod"), []),
    ],
)
def test_bash_is_given_what_the_word_at_hand_can_become(
    complete: Callable[..., list[str]], line: tuple[str, ...], found: list[str]
) -> None:
    assert complete(*line) == found


@pytest.mark.parametrize("option", sorted({**NAMES, **DESIGNS}))
def test_every_option_that_completes_stands_on_a_command_and_knows_names(option: str) -> None:
    commands = [Commands().get_command(None, name) for name in COMMANDS]
    assert any(parameter.name == option for each in commands for parameter in each.params)
    assert known({**NAMES, **DESIGNS}[option])


@pytest.mark.parametrize("option", sorted(DESIGNS))
def test_every_setting_of_every_design_is_completed_with_its_default(option: str) -> None:
    for name, design in known(DESIGNS[option]).items():
        found = words(option, f"{name}:")
        given = {word.value.partition(":")[2].partition("=")[0] for word in found}
        assert given == set(design.Options.__dataclass_fields__)
