"""Tables of lengths without arrivals, as Sarathi-Serve and Vidur publish them."""

from traces.columns import ColumnMapping
from traces.reader import CsvReader

READER = CsvReader(
    name="lengths",
    description="Tables of prefill and decode tokens without arrivals: add an arrival process",
    source="https://github.com/microsoft/sarathi-serve and https://github.com/microsoft/vidur",
    columns=ColumnMapping(prompt="num_prefill_tokens", output="num_decode_tokens"),
    lacks=frozenset({"arrived_at"}),
)
