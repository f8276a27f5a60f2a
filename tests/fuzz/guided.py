"""The same campaign guided by coverage: inputs that reach new lines are edited further.

It needs atheris, which instruments our modules and drives libFuzzer. Edits stay those of
`mutation`; what atheris adds is which input to edit next.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from tests.fuzz.campaign import Tally
from tests.fuzz.mutation import MOST_BYTES, Mutator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fuzz.target import Prepared

INSTRUMENTED = ("allocator", "scenarios", "sim", "traces")


def instrumented_targets() -> Any:  # noqa: ANN401 - a module
    """`tests.fuzz.target`, imported so that the lines of our packages are counted."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        found = import_module("tests.fuzz.target")
        found.known_targets()
    return found


def run_guided(
    prepared: Prepared, inputs: int, seed: int, corpus: Path, report: Callable[[Tally], None]
) -> NoReturn:
    """Feed so many inputs, report, and end the process: libFuzzer does not come back."""
    atheris: Any = import_module("atheris")
    corpus.mkdir(exist_ok=True)
    for number, example in enumerate(prepared.seeds):
        (corpus / str(number)).write_bytes(example)
    tally, mutator = Tally(), Mutator(seed, prepared.seeds)

    def feed(data: bytes) -> None:
        tally.feed(prepared, data)
        if tally.inputs >= inputs:
            report(tally)
            sys.stdout.flush()
            os._exit(0)

    def edit(data: bytes, most: int, number: int) -> bytes:
        # Half start at an example again: edits of edits end up refused for their first line.
        return mutator.mutate(data, most) if data and number % 2 else mutator.fresh()[:most]

    limits = ("-rss_limit_mb=0", "-timeout=0", f"-max_len={MOST_BYTES}", "-verbosity=0")
    beside = (
        f"-artifact_prefix={corpus.parent}/"  # else slow inputs land in whatever folder this is
    )
    arguments = [sys.argv[0], f"-seed={seed + 1}", "-runs=-1", *limits, beside, str(corpus)]
    atheris.Setup(arguments, feed, custom_mutator=edit)
    atheris.Fuzz()
    raise SystemExit("libFuzzer came back")
