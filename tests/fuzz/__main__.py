"""`python -m tests.fuzz --inputs 200000`: the long campaign; see docs/robustness.md.

Each target runs in a process of its own, one after the other, with its memory limited. A process
that dies is a finding too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.limits import limit_memory

if TYPE_CHECKING:
    from tests.fuzz.campaign import Tally

Counts = dict[str, Any]
PLAIN_MALLOC = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own allocator takes memory in pieces as large as the limit."""


def main() -> int:
    """Run the campaign; 1 if anything broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=10_000, help="in all, over the targets")
    parser.add_argument("--target", action="append", help="only this one; repeat it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--plain", action="store_true", help="without atheris: several times faster"
    )
    parser.add_argument("--out", type=Path, help="JSON of counts and findings")
    # What the child processes are told.
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        return _run_alone(chosen)
    found = _run_all(chosen)
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _say_total(found)
    return int(any(counts["findings"] for counts in found.values()))


def _run_all(chosen: argparse.Namespace) -> dict[str, Counts]:
    from tests.fuzz.target import known_targets  # noqa: PLC0415 - a child instruments it first

    known = known_targets()
    names = chosen.target or list(known)
    shares = sum(known[name].share for name in names)
    found = {}
    for name in names:
        inputs = -int(-chosen.inputs * known[name].share // shares)
        found[name] = _in_process(name, inputs, chosen)
        _say(name, found[name])
    return found


def _in_process(name: str, inputs: int, chosen: argparse.Namespace) -> Counts:
    """Run one target in a process, and read what it prints."""
    arguments = ["--alone", name, "--inputs", str(inputs), "--seed", str(chosen.seed)]
    arguments += ["--plain"] * chosen.plain + ["--scratch"]
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast_folder()) as scratch:
        ended = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "tests.fuzz", *arguments, scratch],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | PLAIN_MALLOC,
            check=False,
        )
    last = ended.stdout.decode().rpartition("\x1e")[2]
    if ended.returncode == 0 and last.startswith("{"):
        counts: Counts = json.loads(last)
        return counts
    said = ended.stderr.decode("utf-8", "replace")[-4000:]
    death = {"place": f"the process ended with {ended.returncode}", "trace": said, "input": ""}
    return {"inputs": 0, "read": 0, "refused": 0, "repeated": 0, "findings": [death]}


def _run_alone(chosen: argparse.Namespace) -> int:
    """What a child process does; the counts are the last thing on stdout."""
    is_guided = not chosen.plain and find_spec("atheris") is not None
    if is_guided:
        from tests.fuzz.guided import instrumented_targets, run_guided  # noqa: PLC0415 - as above

        targets = instrumented_targets()
    else:
        from tests.fuzz import target as targets  # noqa: PLC0415 - as above
    from tests.fuzz.campaign import run  # noqa: PLC0415 - as above

    folder = chosen.scratch / "files"
    folder.mkdir()
    prepared = targets.known_targets()[chosen.alone].prepare(folder)
    for example in prepared.seeds:
        prepared.feed(example)
    limit_memory()
    if is_guided:
        run_guided(prepared, chosen.inputs, chosen.seed, chosen.scratch / "corpus", _report)
    _report(run(prepared, chosen.inputs, chosen.seed))
    return 0


def _report(tally: Tally) -> None:
    sys.stdout.write("\x1e" + json.dumps(tally.to_json()))


def _fast_folder() -> str | None:
    """Memory instead of a disk, where there is some to be had as a file system."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a fresh folder in it


def _say(name: str, counts: Counts) -> None:
    parts = (f"{counts[key]:>8,} {key}" for key in ("inputs", "read", "refused"))
    print(f"{name:24}", *parts, f"{len(counts['findings']):>4} findings", flush=True)  # noqa: T201
    for finding in counts["findings"]:
        last = finding["trace"].strip().splitlines()[-1:] or [""]
        print("   ", finding["place"], "|", last[0][:200], "|", repr(finding["input"][:80]))  # noqa: T201


def _say_total(found: dict[str, Counts]) -> None:
    inputs = sum(counts["inputs"] for counts in found.values())
    findings = sum(len(counts["findings"]) for counts in found.values())
    print(f"{len(found)} targets, {inputs:,} inputs, {findings} findings")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
