"""Tables, figures and sentences of an evaluation, from a small one made by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scenarios.report.sheet import Cell, Sheet, lines_of
from scenarios.reproduce.charts import charts_of
from scenarios.reproduce.page import report_html
from scenarios.reproduce.published_figures import published_rows
from scenarios.reproduce.reading import reading_of
from scenarios.reproduce.sheets import rows_sheet, sheets_of, totals_sheet
from scenarios.reproduce.validation import BEGIN, END, main
from tests.unit.reproduce_case import cells, found_in

if TYPE_CHECKING:
    from pathlib import Path


def test_what_differs_is_marked_in_html_and_markdown() -> None:
    sheet = Sheet("A & B", "how", ("name", "x"), lines_of([("a<b", Cell("1", differs=True))]))
    assert '<td class="differs">≠ 1</td>' in sheet.html()
    assert "A &amp; B" in sheet.html()
    assert '<th scope="row">a&lt;b</th>' in sheet.html()
    assert sheet.markdown() == "### A & B\n\nhow\n\n| name | x |\n| --- | --- |\n| a<b | **1** |\n"


def test_a_total_off_by_some_events_is_marked_and_the_published_one_is_not() -> None:
    equal, off = (found_in(cells(extra))["sweeps"]["sharegpt"] for extra in (0, 1))
    assert not any(cell.differs for line in totals_sheet("sharegpt", equal).lines for cell in line)
    marked = [line[1].differs for line in totals_sheet("sharegpt", off).lines]
    assert marked == [True] * 5


def test_a_row_that_differs_shows_both_figures() -> None:
    rows = found_in(cells(1))["sweeps"]["sharegpt"]["rows"]
    line = rows_sheet("sharegpt", rows).lines[0]
    assert (line[4].text, line[4].differs) == ("28.00 (27.00)", True)
    assert not line[6].differs


def test_the_page_is_whole_and_needs_no_network() -> None:
    found = found_in(cells())
    page = report_html(found)
    charts = list(charts_of(found))
    assert page.count('<div class="chart tall"') == len(charts) == 1
    assert "http://" not in page.split("<script>")[0]
    assert "$" not in page.split("<script", maxsplit=1)[0].replace("$0", "")
    data = page.split('id="chart-data">')[1].split("</script>")[0]
    assert json.loads(data)[0]["data"][0]["type"] == "bar"
    assert [sheet.title for sheet in sheets_of(found)] == [
        "Sweep sharegpt: 60 cells",
        "Rows of sharegpt",
    ]


def test_the_reading_counts_rows_that_agree() -> None:
    (sentence,) = reading_of(found_in(cells()))
    # All seeds have the mean here, so a row agrees if it was published without a deviation.
    rows = [row for place, row in published_rows().items() if place[1] == "sharegpt_replay"]
    assert f": {sum(row['oom_std'] == 0 for row in rows)} of 20 published rows" in sentence


def test_tables_go_between_the_markers_of_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "result.json").write_text(json.dumps(found_in(cells())))
    document = tmp_path / "doc.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main([str(tmp_path), "--document", str(document)])
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n- Sweep sharegpt")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    main([str(tmp_path)])
    assert "### Sweep sharegpt: 60 cells" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none")])
    assert "cannot be read as an evaluation" in capsys.readouterr().err
