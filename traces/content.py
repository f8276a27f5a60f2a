"""Files become checked UTF-8 bytes, piece by piece: gzip undone, every failure one sentence."""

from __future__ import annotations

import codecs
import gzip
import zlib
from typing import TYPE_CHECKING

from traces.bounds import MOST_LINE_BYTES, MOST_TEXT_BYTES, MOST_WHOLE_BYTES
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Enough for a first JSON line that carries a long prompt as text.
HEAD_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
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
    raw = _first_bytes(path, HEAD_BYTES)
    if raw.startswith(GZIP_MAGIC):
        raw = _gunzip_head(path, raw)
    if not raw.removeprefix(UTF8_BOM).strip():
        raise _empty(path)
    _refuse_foreign(path, raw)
    return raw.removeprefix(UTF8_BOM).decode("utf-8", errors="replace")


def read_bytes(path: Path) -> bytes:
    """A file's whole content; see `pieces`."""
    return b"".join(pieces(path, MOST_WHOLE_BYTES))


def pieces(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> Iterator[bytes]:
    """A file's content in order, gzip undone (told by content, not by name), known to be UTF-8.

    Args:
        path: The file.
        most_bytes: What is more is refused, so that a small gzip file cannot fill the memory.

    Raises:
        TraceError: Unreadable, empty, too long, a broken gzip file, or not UTF-8 text; where it
            was found, so what came before has been given out.
    """
    check = _TextCheck(path, most_bytes)
    for raw in _raw_pieces(path):
        if check.num_bytes == 0:
            _refuse_foreign(path, raw)
        yield check.checked(raw)
    check.ended()


def texts(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> Iterator[str]:
    """The same as texts; no character is cut in two."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces(path, most_bytes):
        yield decoder.decode(piece)


def lines(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that holds anything but blanks; see `pieces`.

    Raises:
        TraceError: Likewise; also a line beyond `MOST_LINE_BYTES`.
    """
    number, rest = 0, b""
    for piece in pieces(path, most_bytes):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            if line.strip(b" \t\r"):
                yield number, line.decode()
        if len(rest) > MOST_LINE_BYTES:
            raise TraceError(f"{path}, line {number + 1}: longer than {MOST_LINE_BYTES >> 20} MiB")
    if rest.strip(b" \t\r"):
        yield number + 1, rest.decode()


class _TextCheck:
    """Lets pieces of UTF-8 text through, and counts them."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._num_lines = 0
        self._is_blank = True
        self.num_bytes = 0

    def checked(self, raw: bytes) -> bytes:
        """A piece, without the mark that some put before UTF-8."""
        if self.num_bytes + len(raw) > self._most_bytes:
            raise TraceError(
                f"{self._path} holds more than {self._most_bytes >> 20:,} MiB of text;"
                " give a part of it"
            )
        piece = raw if self.num_bytes else raw.removeprefix(UTF8_BOM)
        self.num_bytes += len(raw)
        self._refuse_broken(piece)
        self._is_blank = self._is_blank and not piece.strip()
        self._num_lines += piece.count(b"\n")
        return piece

    def ended(self) -> None:
        """Raise TraceError if nothing but blanks came, or half a character at the end."""
        if self._is_blank:
            raise _empty(self._path)
        self._refuse_broken(b"", is_last=True)

    def _refuse_broken(self, piece: bytes, *, is_last: bool = False) -> None:
        try:
            self._decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            line = self._num_lines + error.object.count(b"\n", 0, error.start) + 1
            where = f"{self._path}, line {line}"
            raise TraceError(f"{where}: not UTF-8 text; convert it to UTF-8") from None
        if (start := piece.find(b"\x00")) >= 0:
            line = self._num_lines + piece.count(b"\n", 0, start) + 1
            raise TraceError(f"{self._path}, line {line}: holds a zero byte; give a text file")


def _raw_pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces, gzip undone."""
    is_packed = _first_bytes(path, len(GZIP_MAGIC)) == GZIP_MAGIC
    try:
        with gzip.open(path) if is_packed else path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except EOFError:
        raise TraceError(f"{path} is a gzip file that was cut short; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise TraceError(f"{path} is a damaged gzip file; fetch it again") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _first_bytes(path: Path, size: int) -> bytes:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise TraceError(f"{path} is {kind}; give a trace file")
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> TraceError:
    return TraceError(f"{path} cannot be read: {error.strerror or type(error).__name__}")


def _empty(path: Path) -> TraceError:
    return TraceError(f"{path} is empty; give a file that holds requests")


def _gunzip_head(path: Path, raw: bytes) -> bytes:
    """What the first bytes of a gzip file hold, of all members that begin in them."""
    head = b""
    try:
        while raw.startswith(GZIP_MAGIC) and len(head) < HEAD_BYTES:
            member = zlib.decompressobj(wbits=31)
            head += member.decompress(raw, HEAD_BYTES - len(head))
            raw = member.unused_data
    except zlib.error:
        raise TraceError(f"{path} is a damaged gzip file; fetch it again") from None
    return head


def _refuse_foreign(path: Path, raw: bytes) -> None:
    for magic, what in _FOREIGN:
        if raw.startswith(magic):
            raise TraceError(f"{path} is {what}")
    if raw[_TAR_MAGIC_AT:].startswith(b"ustar"):
        raise TraceError(f"{path} is a tar archive; unpack it and give one trace file")
