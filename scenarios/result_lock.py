"""A result folder while a command writes to it: made if need be, and nobody else's."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from scenarios.whole_file import remove_partial_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".twinpool-lock"
"""A file that is there while a command writes to its folder; a killed one leaves it, unlocked."""

_BUSY = {errno.EACCES, errno.EAGAIN}


@contextmanager
def result_folder(folder: Path | None) -> Iterator[Path | None]:
    """The folder for results of a command, made if need be and locked in the block; None stays.

    The system frees a lock with its process, however that ends.

    Raises:
        UserError: It cannot be made or written to, or another process has it.
    """
    if folder is None:
        yield None
        return
    with own_folder(folder) as own:
        yield own


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The same for a folder that there is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
        remove_partial_files(folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"cannot write to {folder} ({reason}): name another --out") from None
    try:
        yield folder
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # still locked: nobody can have it meanwhile
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor of the lock file that holds its lock."""
    while True:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(lock, 20).decode("ascii", "replace")
            os.close(lock)
            if error.errno not in _BUSY:
                raise
            raise UserError(
                f"another twinpool writes to {folder} (process {owner}):"
                " wait for it to end, or name another --out"
            ) from None
        if _is_in_place(lock, folder):
            os.write(lock, str(os.getpid()).encode())
            return lock
        os.close(lock)


def _is_in_place(lock: int, folder: Path) -> bool:
    """Whether the file is still that of the folder: its last owner removes it at the end."""
    try:
        return os.path.samestat(os.fstat(lock), (folder / LOCK).stat())
    except FileNotFoundError:
        return False
