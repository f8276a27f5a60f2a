"""Text files of the user, read whole: bounded, of UTF-8, and every failure one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scenarios.errors import UserError

MOST_RESULT_BYTES = 1 << 30


def is_there(text: str) -> bool:
    """Whether a text names a file or folder; False too where no file could have such a name."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def read_bytes(file: Path, most_bytes: int) -> bytes:
    """A file's content.

    Raises:
        UserError: It cannot be read, is no regular file, or is longer than such a file can be.
    """
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{file} cannot be read: it is no regular file")
        if file.exists() and file.stat().st_size > most_bytes:
            raise UserError(f"{file} is larger than {most_bytes >> 20} MiB: it is no file of ours")
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None


def read_text(file: Path, most_bytes: int) -> str:
    """A file's content as text; errors as in `read_bytes`, and where it is not UTF-8."""
    try:
        return read_bytes(file, most_bytes).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file} cannot be read: it is not UTF-8 text") from None


def parse_json(file: Path, text: str | bytes) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """What a JSON text of a file says.

    Raises:
        UserError: It is no JSON, nests too deep, or has numbers of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{file} is not valid JSON: it nests too deep") from None
    except ValueError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None


def read_facts(file: Path) -> dict[str, Any]:
    """The JSON object that a command left in its result folder.

    Raises:
        UserError: It is not what a command writes.
    """
    try:
        facts = parse_json(file, read_text(file, MOST_RESULT_BYTES))
    except UserError as error:
        raise UserError(f"{file} is damaged: run the command again ({error})") from None
    if not isinstance(facts, dict):
        raise UserError(f"{file} is damaged: run the command again")
    return facts
