"""Members of a tar archive as bytes, read in one pass, never written anywhere."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Protocol, cast

from traces.content import GZIP_MAGIC
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK_BYTES = 512
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
MAX_BYTES = 1 << 30
"""Of an archive when unpacked; ServeGen's largest has some 60 MB. A bomb is stopped there."""

MAX_MEMBER_BYTES = 1 << 26


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Limited:
    """A stream that ends in an error once too much has come out of it."""

    def __init__(self, path: Path, stream: _Readable) -> None:
        self._path, self._stream = path, stream
        self._left_bytes = MAX_BYTES

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        # A header may ask for any size, and is read at once.
        if size > min(self._left_bytes, MAX_MEMBER_BYTES):
            raise TraceError(f"{self._path} unpacks to more than a trace archive holds")
        self._left_bytes -= size
        return self._stream.read(size)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, gzip undone; False if it cannot be told."""
    if not path.is_file():
        return False  # to open a pipe would wait for a writer
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(BLOCK_BYTES)[TAR_MAGIC_AT:].startswith(TAR_MAGIC)
    except (OSError, EOFError, zlib.error):
        return False


def members(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular file in the archive whose name is wanted.

    Nothing is unpacked to disk, so names that climb out of a folder, links and devices can do no
    harm; only regular files are read.

    Raises:
        TraceError: A damaged archive, or one that unpacks to far more than a trace.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            limited = cast("IO[bytes]", _Limited(path, stream))  # tarfile only reads it
            with tarfile.open(fileobj=limited, mode="r|") as archive:
                for member in archive:
                    if member.isreg() and is_wanted(member.name):
                        yield member.name, _content(path, archive, member)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path} is no tar archive that can be read: {error}") from None


def _content(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_MEMBER_BYTES:
        raise TraceError(f"{path}: {member.name} unpacks to more than a trace archive holds")
    stream = archive.extractfile(member)  # one that is cut short raises when it is read
    return b"" if stream is None else stream.read()
