"""Vidur's request traces: seconds from the first request and token counts."""

from traces.columns import ColumnMapping
from traces.reader import CsvReader

READER = CsvReader(
    name="vidur",
    description="Vidur request traces: seconds since the first request, prefill and decode tokens",
    source="https://github.com/microsoft/vidur (MLSys 2024)",
    columns=ColumnMapping(
        arrival="arrived_at", prompt="num_prefill_tokens", output="num_decode_tokens", unit="s"
    ),
)
