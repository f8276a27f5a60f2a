"""Whole command lines, a word a line: whatever is typed ends with 0 or 2, and is said."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from tests.fuzz.in_process import twinpool
from tests.fuzz.target import Prepared, Target
from tests.fuzz.targets.documents import CONFIGS
from tests.fuzz.targets.results import COMMANDS, TINY_SWEEP, WHERE

if TYPE_CHECKING:
    from pathlib import Path

SMALL = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:15:{i:02d}.5,{40 + i},{5 + i % 3}\n" for i in range(12)
)
SEEDS = {
    "replay": (
        *("replay", "small.csv", *WHERE, "--allocator", "avmp:batch=8", "--json", "--seed", "3"),
        *("--limit", "6", "--rate-scale", "2", "--start", "1", "--duration", "9", "--slo"),
        *("ttft=2s,tpot=100ms", "--engine-step", "exact", "--scheduler", "fcfs:max_seqs=64"),
        *("--preemption", "swap", "--replicas", "2", "--router", "least-loaded", "--kv-dtype"),
        *("fp8", "--state-dtype", "fp32", "--tp", "2", "--format", "azure", "--quiet"),
    ),
    "replay-files": (
        *("replay", "lengths.jsonl", "--columns", "prompt=p,output=o,tenant=t", "--arrivals"),
        *("poisson:rate=5", "--tenant", "ann:weight=2,max_seqs=1", *WHERE, "--allocator"),
        *("static:state_ratio=0.5", "--scheduler", "fair+queue-limit:max_waiting=9", "--out", "o"),
    ),
    "capacity": (
        *("capacity", "--model", "config.json", "--engine", "vllm", "--device", "h200", "--tp"),
        *("1", "--kv-dtype", "fp8", "--gpu-memory-utilization", "0.9", "--max-model-len", "8192"),
        *("--max-num-seqs", "128", "--mamba-cache-mode", "align", "--block-size", "16"),
        *("--num-speculative-tokens", "2", "--engine-version", "0.24.0", "--compare"),
        *("sglang,avmp,two-ended", "--trace", "small.csv", "--json"),
    ),
    "capacity-sglang": (
        *("capacity", "--model", "nemotron-h-8b", "--engine", "sglang", "--memory-gib", "20"),
        *("--mamba-full-memory-ratio", "0.9", "--max-running-requests", "64", "--radix-cache"),
        *("extra_buffer", "--page-size", "64", "--unified-memory", "--out", "o"),
    ),
    "sweep": (*("sweep", "sweep.toml", "--jobs", "1", "--limit-cells", "1", "--out", "s"),),
    "plan": (*COMMANDS["plan"], "--target-rps", "9", "--price-per-hour", "2.5", "--stretch"),
    "compare": (
        *("compare", "kept", "log.csv", "--columns", "arrival=a,ttft=b:ms,e2e=c,output=d"),
        *("--allocator", "avmp", "--occupancy", "pool.csv", "--occupancy-columns", "time=a,pct=b"),
        *("--json", "--out", "c"),
    ),
    "report": ("report", "kept", "kept", "--out", "r", "--no-png", "--json"),
    "list": ("list", "allocators", "--json"),
    "calibrate": ("calibrate", "--model", "nemotron-h-8b", "--out", "p.json", "--device", "h200"),
    "validate": (
        *("validate", "--model", "nemotron-h-8b", "--profile", "nemotron-h-8b-h200", "--trace"),
        *("small.csv", "--allocator", "avmp", "--limit", "3", "--out", "v"),
    ),
    "reproduce": ("reproduce", "avmp", "--list-fixes", "--sweep", "headline", "--fix", "all"),
}
NO_DEVICE = ("CUDA", "torch")
"""Words of the sentence that ends a command where there is no device, or no torch."""


def _target(name: str, words: tuple[str, ...]) -> Target:
    def prepare(folder: Path) -> Prepared:
        _write_files(folder)
        keep = set(folder.iterdir())

        def read(data: bytes) -> None:
            typed = data.decode("utf-8", "surrogateescape").replace("\0", "").split("\n")
            if _runs_long(typed):
                return
            try:
                _judge(typed, folder)
            finally:
                for path in set(folder.iterdir()) - keep:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

        return Prepared(("\n".join(words).encode(),), read)

    return Target(f"cli-{name}", prepare, 0.2 if name in {"replay", "plan", "sweep"} else 0.3)


def _judge(typed: list[str], folder: Path) -> None:
    """Raise what the command line has said, as a reader would have; or what is wrong with it."""
    ended = twinpool(typed, folder)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert "the run failed" not in ended.stderr, ended.stderr
    assert ended.exit_code in {0, 2}, f"exit code {ended.exit_code}: {ended.stderr}"
    if any(word in ended.stderr for word in NO_DEVICE):
        return  # everything before the device was right
    if ended.exit_code:
        raise UserError(ended.stderr.removesuffix("\n").removeprefix("twinpool: "))
    if ended.stdout.startswith("{"):
        json.loads(ended.stdout)


def _runs_long(typed: list[str]) -> bool:
    """Whether a command does more than is fuzzed here: a whole evaluation, or several processes."""
    command = typed[0]
    if command == "reproduce":
        return "--list-fixes" not in typed
    if command in {"plan", "sweep"}:
        few = {"plan": COMMANDS["plan"], "sweep": SEEDS["sweep"]}[command]
        return not set(few) - {"--slo", "--json"} <= set(typed)
    return (
        command == "replay" and sum(word.count("avmp") + word.count("static") for word in typed) > 1
    )


def _write_files(folder: Path) -> None:
    (folder / "small.csv").write_text(SMALL)
    lines = [{"p": 30 + i, "o": 4, "t": "ann" if i % 2 else "<b>"} for i in range(9)]
    (folder / "lengths.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.json").write_text(json.dumps(CONFIGS[1]))
    (folder / "sweep.toml").write_bytes(TINY_SWEEP)
    rows = [f"{i}.5,200,{i + 2},{5 + i % 3}" for i in range(12)]
    (folder / "log.csv").write_text("\n".join(["a,b,c,d", *rows]) + "\n")
    (folder / "pool.csv").write_text("a,b\n0.5,1\n3,9\n9,2\n")
    ended = twinpool((*COMMANDS["replay"], "--out", "kept", "--quiet"), folder)
    assert ended.exit_code == 0, ended.stderr


TARGETS = tuple(_target(name, words) for name, words in SEEDS.items())
