from __future__ import annotations

import sys
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from scenarios.errors import UserError
from scenarios.regret import (
    BEST_STATIC,
    BOUND,
    GOODPUT,
    MEASURES,
    Measure,
    compared,
    outcome,
    panel_of,
)
from scenarios.regret_tables import BEGIN, END, main, tables_of, write_between_markers
from scenarios.sweep_store import RESULTS, write_results
from sim.statistics import Interval

if TYPE_CHECKING:
    from pathlib import Path

MODELS, MIXES, LOADS, SEEDS = ("m1", "m2"), ("a", "b"), (0.5, 2.0), range(4)
TTFT = MEASURES[-1]
GOODPUT_OF = {
    "shared-bytes": 10.0,
    "avmp": 9.0,
    "padded": 5.0,
    "static": 8.0,
    "static:state_ratio=0.9": 4.0,
}


def _rows(noise: float = 0.0) -> list[dict[str, Any]]:
    """Results whose goodput depends on the allocator; mix b prefers the split of 0.9."""
    rng = np.random.default_rng(0)
    rows = []
    for model, mix, load, seed in product(MODELS, MIXES, LOADS, SEEDS):
        for allocator, base in GOODPUT_OF.items():
            better = 5.0 if (mix, allocator) == ("b", "static:state_ratio=0.9") else 0.0
            goodput = (base + better) * load + noise * rng.random()
            rows.append(_row(model, mix, load, seed) | _figures(allocator, goodput))
    return rows


def _row(model: str, mix: str, load: float, seed: int) -> dict[str, Any]:
    return {"model": model, "mix": mix, "load": load, "seed": seed, "error": None}


def _figures(allocator: str, goodput: float) -> dict[str, Any]:
    return {
        "allocator": allocator,
        "goodput_rps": goodput,
        "throughput_rps": 2 * goodput,
        "throughput_tokens_per_s": 200 * goodput,
        "ttft_s_p99": 1 / goodput,
        "rejected": 0,
        "preemptions": 3,
        "recomputed_tokens": 100,
        "migrations_count": 1,
        "migrations_blocked": 0,
    }


def test_regret_is_the_relative_loss() -> None:
    panel = panel_of(_rows(), GOODPUT)
    assert len(panel.places) == 8
    assert panel.regrets("avmp") == pytest.approx([0.1] * 8)
    assert panel.regrets("padded", "avmp") == pytest.approx([4 / 9] * 8)
    assert panel.regrets(BOUND) == pytest.approx([0.0] * 8)


def test_a_measure_to_keep_low_is_turned_round() -> None:
    panel = panel_of(_rows(), TTFT)
    assert panel.regrets("avmp") == pytest.approx([10 / 9 - 1] * 8)
    assert panel.splits == panel_of(_rows(), GOODPUT).splits


def test_the_best_split_is_chosen_place_by_place() -> None:
    panel = panel_of(_rows(), GOODPUT)
    chosen = dict(zip(panel.places, panel.splits, strict=True))
    for place, split in chosen.items():
        assert split == ("static:state_ratio=0.9" if place.mix == "b" else "static")
    by_mix = {
        place.mix: regret
        for place, regret in zip(panel.places, panel.regrets(BEST_STATIC), strict=True)
    }
    assert by_mix == pytest.approx({"a": 0.2, "b": 0.1})
    assert compared(panel) == ["avmp", "padded", BEST_STATIC]


def test_a_split_that_rejects_requests_is_no_best_one() -> None:
    rows = _rows()
    for row in rows:
        row["rejected"] = int(row["allocator"] == "static:state_ratio=0.9" and row["load"] == 2.0)
    panel = panel_of(rows, GOODPUT)
    for place, split in zip(panel.places, panel.splits, strict=True):
        prefers = place.mix == "b" and place.load == 0.5
        assert split == ("static:state_ratio=0.9" if prefers else "static")


def test_a_family_has_the_interval_that_scipy_finds() -> None:
    panel = panel_of(_rows(noise=4.0), GOODPUT)
    rows = panel.rows_where(model="m1", mix="a", load=2.0)
    (place,) = np.flatnonzero(rows)
    known = stats.bootstrap(
        (panel.values["avmp"][place], panel.values[BOUND][place]),
        lambda own, bound, axis: 1 - own.mean(axis=axis) / bound.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=9999,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = panel.family_regret("avmp", BOUND, rows)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.01)
    assert found.estimate == pytest.approx(panel.regrets("avmp")[place])


def test_a_family_is_the_mean_of_its_places() -> None:
    panel = panel_of(_rows(noise=4.0), GOODPUT)
    rows = panel.rows_where(mix="a")
    assert rows.sum() == 4
    found = panel.family_regret("avmp", BOUND, rows)
    assert found.estimate == pytest.approx(panel.regrets("avmp")[rows].mean())
    assert found.low < found.estimate < found.high


def test_what_failed_or_has_no_figure_is_left_out_on_both_sides() -> None:
    rows = _rows()
    for row in rows:
        if row["allocator"] == "avmp" and row["seed"] == 1:
            row |= {"goodput_rps": None, "error": "RuntimeError: x"}
        if row["mix"] == "b" and row["allocator"] == BOUND:
            row["goodput_rps"] = 0.0
    panel = panel_of(rows, GOODPUT)
    regrets = panel.regrets("avmp")
    for place, regret in zip(panel.places, regrets, strict=True):
        assert np.isnan(regret) if place.mix == "b" else regret == pytest.approx(0.1)
    assert panel.family_regret("avmp", BOUND, panel.rows_where()).estimate == pytest.approx(0.1)
    assert "8 of them failed" in tables_of(rows)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.2, -0.1, "win"),
        (-0.1, 0.1, "tie"),
        (0.1, 0.2, "loss"),
        (1e-5, 1e-4, "tie"),
        (-1e-4, -1e-5, "tie"),
    ],
)
def test_only_what_lies_beyond_the_interval_counts(low: float, high: float, word: str) -> None:
    assert outcome(Interval((low + high) / 2, low, high)) == word


def test_the_tables_say_who_wins_where() -> None:
    text = tables_of(_rows())
    assert "### Regret of goodput against the bound\n" in text
    assert "| avmp | 10.0 [10.0, 10.0] | 10.0 | 10.0 | 10.0 | m1, a, load 0.5 |" in text
    assert "| m1 | a | 0.5 (20.0) | 0.5 (20.0) |" in text
    assert "| m2 | b | 0.9 (10.0) | 0.9 (10.0) |" in text
    # against padded all 4 (mix, load) and 2 models are won; the best split ties avmp in mix b
    assert "| padded | 6 | 0 | 0 | -80.0 [-80.0, -80.0] |" in text
    assert "### Families in which avmp loses by goodput\n\nNone." in text


def test_losses_are_listed_with_their_family() -> None:
    text = tables_of(_rows(), "padded")
    assert "| avmp | a, load 0.5 | 44.4 [44.4, 44.4] |" in text
    assert "| avmp | m2 | 44.4 [44.4, 44.4] |" in text


def test_results_without_the_bound_or_the_subject_are_refused() -> None:
    with pytest.raises(UserError, match="no runs of jenga"):
        tables_of(_rows(), "jenga")
    with pytest.raises(UserError, match="no runs of shared-bytes"):
        tables_of([row for row in _rows() if row["allocator"] != BOUND])


def test_results_without_static_splits_have_their_tables_too() -> None:
    rows = [row for row in _rows() if not row["allocator"].startswith("static")]
    assert "Best static" not in tables_of(rows)
    assert compared(panel_of(rows, Measure("rejected", "rejections"))) == ["avmp", "padded"]


def test_only_the_generated_part_of_a_document_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "allocators.md"
    document.write_text(f"# Who wins\n{BEGIN}\nold\n{END}\nthe end\n")
    write_results(tmp_path / RESULTS, _rows())
    monkeypatch.setattr(sys, "argv", ["regret", str(tmp_path), "--document", str(document)])
    main()
    once = document.read_text()
    main()
    assert document.read_text() == once
    assert once.startswith(f"# Who wins\n{BEGIN}\n\n160")
    assert once.endswith(f"{END}\nthe end\n")
    assert "\nold\n" not in once
    monkeypatch.setattr(sys, "argv", ["regret", str(tmp_path)])
    main()
    assert capsys.readouterr().out in once


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "allocators.md"
    document.write_text("# Nothing to replace\n")
    with pytest.raises(UserError, match="lacks the markers"):
        write_between_markers(document, "x")
    with pytest.raises(UserError, match="cannot be read"):
        write_between_markers(tmp_path / "none.md", "x")


def test_overloaded_runs_are_counted_and_tables_of_latency_marked() -> None:
    calm = [row | {"stability": "stable"} for row in _rows()]
    assert "†" not in tables_of(calm)
    mixed = [row | {"stability": "overloaded" if row["load"] == 2.0 else "stable"} for row in calm]
    text = tables_of(mixed, is_brief=True)
    assert f"{len(mixed) // 2} runs were overloaded" in text
    assert "### Regret of p99 TTFT † against the bound" in text
    assert "### Regret of goodput against the bound" in text
    assert "| 50 % |" in text
