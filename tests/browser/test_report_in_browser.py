"""The report in a real browser: it draws everywhere, complains about nothing, asks no network."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from scenarios.report import write_report
from scenarios.result import ReplayResult, RunResult
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.scheduler import known_schedulers
from traces.record import Trace

if TYPE_CHECKING:
    from tests.browser.conftest import Browser

ALLOCATORS = ("static", "avmp", "shared-bytes")
SPEC = CacheSpec(
    (
        CacheGroup("attention", CacheKind.ATTENTION, 4, 4096),
        CacheGroup("state", CacheKind.STATE, 24, 500_000),
    )
)
NUM_ROWS = 5
WIDTHS = (1366, 412)
IS_DRAWN = "Boolean(document.documentElement.dataset.drawn)"
TICK_COLOR = "getComputedStyle(document.querySelector('.xtick text')).fill"
RANGES = "[...document.querySelectorAll('.chart')].map((chart) => chart.layout.xaxis.range[1])"


def run_of(allocator: str, trace: Trace) -> RunResult:
    manager, scheduler = known_managers()[allocator], known_schedulers()["fcfs"]
    parts = (
        manager(SPEC, HostBacking(256 << 20), manager.Options()),
        scheduler(scheduler.Options()),
        ConstantExecutor(20_000_000),
    )
    log = Engine(trace, Wiring(*parts)).run()
    return RunResult(allocator, log, {"stability": "stable", "ttft_s": {"p50": 0.1}})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2026)
    lengths = rng.integers(50, 2000, (2, 200))
    trace = Trace("<mixed> & odd", lengths[0], lengths[1] // 8, np.arange(200) * 200_000_000)
    path = tmp_path_factory.mktemp("report") / "report.html"
    runs = tuple(run_of(allocator, trace) for allocator in ALLOCATORS)
    write_report(ReplayResult({"trace": trace.name, "requests": len(trace)}, runs), path)
    return path


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_all_charts_draw_without_a_complaint(
    browser: "Browser", report: Path, width: int, *, is_dark: bool
) -> None:
    browser.open(report, width, is_dark=is_dark)
    browser.wait_for(IS_DRAWN)
    num_charts = NUM_ROWS * len(ALLOCATORS)
    assert browser.value_of("document.querySelectorAll('.chart .main-svg .xy').length") > 0
    drawn = "document.querySelectorAll('.chart .plot-container').length"
    assert browser.value_of(drawn) == num_charts
    lines = "document.querySelectorAll('.chart .scatter .js-line').length"
    assert browser.value_of(lines) >= num_charts
    assert browser.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_parts_scroll_and_the_page_does_not(
    browser: "Browser", report: Path, width: int
) -> None:
    browser.open(report, width)
    browser.wait_for(IS_DRAWN)
    assert browser.value_of("document.documentElement.scrollWidth <= innerWidth")
    narrowest = "Math.min(...[...document.querySelectorAll('.chart')].map((c) => c.offsetWidth))"
    assert browser.value_of(narrowest) >= 250
    reaches = "[...document.querySelectorAll('.scroller')].every((part) => part.tabIndex === 0)"
    assert browser.value_of(reaches)


def test_charts_follow_the_color_scheme(browser: "Browser", report: Path) -> None:
    colors = []
    for is_dark in (False, True):
        browser.open(report, 1366, is_dark=is_dark)
        browser.wait_for(IS_DRAWN)
        colors.append(browser.value_of(TICK_COLOR))
    light = {"name": "prefers-color-scheme", "value": "light"}
    browser.call("Emulation.setEmulatedMedia", media="", features=[light])
    browser.wait_for(f"{TICK_COLOR} !== '{colors[1]}'")
    assert colors[0] != colors[1]
    assert browser.value_of(TICK_COLOR) == colors[0]


def test_zooming_one_chart_zooms_those_of_its_axis(browser: "Browser", report: Path) -> None:
    browser.open(report, 1366)
    browser.wait_for(IS_DRAWN)
    before = browser.value_of(RANGES)
    zoom = "{'xaxis.range[0]': 1, 'xaxis.range[1]': 3}"
    browser.value_of(f"Plotly.relayout(document.querySelector('.chart'), {zoom}).then(() => 0)")
    num_timed = 3 * len(ALLOCATORS)
    browser.wait_for(f"{RANGES}.filter((end) => end === 3).length === {num_timed}")
    assert browser.value_of(RANGES)[num_timed:] == before[num_timed:]
    assert browser.complaints == []


def test_printing_fits_the_paper_and_leaves_the_screen_as_it_was(
    browser: "Browser", report: Path
) -> None:
    browser.open(report, 1366)
    browser.wait_for(IS_DRAWN)
    width = "document.querySelector('.chart .main-svg').getAttribute('width')"
    on_screen = browser.value_of(width)
    assert browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    browser.wait_for(f"{width} === '{on_screen}'")
    browser.value_of("dispatchEvent(new Event('beforeprint'))")
    browser.wait_for(f"{width} === '332'")
    assert browser.complaints == []


@pytest.mark.parametrize(
    "fault",
    [
        "<script>console.error('broken')</script>",
        "<script>console.warn('doubtful')</script>",
        "<script>throw new Error('broken')</script>",
        "<script>Promise.reject(new Error('broken'))</script>",
        "<img src='https://twinpool.invalid/pixel.png' alt=''>",
    ],
)
def test_a_report_broken_on_purpose_is_noticed(
    browser: "Browser", report: Path, tmp_path: Path, fault: str
) -> None:
    text = report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("</body>", f"{fault}</body>"), encoding="utf-8")
    browser.open(broken, 1366)
    browser.wait_for(IS_DRAWN)
    assert browser.complaints


def test_a_request_is_noticed_where_no_policy_blocks_it(browser: "Browser", tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='https://twinpool.invalid/pixel.png' alt=''>", encoding="utf-8")
    browser.open(page, 1366)
    assert any(complaint.startswith("request: ") for complaint in browser.complaints)
