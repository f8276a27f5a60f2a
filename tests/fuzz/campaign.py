"""One target, many inputs: what was refused, what was read, and what broke."""

from __future__ import annotations

import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.limits import HangError, limited_time
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import REFUSALS, check_sentence

if TYPE_CHECKING:
    from tests.fuzz.target import Prepared

ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Finding:
    """An input that a reader cannot deal with.

    Attributes:
        place: The error, and the last line of ours that it passed.
        trace: The whole traceback.
        input: What was read.
    """

    place: str
    trace: str
    input: bytes


@dataclass
class Tally:
    """What became of the inputs of a target.

    Attributes:
        read: Inputs that were valid after all.
        refused: Inputs that were refused in one sentence.
        findings: What broke, one a place.
        repeated: Further inputs that broke at a place that is known.
    """

    read: int = 0
    refused: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    repeated: int = 0

    @property
    def inputs(self) -> int:
        """All of them."""
        return self.read + self.refused + len(self.findings) + self.repeated

    def feed(self, prepared: Prepared, data: bytes) -> None:
        """Feed an input, and count what becomes of it."""
        try:
            try:
                with limited_time():
                    prepared.feed(data)
            except REFUSALS as refusal:
                check_sentence(refusal)
                self.refused += 1
            else:
                self.read += 1
        except (Exception, HangError) as error:  # noqa: BLE001 - whatever it is, it is a finding
            self._keep(Finding(_place(error), traceback.format_exc(), data))

    def to_json(self) -> dict[str, Any]:
        """Counts and findings, inputs as Latin-1 texts."""
        found = [
            {**asdict(finding), "input": finding.input.decode("latin-1")}
            for finding in self.findings.values()
        ]
        counts = {"inputs": self.inputs, "read": self.read, "refused": self.refused}
        return {**counts, "repeated": self.repeated, "findings": found}

    def _keep(self, finding: Finding) -> None:
        if finding.place in self.findings:
            self.repeated += 1
        else:
            self.findings[finding.place] = finding


def run(prepared: Prepared, inputs: int, seed: int) -> Tally:
    """Feed edits of the seeds; the same whenever it is done."""
    tally = Tally()
    mutator = Mutator(seed, prepared.seeds)
    for _ in range(inputs):
        tally.feed(prepared, mutator.fresh())
    return tally


def _place(error: BaseException) -> str:
    """The kind of an error, and where it left our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(frame.filename)]
    if not ours:
        return type(error).__name__
    last = ours[-1]
    return f"{type(error).__name__} at {last.filename.removeprefix(ROOT)}:{last.lineno}"


def _is_ours(file: str) -> bool:
    return file.startswith(ROOT) and "/.venv/" not in file and "/tests/fuzz/" not in file
