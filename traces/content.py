"""Files become checked UTF-8 bytes: gzip undone, every failure one sentence."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from traces.record import TraceError

if TYPE_CHECKING:
    from pathlib import Path

# Enough for a first JSON line that carries a long prompt as text.
HEAD_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive; unpack it and give the file inside"),
    (b"BZh", "bzip2-compressed; unpack it or compress it with gzip"),
    (b"\xfd7zXZ", "xz-compressed; unpack it or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it or compress it with gzip"),
    (b"PAR1", "a Parquet file; write it out as CSV"),
    (b"\xff\xfe", "UTF-16 text; convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16 text; convert it to UTF-8"),
)
_TAR_MAGIC_AT = 257


def read_head(path: Path) -> str:
    """The first part of a file's text, gzip undone, for sniffing; not checked to its end.

    Raises:
        TraceError: The file cannot be opened, or starts as no text does.
    """
    raw = _raw_bytes(path, HEAD_BYTES)
    if raw.startswith(GZIP_MAGIC):
        raw = _gunzip_head(path, raw)
    _refuse_foreign(path, raw)
    return raw.removeprefix(UTF8_BOM).decode("utf-8", errors="replace")


def read_bytes(path: Path) -> bytes:
    """A file's whole content, gzip undone (told by content, not by name), known to be UTF-8.

    Raises:
        TraceError: Unreadable, empty, a broken gzip file, or not UTF-8 text.
    """
    raw = _raw_bytes(path, -1)
    if raw.startswith(GZIP_MAGIC):
        raw = _gunzip(path, raw)
    _refuse_foreign(path, raw)
    raw = raw.removeprefix(UTF8_BOM)
    _refuse_broken_text(path, raw)
    return raw


def _raw_bytes(path: Path, size: int) -> bytes:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise TraceError(f"{path} is {kind}; give a trace file")
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TraceError(f"{path} cannot be read: {reason}") from None


def _gunzip(path: Path, raw: bytes) -> bytes:
    try:
        return gzip.decompress(raw)
    except EOFError:
        raise TraceError(f"{path} is a gzip file that was cut short; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise TraceError(f"{path} is a damaged gzip file; fetch it again") from None


def _gunzip_head(path: Path, raw: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, HEAD_BYTES)
    except zlib.error:
        raise TraceError(f"{path} is a damaged gzip file; fetch it again") from None


def _refuse_foreign(path: Path, raw: bytes) -> None:
    if not raw.removeprefix(UTF8_BOM).strip():
        raise TraceError(f"{path} is empty; give a file that holds requests")
    for magic, what in _FOREIGN:
        if raw.startswith(magic):
            raise TraceError(f"{path} is {what}")
    if raw[_TAR_MAGIC_AT:].startswith(b"ustar"):
        raise TraceError(f"{path} is a tar archive; unpack it and give one trace file")


def _refuse_broken_text(path: Path, raw: bytes) -> None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line_at(raw, error.start)
        raise TraceError(f"{path}, line {line}: not UTF-8 text; convert it to UTF-8") from None
    if (start := raw.find(b"\x00")) >= 0:
        line = _line_at(raw, start)
        raise TraceError(f"{path}, line {line}: holds a zero byte; give a text file")


def _line_at(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1
