"""Every kind of page, on a laptop, on a phone and by keyboard: what can be measured of legible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.conftest import Browser

LAPTOP, PHONE = (1366, 768), (390, 844)
IS_DRAWN = "Boolean(document.documentElement.dataset.drawn)"
CHART_COLORS = ("--blue", "--orange", "--green", "--purple", "--yellow")

CUT_TEXTS = """[...document.querySelectorAll('.chart')].flatMap((chart) => {
  const box = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('.main-svg text')].filter((text) => {
    const own = text.getBoundingClientRect();
    return text.textContent && own.width && (own.left < box.left - 1 || own.right > box.right + 1
      || own.top < box.top - 1 || own.bottom > box.bottom + 1);
  }).map((text) => `${chart.ariaLabel}: ${text.textContent}`);
})"""
COVERED_PLOTS = """[...document.querySelectorAll('.chart')].filter((chart) => {
  const legend = chart.querySelector('.legend .bg')?.getBoundingClientRect();
  const plot = chart.querySelector('.bglayer .bg, .gridlayer')?.getBoundingClientRect();
  return legend && plot && legend.bottom > plot.top + 1 && legend.top < plot.bottom - 1;
}).map((chart) => chart.ariaLabel)"""
NAMELESS_AXES = """[...document.querySelectorAll('.chart')].flatMap((chart) =>
  Object.keys(chart.layout).filter((name) => /^[xy]axis/.test(name)).filter((name) => {
    const isNamed = chart._fullLayout[name].type === 'category';
    return !isNamed && !chart.layout[name].title?.text;
  }).map((name) => `${chart.ariaLabel}: ${name}`))"""
FAINT_TEXTS = """(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (color !== 'transparent' && parts(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const isShown = (element) => [...element.childNodes].some((node) => node.nodeType === 3
    && node.textContent.trim()) && element.getClientRects().length;
  return [...document.querySelectorAll('body *')].filter(isShown).map((element) => {
    const style = getComputedStyle(element);
    const ink = light(element instanceof SVGElement ? style.fill : style.color);
    const paper = light(under(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return { ratio, text: element.textContent.slice(0, 60) };
  }).filter(({ ratio }) => ratio < 4.5);
})()"""
CONTRASTS = """((names) => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const text = style.getPropertyValue(name).trim().slice(1);
    const [r, g, b] = [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16) / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return names.flatMap((name) => ['--page', '--surface'].map((below) => {
    const [high, low] = [light(name), light(below)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  }));
})"""
FOCUSABLE = """[...document.querySelectorAll('[tabindex="0"], summary')]
  .filter((element) => element.checkVisibility())"""
FOCUSED = """(() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const isSeen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [FOCUSABLE.indexOf(element), isSeen];
})()""".replace("FOCUSABLE", FOCUSABLE)
WORDLESS_CHARTS = """[...document.querySelectorAll('.chart')].filter((chart) =>
  !chart.ariaLabel || chart.getAttribute('role') !== 'img'
  || (chart.closest('.plot') && !chart.closest('.plot').querySelector('table'))).length"""
CRUMBLED_NAMES = """[...document.querySelectorAll('th[scope="row"]')].filter((name) => {
  const line = parseFloat(getComputedStyle(name).lineHeight);
  return name.clientHeight > 4 * line && name.textContent.length < 60;
}).map((name) => name.textContent)"""
UNDRAWN_CHARTS = """[...document.querySelectorAll('.chart')]
  .filter((chart) => !chart.querySelector('.main-svg .xy')).length"""
OVER_PAPER = """[...document.querySelectorAll('.chart')].filter((chart) => {
  const svg = chart.querySelector('.main-svg');
  return svg.getAttribute('height') > chart.clientHeight || svg.getAttribute('width') > 1030;
}).length"""


@pytest.fixture(scope="module", params=PAGES, ids=lambda make: str(make.__name__))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make: Callable[[Path], Path] = request.param
    return make(tmp_path_factory.mktemp(make.__name__))


def opened(browser: Browser, page: Path, size: tuple[int, int], *, is_dark: bool = False) -> None:
    browser.open(page, *size, is_dark=is_dark)
    browser.wait_for(IS_DRAWN)


@pytest.mark.parametrize(
    ("size", "is_dark"), [(LAPTOP, False), (PHONE, True)], ids=["laptop", "phone, dark"]
)
def test_all_is_in_its_place_legible_and_reached_by_keyboard(
    browser: Browser, page: Path, size: tuple[int, int], *, is_dark: bool
) -> None:
    opened(browser, page, size, is_dark=is_dark)
    _assert_in_place(browser)
    _assert_stands_out(browser)
    _assert_reached_by_keyboard(browser)
    assert browser.complaints == []


def test_on_paper_no_chart_is_wider_or_higher_than_its_place(browser: Browser, page: Path) -> None:
    opened(browser, page, LAPTOP)
    assert browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    browser.call("Emulation.setEmulatedMedia", media="print", features=[])
    browser.wait_for(f"{OVER_PAPER} === 0")
    assert browser.value_of(COVERED_PLOTS) == []


def _assert_in_place(browser: Browser) -> None:
    assert browser.value_of(UNDRAWN_CHARTS) == 0
    assert browser.value_of("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value_of(CUT_TEXTS) == []
    assert browser.value_of(CRUMBLED_NAMES) == []
    assert browser.value_of(COVERED_PLOTS) == []
    assert browser.value_of(NAMELESS_AXES) == []
    assert browser.value_of(WORDLESS_CHARTS) == 0
    assert browser.value_of("document.querySelectorAll('section table').length")


def _assert_stands_out(browser: Browser) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, of large text too; 1.4.11: 3 to 1 for the marks of charts."""
    assert browser.value_of(FAINT_TEXTS) == []
    assert min(browser.value_of(f"{CONTRASTS}({list(CHART_COLORS)})")) >= 3


def _assert_reached_by_keyboard(browser: Browser) -> None:
    num_stops = browser.value_of(f"{FOCUSABLE}.length")
    assert num_stops
    assert [_tabbed(browser) for _ in range(num_stops)] == [[at, True] for at in range(num_stops)]


def _tabbed(browser: Browser) -> Any:  # noqa: ANN401 - whatever the page says
    """Press the tab key; which of the stops it leads to, and whether that shows."""
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **key)
    return browser.value_of(FOCUSED)
