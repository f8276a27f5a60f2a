"""The way in: a file or a preset's name becomes a trace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from traces import readers, synthetic
from traces.archive import is_archive
from traces.archive import members as archive_members
from traces.columns import parse_columns, trace_from
from traces.content import read_head
from traces.csv_table import csv_columns, csv_parts
from traces.jsonl_table import json_keys, json_line_parts
from traces.options import Options, build, described, split_spec
from traces.reader import ArchiveReader
from traces.record import TraceError
from traces.registry import members
from traces.table import joined
from traces.wording import listed, nearest_file, nearest_first, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from traces.preset import Preset
    from traces.reader import TraceReader
    from traces.record import Trace
    from traces.table import Table

BY_COLUMNS = "columns"


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How to read a source.

    Attributes:
        format: A format's name; None sniffs the content.
        columns: `arrival=...,prompt=...,output=...,tenant=...` for any CSV or JSON Lines file.
        seed: Seed of a synthetic preset that names none itself.
    """

    format: str | None = None
    columns: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A format or preset for listings; `options` holds one `key=default: meaning` each."""

    name: str
    description: str
    source: str
    options: tuple[str, ...] = ()


def load_trace(source: str, options: TraceOptions | None = None) -> Trace:
    """Read a trace file, or generate a synthetic preset; a path that exists wins.

    Args:
        source: A path, or `NAME[:key=value,...]`.
        options: How to read it; None sniffs a file and seeds a preset with 0.

    Raises:
        TraceError: One sentence that names the file, the line and what to do.
    """
    chosen = options or TraceOptions()
    trace = _read_file(Path(source), chosen) if _exists(source) else _generate(source, chosen)
    trace.check_integrity()
    return trace


def known_formats() -> tuple[Known, ...]:
    """The file formats, and reading by `--columns`."""
    listed = [
        Known(
            each.name,
            each.description,
            each.source,
            described(type(each)) if isinstance(each, Options) else (),
        )
        for each in _readers().values()
    ]
    by_columns = Known(
        BY_COLUMNS,
        "any CSV or JSON Lines file",
        "traces.timestamps states how times are recognised",
        ("--columns arrival=NAME[:s|ms|us|ns],prompt=NAME,output=NAME[,tenant=NAME]",),
    )
    return (*listed, by_columns)


def known_presets() -> tuple[Known, ...]:
    """The synthetic presets with their options."""
    return tuple(
        Known(kind.name, kind.description, kind.source, described(kind))
        for kind in _presets().values()
    )


@cache
def _readers() -> Mapping[str, TraceReader]:
    return members(readers, "READER")


@cache
def _presets() -> Mapping[str, type[Preset]]:
    return members(synthetic, "PRESET")


def _exists(source: str) -> bool:
    try:
        return bool(source) and Path(source).exists()
    except (OSError, ValueError):
        return False


def _generate(source: str, options: TraceOptions) -> Trace:
    name = source.partition(":")[0].strip()
    if name not in _presets():
        near = nearest_file(source)
        meant = f" ({shown(near, most=200)} does)" if near else ""
        raise TraceError(
            f"{shown(source, most=200)} is no file that exists{meant} and no preset;"
            f" presets are {nearest_first(name, _presets())}"
        )
    if options.format or options.columns:
        raise TraceError(f"{source} is a preset: --format and --columns go with a file")
    kind = _presets()[name]
    return build(kind, split_spec(source)[1], {"seed": options.seed}).generate()


def _read_file(path: Path, options: TraceOptions) -> Trace:
    name, values = split_spec(options.format or "")
    if name not in {"", BY_COLUMNS, *_readers()}:
        known = nearest_first(name, [*_readers(), BY_COLUMNS])
        raise TraceError(f"unknown trace format {options.format!r}; the known ones are {known}")
    if options.columns is not None:
        if options.format not in {None, BY_COLUMNS}:
            raise TraceError(f"give --format {options.format} or --columns, not both")
        return _read_columns(path, options.columns)
    if options.format == BY_COLUMNS:
        raise TraceError("--format columns needs --columns arrival=...,prompt=...,output=...")
    reader = _readers()[name] if name else _sniffed(path)
    return _with_options(reader, values, options.seed).read(path)


def _with_options(reader: TraceReader, values: Mapping[str, str], seed: int) -> TraceReader:
    """A reader that draws takes options and the run's seed; most read what is there."""
    if isinstance(reader, Options):
        return cast("TraceReader", build(type(reader), values, {"seed": seed}))
    if values:
        raise TraceError(f"the format {reader.name} has no options; give --format {reader.name}")
    return reader


def _read_columns(path: Path, text: str) -> Trace:
    mapping = parse_columns(text)
    return trace_from(_parts(path, mapping.names), mapping)


def read_table(path: Path, names: Sequence[str]) -> Table:
    """Columns of a CSV or JSON Lines file, told by its first character, as cells of text.

    Raises:
        TraceError: See `traces.csv_table` and `traces.jsonl_table`; also far more rows than a log
            of requests has.
    """
    return joined(_parts(path, names))


def _parts(path: Path, names: Sequence[str]) -> Iterator[Table]:
    if read_head(path).lstrip().startswith("{"):
        return (part.table(names) for part in json_line_parts(path, names))
    return csv_parts(path, names)


def column_names(path: Path) -> list[str]:
    """The columns of a CSV file, or the keys of the first line of a JSON Lines file.

    Raises:
        TraceError: The file cannot be opened, or starts as no text does.
    """
    head = read_head(path)
    return json_keys(head) or csv_columns(head)


def _sniffed(path: Path) -> TraceReader:
    if is_archive(path):
        return _sniffed_archive(path)
    head = read_head(path)
    for reader in _readers().values():
        if reader.sniff(head):
            return reader
    found = listed(column_names(path))
    raise TraceError(
        f"{path} is in no known format ({', '.join(_readers())}); it starts with {found}: "
        "name its columns with --columns arrival=...,prompt=...,output=..."
    )


def _sniffed_archive(path: Path) -> TraceReader:
    for reader in _readers().values():
        if isinstance(reader, ArchiveReader) and any(archive_members(path, reader.sniff_member)):
            return reader
    raise TraceError(f"{path} is a tar archive of no known format; unpack it and give one file")
