"""Microsoft Azure's traces of 2023 (times without a zone, 100 ns) and 2024 (with `+00:00`)."""

from traces.columns import ColumnMapping
from traces.reader import CsvReader

READER = CsvReader(
    name="azure",
    description="Azure LLM inference traces of 2023 and 2024: time, context and generated tokens",
    source="https://github.com/Azure/AzurePublicDataset (Splitwise, ISCA 2024)",
    columns=ColumnMapping(arrival="TIMESTAMP", prompt="ContextTokens", output="GeneratedTokens"),
)
