"""BurstGPT 1 to 3; the third inserts columns, so they are found by name.

Upstream documents failed requests as rows with 0 response tokens; they are dropped and counted.
"""

from traces.columns import ColumnMapping, ZeroRows
from traces.reader import CsvReader

READER = CsvReader(
    name="burstgpt",
    description="BurstGPT 1 to 3: seconds, request and response tokens; failed rows are dropped",
    source="https://github.com/HPMLL/BurstGPT (KDD 2025, doi 10.1145/3711896.3737413)",
    columns=ColumnMapping(
        arrival="Timestamp", prompt="Request tokens", output="Response tokens", unit="s"
    ),
    zero_rows=ZeroRows(
        output="failed requests (0 response tokens)", prompt="empty prompts (0 request tokens)"
    ),
)
