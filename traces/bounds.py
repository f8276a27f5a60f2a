"""How much a trace may hold: what a day of the busiest service has, and a few GB of no machine.

A file that promises more is a mistake, or a small archive made to fill the memory of whoever opens
it. It is refused while it is read, so what was read before is all that memory ever holds.
"""

MOST_REQUESTS = 1 << 25
"""33,554,432; of 24 bytes each."""

MOST_DRAWN = 6 * 10**6
"""Requests that are drawn stream by stream and laid over each other, which takes more memory."""

MOST_TEXT_BYTES = 1 << 32
"""Of a table that is read in pieces, gzip undone."""

MOST_WHOLE_BYTES = 1 << 24
"""Of a text that is in memory at once, gzip undone."""

MOST_HEADER_BYTES = 1 << 20
"""Of the line that names the columns."""

MOST_LINE_BYTES = 1 << 26
"""Of a line or a JSON value; logs with whole prompts in a cell stay far below this."""

MOST_PREFIX_BLOCKS = 1 << 24
"""Block ids of all prompts together; of some 40 bytes each."""

MOST_TENANTS = 1 << 20
"""Different names."""
