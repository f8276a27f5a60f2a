"""What a shell can complete: the names that an option takes, found by the option's own name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from scenarios.choice import described_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

NAMES = {
    "backend": "scenarios.pools:BACKENDS",
    "backing": "scenarios.validation.validate:KNOWN_BACKINGS",
    "device": "scenarios.device:known_devices",
    "engine": "scenarios.capacity.run:known_sizings",
    "engine_step": "scenarios.cell:ENGINES",
    "fix": "scenarios.reproduce.fixes:known_fixes",
    "kv_dtype": "scenarios.model:KV_DTYPES",
    "mamba_cache_mode": "scenarios.capacity.engines.vllm:MODES",
    "model": "scenarios.model_file:known_models",
    "paper": "scenarios.reproduce.outcome:PAPERS",
    "profile": "scenarios.profile:known_profiles",
    "quantization": "scenarios.capacity.quantization:QUANTIZATIONS",
    "radix_cache": "scenarios.capacity.engines.sglang:SLOTS_A_REQUEST",
    "scenario": "scenarios.sweep_file:known_sweeps",
    "state_dtype": "scenarios.model:STATE_DTYPES",
    "sweep": "scenarios.reproduce.grid:SWEEPS",
    "trace": "traces.load:known_presets",
    "trace_format": "traces.load:known_formats",
    "what": "scenarios.listing:LISTS",
}
"""Where the names of an option stand: `module:attribute`, imported when somebody asks for them."""

DESIGNS = {
    "allocator": "allocator.registry:known_managers",
    "preemption": "sim.preemption:known_preemptions",
    "router": "sim.router:known_routers",
    "scheduler": "sim.scheduler:known_schedulers",
}
"""The same for options that take `NAME[:key=value,...]`."""

LISTED = {"compare"}
"""Options that take several names of an engine, separated by commas."""

ALSO_FILES = {"model", "profile", "scenario", "trace"}
"""Options that take a file too: with nothing typed yet, the shell shows files."""

_BREAKS = frozenset(":=")


@dataclass(frozen=True, slots=True)
class Word:
    """A completion; has what typer's shells read of one."""

    value: str
    help: str | None = None
    type: str = "plain"


def known(place: str) -> Any:  # noqa: ANN401 - what stands at a place of `NAMES` or `DESIGNS`
    """What stands at `module:attribute`; called, where it is a function."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    return found() if callable(found) else found


def complete_options(command: Any) -> Any:  # noqa: ANN401 - typer's own command
    """Make a command's options and arguments complete the names that they take."""
    for parameter in command.params:
        if completer := _completer_of(parameter.name):
            parameter.shell_complete = completer
    return command


def _completer_of(option: str) -> Callable[[Any, str], list[Word]] | None:
    if option not in NAMES and option not in DESIGNS and option not in LISTED:
        return None

    def complete(ctx: Any, incomplete: str) -> list[Word]:  # noqa: ANN401 - typer's own context
        lead = ctx.find_root().obj or ""  # bash replaces only what follows it
        return [
            Word(word.value.removeprefix(lead), word.help) for word in words(option, incomplete)
        ]

    return complete


def words(option: str, incomplete: str) -> list[Word]:
    """What an option can hold that begins with `incomplete`, in the order of the registry."""
    if option in DESIGNS:
        found = _designs(incomplete, known(DESIGNS[option]))
    elif option in LISTED:
        before, comma, _ = incomplete.rpartition(",")
        found = (Word(before + comma + name) for name in known(NAMES["engine"]))
    elif option in ALSO_FILES and not incomplete:
        found = iter(())
    else:
        found = (_word(entry) for entry in known(NAMES[option]))
    return [word for word in found if word.value.startswith(incomplete)]


def _word(entry: Any) -> Word:  # noqa: ANN401 - a name, or what has one
    return Word(entry) if isinstance(entry, str) else Word(entry.name, entry.description)


def _designs(incomplete: str, designs: Mapping[str, Any]) -> Iterator[Word]:
    name, colon, tail = incomplete.partition(":")
    if not colon:
        yield from (Word(known_name, design.summary) for known_name, design in designs.items())
    elif name in designs:
        yield from _settings(name, tail, designs[name].Options)


def _settings(name: str, tail: str, options: type[Any]) -> Iterator[Word]:
    """`key=default` of every option not given yet, or the words that the last key takes."""
    before, comma, last = tail.rpartition(",")
    lead = f"{name}:{before}{comma}"
    key, equals, _ = last.partition("=")
    if equals:
        yield from (Word(f"{lead}{key}={value}") for value in _values(key, options))
        return
    given = {part.partition("=")[0] for part in before.split(",")}
    for option in described_options(options):
        if option["key"] not in given:
            yield Word(f"{lead}{option['key']}={option['default']}", option["help"])


def _values(key: str, options: type[Any]) -> Iterable[str]:
    kind = get_type_hints(options).get(key)
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return []
    return [str(member.value) for member in kind]


def whole_bash_words() -> str:
    """Put together what bash has split at colons and equals signs, where it asks for completion.

    Bash hands over `static:state` as three words and replaces only the last of them.

    Returns:
        The part of the last word that completions must leave out; empty in any other shell.
    """
    if "COMP_WORDS" not in os.environ or "COMP_CWORD" not in os.environ:
        return ""
    split = os.environ["COMP_WORDS"].split("\n")[: int(os.environ["COMP_CWORD"]) + 1]
    whole = joined(split)
    os.environ["COMP_WORDS"] = "\n".join(whole)
    os.environ["COMP_CWORD"] = str(len(whole) - 1)
    return lead_of(whole[-1], split[-1])


def lead_of(whole: str, last: str) -> str:
    """The part of a value that stands before the last word that bash has made of it."""
    lead = whole if _is_break(last) else whole[: len(whole) - len(last)]
    return lead.partition("=")[2] if lead.startswith("-") else lead


def joined(split: Sequence[str]) -> list[str]:
    """Words as the user typed them, from those that bash has split."""
    whole: list[str] = []
    was_break = False
    for word in split:
        is_break = _is_break(word)
        if whole and word[:1] not in {"", "-"} and (is_break or was_break):
            whole[-1] += word
        else:
            whole.append(word)
        was_break = is_break
    return whole


def _is_break(word: str) -> bool:
    return bool(word) and set(word) <= _BREAKS
