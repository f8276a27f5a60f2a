"""Processes of our own that do not outlive the one they work for, however that one ends."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

LOOK_S = 0.5
"""Seconds between two looks at who the parent is."""


@cache
def end_with(parent: int) -> None:
    """From now on this process ends soon after its parent, of that number, has.

    A process that is killed can tell nobody, and its workers would compute on for nothing.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)  # there is nobody to give results to
