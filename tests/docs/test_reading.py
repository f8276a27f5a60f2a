"""What is read of a page, and what of printed text is compared."""

from __future__ import annotations

import pytest

from tests.docs.links import anchors_of, links_of
from tests.docs.output import comparable
from tests.docs.page import Command, NewFile, actions_of

PAGE = """# A page

```python title="a/b.py"
x = 1
```

```console
$ one \\
    --more
1 line

$ two
```

```toml title="c.toml"
y = 2
```

```python
not = "a file"
```
"""


def test_files_and_commands_come_in_order() -> None:
    first, one, two, last = actions_of(PAGE)
    assert first == NewFile("a/b.py", "x = 1\n")
    assert isinstance(one, Command)
    assert (one.text, one.output) == ("one \\\n    --more", "1 line\n\n")
    assert PAGE[one.start : one.end] == one.output
    assert isinstance(two, Command)
    assert (two.text, two.output) == ("two", "")
    assert last == NewFile("c.toml", "y = 2\n")


def test_a_block_that_begins_with_output_is_refused() -> None:
    with pytest.raises(AssertionError, match="begins with a command"):
        list(actions_of("```console\nsomething\n$ one\n```\n"))


def test_only_what_is_measured_may_differ() -> None:
    shown = "  completed   10\n\n  host ns an allocator call   700\n5 passed, 2 skipped in 1.20s\n"
    same = "  completed   10  \n  host ns an allocator call   11,000\n7 passed in 3.00s (0:00:03)\n"
    assert comparable(shown) == comparable(same)
    assert comparable(shown) != comparable(shown.replace("10", "11"))
    assert comparable(shown) != comparable(shown.replace("5 passed", "1 failed, 4 passed"))


def test_links_and_anchors_are_those_of_a_repository_page() -> None:
    text = (
        "## `a:b=on`, and *c*\n[x](y.md#z) [out](https://w) [here](#a)\n```\n[no](code.md)\n```\n"
    )
    assert [(link.path, link.anchor) for link in links_of(text)] == [("y.md", "z"), ("", "a")]
    assert anchors_of(text) == {"abon-and-c"}
