"""What is read back: measured logs, result folders of every command, tables and ledgers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.compare.comparison import CompareOptions, compare
from scenarios.compare.occupancy import OccupancyInput
from scenarios.folder_comparison.page import comparison_page
from scenarios.result_folder import ResultFolder
from scenarios.store import METADATA_KEY, kept_runs, load_run, read_kept, run_file
from scenarios.sweep_store import Ledger
from tests.fuzz.in_process import twinpool
from tests.fuzz.target import Prepared, Target
from tests.fuzz.targets.documents import SWEEP
from tests.unit.compare_case import Writing, log_of, save, served

if TYPE_CHECKING:
    from pathlib import Path

WHERE = ("--model", "nemotron-h-8b", "--device", "h200", "--memory-gib", "1")
FEW = "poisson:n=8,rate=4,prompt=40,output=6"
QUIET = ("--quiet", "--json")
COMMANDS = {
    "replay": ("replay", FEW, *WHERE, "--allocator", "avmp"),
    "capacity": ("capacity", *WHERE[:2], "--memory-gib", "20"),
    "sweep": ("sweep", "sweep.toml", "--jobs", "1"),
    "plan": (
        *("plan", *WHERE, "--trace", FEW, "--slo", "ttft_p99=9s", "--allocator", "avmp"),
        *("--seeds", "1", "--no-sensitivity", "--requests-per-run", "8", "--jobs", "1"),
        *("--tolerance", "1"),
    ),
}
TINY_SWEEP = (
    SWEEP.replace(b', "zamba2-7b"', b"")
    .replace(b"seeds = 2", b"seeds = 1")
    .replace(b"[0.5, 1]", b"[1]")
    .replace(b"replicas = 2", b"replicas = 1")
)


def _measured(folder: Path) -> Prepared:
    """A measured log beside a kept run."""
    case = served(8)
    run, log = save(folder / "run", log_of(case)), folder / "log"
    seeds = []
    for writing in (Writing(), Writing("ms", 10**18, as_jsonl=True), Writing("us", has_ids=False)):
        text = writing.write(folder / "seed", case, without=(3,)).read_text()
        names = (("t_in", "arrival"), ("t_1", "first_token"), ("t_n", "last_token"), ("rid", "id"))
        for short, long in names:
            unit = "" if long == "id" else f"_{writing.unit}"
            text = text.replace(short, f"{long}{unit}", text.count(short))
        for short, long in (("p", "prompt_tokens"), ("o", "output_tokens")):
            text = text.replace(f",{short},", f",{long},").replace(f",{short}\n", f",{long}\n")
            text = text.replace(f'"{short}"', f'"{long}"')
        seeds.append(text.encode())

    def read(data: bytes) -> None:
        log.write_bytes(data)
        json.dumps(compare(CompareOptions(run, log)).to_json(), allow_nan=False)

    return Prepared(tuple(seeds), read)


def _occupancy(folder: Path) -> Prepared:
    case = served(30)
    run = save(folder / "run", log_of(case))
    writing = Writing()
    log = writing.write(folder / "log.csv", case)
    file = folder / "occupancy"
    options = CompareOptions(run, log, None, writing.columns, OccupancyInput(file))

    def read(data: bytes) -> None:
        file.write_bytes(data)
        compare(options)

    end = float(case.last.max()) / 1e9
    rows = [f"{end * i / 8:.3f},{10 * i}" for i in range(9)]
    return Prepared(("\n".join(["time,pct", *rows]).encode(),), read)


def _folder_of(command: str) -> Target:
    """A result folder with one of its files changed; an input is a name and, below it, content."""

    def prepare(folder: Path) -> Prepared:
        (folder / "sweep.toml").write_bytes(TINY_SWEEP)
        for name in ("result", "same"):
            ended = twinpool((*COMMANDS[command], *QUIET, "--out", name), folder)
            assert ended.exit_code == 0, ended.stderr
        files = sorted((folder / "result").glob("*.json")) + sorted(
            (folder / "result").glob("*.pa*")
        )
        whole = {file.name: file.read_bytes() for file in files}

        def read(data: bytes) -> None:
            name, _, content = data.partition(b"\n")
            file = folder / "result" / name.decode("latin-1")
            if file.name not in whole:
                file = files[0]
            file.write_bytes(content)
            try:
                found = ResultFolder.open(folder / "result")
                found.page()
                comparison_page(found, ResultFolder.open(folder / "same"))
            finally:
                file.write_bytes(whole[file.name])

        seeds = tuple(name.encode() + b"\n" + content for name, content in whole.items())
        return Prepared(seeds, read)

    return Target(f"folder-of-{command}", prepare, 0.3)


def _kept_run(folder: Path) -> Prepared:
    """What a kept run says of itself, and its rows."""
    run = save(folder / "run", log_of(served(4)))
    file = run_file(run, "vllm")
    table = pq.read_table(file)
    about = json.loads(table.schema.metadata[METADATA_KEY])
    rows = [list(row.values()) for row in table.to_pylist()]

    def read(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        try:
            cells = json.loads(body)
            columns = [pa.array([row[i] for row in cells]) for i in range(len(cells[0]))]
            changed = pa.table(columns, names=table.column_names[: len(columns)])
        except Exception:  # noqa: BLE001 - no table at all: the old one, with another head
            changed = table
        pq.write_table(changed.replace_schema_metadata({METADATA_KEY: head}), file)
        load_run(run, "vllm", "digest")
        for path in kept_runs(run).values():
            read_kept(path)

    return Prepared((json.dumps(about).encode() + b"\n" + json.dumps(rows).encode(),), read)


def _ledger(folder: Path) -> Prepared:
    file = folder / "cells.jsonl"

    def read(data: bytes) -> None:
        file.write_bytes(data)
        Ledger(file).append([{"digest": "new", "error": None}])
        Ledger(file)

    return Prepared((b'{"digest": "a", "load": 1.0}\n{"digest": "b", "load": null}\n',), read)


TARGETS = (
    Target("measured-log", _measured, 0.1),
    Target("occupancy", _occupancy, 0.2),
    *(_folder_of(command) for command in COMMANDS),
    Target("kept-run", _kept_run, 0.5),
    Target("ledger", _ledger),
)
