"""Each fix replaces what its line says, and nothing else."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from allocator.paper.searched_holdings import LiveHandles
from scenarios.errors import UnknownNameError
from scenarios.reproduce import variants
from scenarios.reproduce.cell import PaperCell
from scenarios.reproduce.fixes import ALL, FIXES, fix_names, relevant
from scenarios.reproduce.phases import TimedRun
from scenarios.reproduce.workloads import Workload
from sim.event_log import EventKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from scenarios.reproduce.cell import Row
    from scenarios.reproduce.variants import Variant
    from sim.event_log import EventLog

BATCH_BYTES = 128 << 18
"""128 state pages of Jamba, the batch of b128."""


LARGE = ("jamba_1_5_mini", 4)
SMALL = ("mamba2_1b3", 1)


def cell(
    variant: Variant, fixes: frozenset[str], workload: str, place: tuple[str, int]
) -> PaperCell:
    return PaperCell(variant, Workload(workload, 0), *place, fixes)


@cache
def figures(
    variant: Variant,
    *fixes: str,
    workload: str = "mixed_long",
    place: tuple[str, int] = LARGE,
) -> Row:
    return cell(variant, frozenset(fixes), workload, place).run()


def log_of(variant: Variant, *fixes: str, place: tuple[str, int] = LARGE) -> EventLog:
    chosen = cell(variant, frozenset(fixes), "mixed_long", place)
    return chosen.setup.open_loop().run(chosen.workload.preset().ticks())


def test_a_page_is_freed_by_its_owner_only() -> None:
    assert figures(variants.PADDED)["pages_freed_by_other"] > 10_000
    assert figures(variants.PADDED, "page-ownership")["pages_freed_by_other"] == 0


def test_pages_of_more_tokens_end_most_failures_of_the_padded_pool() -> None:
    before, after = (
        figures(variants.PADDED, *fixes, place=SMALL) for fixes in ((), ("page-tokens",))
    )
    assert after["oom"] < before["oom"] / 2
    assert after["kv_pages"] == before["kv_pages"]


def test_the_asker_is_not_evicted_for_itself() -> None:
    for fixes, has_any in (((), True), (("spare-asker",), False)):
        evictions = log_of(variants.MR09, *fixes, place=SMALL).of(EventKind.EVICTION)
        assert (evictions[:, 2] == evictions[:, 5]).any() == has_any


def test_evicting_until_it_fits_leaves_only_calls_that_no_pool_could_hold() -> None:
    assert figures(variants.MR05)["oom"] > 50
    assert figures(variants.MR05, "evict-until-fits")["oom"] == 0
    failed = log_of(variants.MR09, "evict-until-fits", place=SMALL).of(EventKind.OOM)
    assert len(failed) > 0
    assert (failed[:, 4] > figures(variants.MR09, place=SMALL)["kv_pages"]).all()


def test_who_is_told_does_not_complete() -> None:
    silent, told = figures(variants.MR05), figures(variants.MR05, "tell-victims")
    assert silent["completion_ratio"] > 2 * silent["clean_completion_ratio"]
    assert told["completion_ratio"] == told["clean_completion_ratio"]
    assert told["evicted_requests"] == told["evictions"]


def test_a_refused_request_fails_once() -> None:
    before, after = figures(variants.MR05), figures(variants.MR05, "refuse-failed")
    assert before["oom"] > before["failed_requests"]
    assert after["oom"] == after["failed_requests"]


def test_several_batches_move_at_once() -> None:
    one = log_of(variants.DYNAMIC).of(EventKind.MIGRATION)[:, 5]
    several = log_of(variants.DYNAMIC, "enough-batches").of(EventKind.MIGRATION)[:, 5]
    assert set(one.tolist()) == {BATCH_BYTES}
    assert several.max() > BATCH_BYTES
    assert (several % BATCH_BYTES == 0).all()


def test_fewer_migrations_are_blocked_if_pages_are_copied_away() -> None:
    before = figures(variants.DYNAMIC, "migrate-first")
    after = figures(variants.DYNAMIC, "migrate-first", "relocate")
    assert after["blocked"] < before["blocked"]
    assert after["migrations"] > before["migrations"]


def test_capacity_goes_both_ways_only_if_it_moves_first() -> None:
    assert figures(variants.DYNAMIC)["migrations"] > 0
    assert figures(variants.DYNAMIC)["to_state"] == 0
    assert figures(variants.DYNAMIC, "migrate-first")["to_state"] > 0


def test_mapped_capacity_occupies_the_budget_once_and_decides_the_same() -> None:
    before, after = figures(variants.DYNAMIC), figures(variants.DYNAMIC, "mapped-capacity")
    assert before["footprint_bytes"] == 8 << 30
    assert after["footprint_bytes"] == 4 << 30
    assert figures(variants.MR05)["footprint_bytes"] == 4 << 30
    figures_of_a_run = before.keys() - {"digest", "footprint_bytes", "event_log_sha256"}
    assert {name: before[name] for name in figures_of_a_run} == {
        name: after[name] for name in figures_of_a_run
    }


def test_the_search_is_made_for_evictions_and_changes_nothing_but_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searches: list[int] = []

    def counted_search(self: LiveHandles, pool: object, pages: Collection[int]) -> list[int]:
        searches.append(len(pages))
        return search(self, pool, pages)

    search = LiveHandles.search
    monkeypatch.setattr(LiveHandles, "search", counted_search)
    chosen = cell(variants.MR05, frozenset(), "agentic_burst", LARGE)
    keyed, searching = TimedRun(chosen, searches=False).run(), TimedRun(chosen, searches=True).run()
    counted = figures(variants.MR05, workload="agentic_burst")
    assert len(searches) == counted["evictions"] > 0
    assert keyed["event_log_sha256"] == searching["event_log_sha256"]
    assert keyed["event_log_sha256"] == counted["event_log_sha256"]
    assert searching["host_service_s"] > keyed["host_service_s"]


def test_stated_thresholds_matter_only_if_they_are_obeyed() -> None:
    low, high = (variants.avmp_thresholds(level, 0.02) for level in (0.10, 0.90))
    assert figures(low)["event_log_sha256"] == figures(high)["event_log_sha256"]
    assert figures(low, "thresholds")["migrations"] > figures(high, "thresholds")["migrations"]
    assert figures(low)["migrations"] > figures(low, "thresholds")["migrations"]


def test_names_become_fixes() -> None:
    everything = fix_names([ALL])
    assert everything == {fix.name for fix in FIXES} - {"thresholds"}
    assert fix_names(["relocate", "relocate"]) == {"relocate"}
    with pytest.raises(UnknownNameError, match="use one of relocate"):
        fix_names(["relocat"])
    assert relevant(everything, variants.MR05) == {
        "spare-asker",
        "evict-until-fits",
        "tell-victims",
        "refuse-failed",
    }
