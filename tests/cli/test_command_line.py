"""Help that fits, and mistakes on the command line that are answered with what was meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scenarios.commands.app import COMMANDS, Commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

WHERE = ("--model", "nemotron-h-8b", "--device", "h200")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option_in_full_within_80_columns(
    twinpool: Twinpool, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = twinpool(command, "--help")
    assert outcome.exit_code == 0
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "Example: twinpool " + command in outcome.stdout
    parameters = Commands().get_command(None, command).params
    options = {name for each in parameters for name in each.opts if name.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", outcome.stdout))


def test_without_a_command_the_help_is_shown_as_a_mistake(twinpool: Twinpool) -> None:
    outcome = twinpool()
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("Usage: twinpool ")
    assert all(f"\n  {command} " in outcome.stderr for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("repaly",), "unknown command 'repaly': use one of replay,"),
        (("replay", "--alocator", "avmp"), "--allocator"),
        (("replay",), "see `twinpool replay --help`"),
        (("list", "modles"), "use one of models,"),
        (("replay", "small.cvs", *WHERE, "--allocator", "avmp"), "('small.csv' does)"),
        (("replay", "azure-lik:n=9", *WHERE, "--allocator", "avmp"), "presets are azure-like,"),
        (("replay", "small.csv", *WHERE, "--allocator", "avpm"), "use one of avmp,"),
        (
            ("replay", "small.csv", *WHERE, "--allocator", "avmp", "--scheduler", "fcsf"),
            "use one of fcfs,",
        ),
        (
            ("replay", "small.csv", *WHERE, "--allocator", "avmp", "--router", "roundrobin"),
            "use one of round-robin,",
        ),
        (("capacity", "--model", "bamba-9", "--memory-gib", "9"), "use one of bamba-9b,"),
        (("capacity", "--model", "bamba-9b", "--device", "h20"), "use one of h200,"),
        (
            ("capacity", "--model", "bamba-9b", "--memory-gib", "9", "--engine", "vlm"),
            "use one of vllm, avmp, ",
        ),
        (("sweep", "shfit"), "use one of shift,"),
        (("sweep", "shift", "--backend", "daks"), "use one of dask,"),
        (("reproduce", "avmp", "--sweep", "headlin"), "use one of headline,"),
        (("reproduce", "avmp", "--fix", "tell-victim"), "use one of tell-victims,"),
    ],
)
@pytest.mark.usefixtures("small_trace")
def test_a_mistyped_name_is_answered_with_the_nearest(
    twinpool: Twinpool, tmp_path: Path, arguments: tuple[str, ...], meant: str
) -> None:
    outcome = twinpool(*arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("twinpool: ")
    assert outcome.stderr.count("\n") == 1
    assert meant in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.csv"]


@pytest.mark.parametrize(
    "place", ["scenarios.commands.app.run", "scenarios.commands.list.items_of"]
)
def test_an_interrupt_is_said_wherever_it_comes(
    twinpool: Twinpool, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    outcome = twinpool("list", "models")
    assert (outcome.exit_code, outcome.stdout) == (130, "")
    assert outcome.stderr == "twinpool: interrupted\n"
