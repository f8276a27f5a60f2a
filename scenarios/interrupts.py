"""What stops a command from outside, and who shall not be stopped."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def ended_like_interrupted() -> AbstractContextManager[None]:
    """SIGTERM raises KeyboardInterrupt in the block, as Ctrl-C does: what is done is kept.

    Batch systems and containers stop a process like that.
    """
    return _handling(signal.SIGTERM, signal.default_int_handler)


def ignoring_interrupts() -> AbstractContextManager[None]:
    """Processes started meanwhile ignore interrupts for good, from their first instruction on.

    A worker that only ignored them once it runs our code would print a traceback if the user
    interrupted while it still imports.
    """
    return _handling(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _handling(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """A signal is handled like this in the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change how signals are handled
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
