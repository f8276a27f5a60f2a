from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.listing import LISTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

EXPECTED = {
    "models": {"nemotron-h-8b", "jamba-1.5-mini", "bamba-9b", "zamba2-7b", "qwen3.5-9b"}
    | {"granite-4.0-h-tiny", "falcon-h1-7b", "llama-3.1-8b"},
    "devices": {"h200", "h100-80gb", "a100-80gb", "l40s", "rtx-4090", "rtx-3060-12gb"},
    "allocators": {"padded", "static", "avmp", "shared-bytes"},
    "schedulers": {"fcfs"},
    "preemptions": {"recompute", "swap"},
    "traces": {"azure", "burstgpt", "mooncake", "vidur", "uniform-short", "azure-like"},
}


@pytest.mark.parametrize("what", LISTS)
def test_json_names_every_item(twinpool: Twinpool, what: str) -> None:
    result = twinpool("list", what, "--json", "--quiet").json()
    assert result["command"] == "list"
    assert {item["name"] for item in result["items"]} >= EXPECTED.get(what, set())


@pytest.mark.parametrize("what", ["models", "devices", "allocators", "schedulers", "traces"])
def test_text_names_every_item_with_its_source(twinpool: Twinpool, what: str) -> None:
    items = twinpool("list", what, "--json").json()["items"]
    text = twinpool("list", what).stdout
    for item in items:
        assert item["name"] in text
        sources = item.get("sources") or [{"source": item["source"]}]
        assert all(source["source"] in text for source in sources)


def test_an_unknown_list_names_the_known_ones(twinpool: Twinpool) -> None:
    outcome = twinpool("list", "modles")
    assert outcome.exit_code == 2
    assert "use one of models" in outcome.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [(), ("replay",), ("list",)])
def test_help_says_how_to_call_it(twinpool: Twinpool, command: tuple[str, ...], flag: str) -> None:
    outcome = twinpool(*command, flag)
    assert outcome.exit_code == 0
    assert "Usage" in outcome.stdout
    assert not command or "Example: twinpool" in " ".join(outcome.stdout.split())


def test_version(twinpool: Twinpool) -> None:
    outcome = twinpool("--version")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("twinpool 0.")
