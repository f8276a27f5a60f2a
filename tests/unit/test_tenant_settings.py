"""Settings of tenants as users write them, and what a neighbour does under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scenarios.cell import Cell
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.isolation import PROMISED_STEPS, outcomes, table_of
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from scenarios.sweep import SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import RESULTS, read_results
from scenarios.tenants import check_tenants, parse_tenants
from sim.metric import Slo
from sim.tenant import Tenant
from traces.load import TraceOptions, load_trace

if TYPE_CHECKING:
    from pathlib import Path

SWEEP = """
[sweep]
summary = "two tenants"
models = ["nemotron-h-8b"]
device = "h200"
loads = [2]
seeds = 1
allocators = ["shared-bytes"]
scheduler = "fair+queue-limit:max_waiting=5"

[memory]
sequences = 4
reference_tokens = 512

[capacity]
seeds = 1

[tenants.noisy]
weight = 0.5
max_seqs = 2

[tenants."*"]
memory_share = 0.9

[mixes.both]
trace = "noisy-neighbour:n=4,prompt=128,output=16"
"""


def test_settings_are_read_from_texts() -> None:
    texts = ("a:weight=2,max_seqs=16,memory_share=0.4,rate=5,burst=20,max-waiting=100", "*")
    assert parse_tenants(texts) == (Tenant("a", 2.0, 16, 0.4, 5.0, 20.0, 100), Tenant())


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a:wieght=2"], "weight"),
        (["a:weight=two"], "must be a number"),
        (["a:max_seqs=1.5"], "whole number"),
        (["a:memory_share=2"], "memory_share must lie"),
        (["a:weight"], "is no option"),
        ([":weight=2"], "names nobody"),
        (["a:name=b"], "names nobody"),
        (["a:weight=1", "a:max_seqs=2"], "given twice"),
    ],
)
def test_mistakes_in_settings_are_named(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_tenants(texts)


def test_settings_of_tenants_that_a_trace_lacks_are_refused() -> None:
    both = load_trace("noisy-neighbour:n=2", TraceOptions())
    check_tenants((Tenant("noisy"), Tenant()), both)
    with pytest.raises(UserError, match="use one of noisy"):
        check_tenants((Tenant("nosiy"),), both)
    with pytest.raises(UserError, match="names no tenants"):
        check_tenants((Tenant("a"),), load_trace("poisson:n=2", TraceOptions()))


def test_the_digest_of_a_cell_knows_its_tenants() -> None:
    options = MachineOptions(memory_gib=1.0)
    machine = machine_of(load_model("nemotron-h-8b"), load_device("h200"), options)
    settings: tuple[tuple[Tenant, ...], ...] = ((), (Tenant("a"),), (Tenant("a", 2.0),))
    cells = [Cell(machine, "avmp", "fair", Slo(), tenants=tenants) for tenants in settings]
    assert len({cell.digest("trace") for cell in cells}) == 3


class Silent:
    """Watches nothing."""

    def starts(self, stage: str, total: int) -> None:
        pass

    def advanced(self, pieces: int) -> None:
        pass


def test_a_sweep_has_tenants_and_a_column_for_each_figure_of_each(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(SWEEP)
    scenario = load_sweep(str(file))
    assert scenario.tenants == (Tenant("noisy", 0.5, 2), Tenant(memory_share=0.9))
    sweep(scenario, SweepOptions(tmp_path), Silent())
    rows: list[dict[str, Any]] = read_results(tmp_path / RESULTS)
    assert rows[0]["error"] is None
    assert rows[0]["tenants_noisy_requests"] == 40
    assert rows[0]["tenants_well-behaved_ttft_s_p99"] > 0
    assert rows[0]["tenants_noisy_rejections_queue_full"] > 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("weight = 0.5", "wieght = 0.5", "wieght is not known"),
        ("weight = 0.5", "memory_share = 2", "memory_share must lie"),
        ("weight = 0.5", 'name = "quiet"', "heading"),
        ("[tenants.noisy]\n", "[tenants]\nnoisy = 1\n[tenants.other]\n", "must be a table"),
    ],
)
def test_mistakes_in_tables_of_tenants_are_named(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(SWEEP.replace(before, after))
    with pytest.raises(UserError, match=said):
        load_sweep(str(file))


def test_a_noisy_neighbour_moves_first_tokens_by_no_more_than_is_promised() -> None:
    """30 seconds of the experiment in docs/engine.md; without turns and quota it does."""
    found = {row.case: row for row in outcomes("noisy-neighbour:n=60,rate=2", seeds=1)}
    alone, guarded = found["alone, `fcfs`"], found["neighbour, `fair`, quota"]
    most_s = alone.ttft_p99_s[0] + PROMISED_STEPS * guarded.longest_step_s[0]
    assert guarded.ttft_p99_s[0] <= most_s
    assert guarded.preempted == (0,)
    assert found["neighbour, `fcfs`"].ttft_p99_s[0] > 5 * most_s
    assert "| neighbour, `fair`, quota |" in table_of(list(found.values()))
