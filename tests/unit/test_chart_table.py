"""A chart's figures as a table."""

from __future__ import annotations

from scenarios.report.chart import NAME_CHARACTERS, Chart, bar_layout_of, line_of, wrapped
from scenarios.report.chart_table import MOST_ROWS, table_html


def _chart(name: str, y: list[float]) -> Chart:
    layout = bar_layout_of("requests a second", len(y))
    return Chart(
        "Loads",
        "",
        [line_of(name, [wrapped("static:state_ratio=0.5")] * len(y), y, "--blue")],
        layout,
    )


def test_every_point_of_a_chart_is_a_row_and_names_stay_text() -> None:
    table = table_html(_chart("<b>", [1.23456, 7]))
    assert (
        '<tr><th scope="row">&lt;b&gt;</th><td>static: state_ratio=0.5</td><td>1.235</td>' in table
    )
    assert table.count('<th scope="row">') == 2
    assert '<th scope="col">requests a second</th>' in table


def test_what_nobody_could_read_is_left_out() -> None:
    assert table_html(_chart("many", [0.5] * (MOST_ROWS + 1))) == ""
    assert table_html(_chart("none", [])) == ""


def test_a_long_name_is_broken_where_its_options_are_and_nothing_is_lost() -> None:
    name = "avmp:trigger=predictive,ahead=off,batch=64 on h200 <&>"
    lines = wrapped(name).split("<br>")
    assert len(lines) > 1
    assert all(len(line) <= NAME_CHARACTERS + 12 for line in lines)
    text = " ".join(lines).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.replace(" ", "") == name.replace(" ", "")
