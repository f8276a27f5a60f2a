"""Options that several commands take: each is described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", help="No progress and no notes on stderr.")]
MOST_JOBS = 1024
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_JOBS, help="Processes; as many as processors by default."),
]

ModelOption = Annotated[str, typer.Option(help="Model name, config.json or folder with one.")]
DeviceOption = Annotated[str, typer.Option(help="Device name; see `twinpool list devices`.")]
ProfileOption = Annotated[
    str | None,
    typer.Option(help="Measured step costs: a name in `twinpool list profiles`, or a file."),
]
MemoryOption = Annotated[
    float | None, typer.Option(help="Cache budget of a device, instead of deriving it.")
]
TpOption = Annotated[int, typer.Option(help="Devices that share the model.")]
KvDtypeOption = Annotated[str, typer.Option(help="auto, bf16, fp16 or fp8.")]
StateDtypeOption = Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")]
AllocatorsOption = Annotated[
    list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
]
SchedulerOption = Annotated[
    str, typer.Option(help="NAME[:key=value,...], then any +ADMISSION[:key=value,...].")
]
PreemptionOption = Annotated[str, typer.Option(help="recompute or swap[:key=...].")]
RouterOption = Annotated[
    str, typer.Option(help="NAME[:key=value,...]: spreads requests; see `twinpool list routers`.")
]

SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random, or the first.")]
TraceOption = Annotated[str, typer.Option(help="Trace file, or preset NAME[:key=value,...].")]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="Trace format, instead of sniffing it.")
]
ColumnsOption = Annotated[
    str | None, typer.Option(help="arrival=...,prompt=...,output=... of any CSV or JSONL.")
]
ArrivalsOption = Annotated[
    str | None, typer.Option(help="Arrival process for lengths, e.g. poisson:rate=5.")
]
LimitOption = Annotated[int | None, typer.Option(help="Keep the first N requests.")]
StartOption = Annotated[float, typer.Option(help="Leave out the first seconds of the trace.")]
DurationOption = Annotated[float | None, typer.Option(help="Keep this many seconds of it.")]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for the report, tables and runs; it resumes there.")
]


def names_of(texts: list[str]) -> tuple[str, ...]:
    """The names of an option that is repeated, or holds several separated by spaces."""
    return tuple(name for text in texts for name in text.split())
