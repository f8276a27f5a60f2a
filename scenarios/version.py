"""Which code is running: the version of the distribution, and a digest of what simulates."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import allocator
import sim

SCHEMA_VERSION = 1
TWINPOOL_VERSION = version("twinpool")


@cache
def code_digest() -> str:
    """SHA-256 (hex) of the sources of `allocator` and `sim`.

    A kept run is only as good as the code that made it: whoever edits an allocator and repeats a
    command gets a new run, though the version has not changed.
    """
    sha = hashlib.sha256()
    for package in (allocator, sim):
        folder = Path(package.__path__[0])
        for source in sorted(folder.rglob("*.py")):
            sha.update(str(source.relative_to(folder)).encode() + source.read_bytes())
    return sha.hexdigest()
