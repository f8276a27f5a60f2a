"""What an input may cost: processor time, time on the clock, and memory."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SECONDS = 5.0
"""Of processor time: a crowded machine does not make a reader hang."""

MOST_WAIT_SECONDS = 60.0
"""On the clock, for a reader that waits for what never comes."""

MOST_BYTES = 1 << 30


class HangError(BaseException):
    """A reader takes too long; no `except Exception` of a reader can swallow it."""


@contextmanager
def limited_time() -> Iterator[None]:
    """Raise HangError in the block once it has used up its time."""
    signal.signal(signal.SIGVTALRM, _stop)
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, MOST_WAIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory(most_bytes: int = MOST_BYTES) -> None:
    """Let this process have so much more than now; beyond that Python raises MemoryError.

    Counted is private memory that may be written, reserved address space is not.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    now = next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmData" in line)
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (now + most_bytes, most))


def _stop(number: int, frame: object) -> None:
    del number, frame
    raise HangError(f"over {MOST_SECONDS:g} s of processor time, or {MOST_WAIT_SECONDS:g} s in all")
