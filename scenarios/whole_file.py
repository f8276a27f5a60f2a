"""Files that appear whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scenarios.errors import CannotWriteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTIAL = ".partial"
"""How the names of files end that are not whole yet; what a kill leaves of them is removed."""


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A fresh, empty file to write to in the block; at its end it takes the place of the target.

    A symbolic link in its place is replaced, not followed.

    Raises:
        CannotWriteError: The file cannot be written; the target is what it was.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWriteError.of(target, error) from error


def write_text(target: Path, text: str) -> None:
    """Write a text as UTF-8; see `appearing`.

    Halves of surrogates, as the names of files that are no UTF-8 have them, are written escaped.
    """
    with appearing(target) as partial:
        partial.write_bytes(text.encode("utf-8", "backslashreplace"))


def remove_partial_files(folder: Path) -> None:
    """Remove what a process left that was killed; nobody else may write to the folder."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)
