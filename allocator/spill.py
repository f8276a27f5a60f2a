"""Integers that leave memory in blocks: what grows with the length of a run goes to a file."""

from __future__ import annotations

import os
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from weakref import finalize

if TYPE_CHECKING:
    from array import array


class Spill:
    """Blocks of integers in a temporary file, which is made with the first of them.

    A block is read back as the bytes that it was written as; blocks may differ in size.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._ends = [0]  # byte at which each block ends, after the start of the first

    def __len__(self) -> int:
        """Blocks written."""
        return len(self._ends) - 1

    def write(self, block: array[int]) -> None:
        """Add a block."""
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as what spills
            finalize(self, self._file.close)
        self._file.seek(0, os.SEEK_END)
        block.tofile(self._file)
        self._ends.append(self._file.tell())

    def read(self, number: int) -> bytes:
        """A block as bytes.

        Raises:
            IndexError: If it was never written.
        """
        if self._file is None or not 0 <= number < len(self):
            raise IndexError(f"block {number} was never written")
        start, end = self._ends[number : number + 2]
        self._file.seek(start)
        return self._file.read(end - start)

    def clear(self) -> None:
        """Forget all blocks."""
        if self._file is not None:
            self._file.close()
        self._file, self._ends = None, [0]
