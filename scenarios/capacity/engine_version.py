"""Releases of an engine, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scenarios.errors import UserError

_NUMBERS = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")


@dataclass(frozen=True, slots=True, order=True)
class EngineVersion:
    """Major, minor and patch; what follows them (rc1, post2) is passed over."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str) -> EngineVersion:
        """Read `0.24.0`, `v0.24` or `0.20.1rc1`.

        A release candidate counts as the release before: 0.20.1rc1 still has the rules of 0.20.0.

        Raises:
            UserError: It does not start with numbers.
        """
        match = _NUMBERS.match(text)
        if match is None:
            raise UserError(f"--engine-version {text} is no version: write it like 0.24.0")
        major, minor, patch = (int(part or 0) for part in match.groups())
        return cls(major, minor, patch - ("rc" in text[match.end() :] and patch > 0))
