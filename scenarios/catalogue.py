"""Reading a folder of TOML files, one named thing a file, where every figure says its source.

A file is a set of tables. Each holds figures that share one `source` (where they were read) and one
`verification` (`verified`, `unverified`, `assumed: ...`, `measured: ...`).
"""

import dataclasses
import difflib
import tomllib
import typing
from pathlib import Path

from scenarios.errors import UnknownNameError, UserError
from scenarios.text_file import read_text

_T = typing.TypeVar("_T")

MOST_BYTES = 1 << 20
MOST_LINE = 10_000
"""Characters; Python's parser takes quadratic time for keys of many parts."""
MOST_COUNT = 2**62
LEAST_NUMBER, MOST_NUMBER = 1e-12, 1e24
"""Sizes are bytes, rates are bytes or operations a second: beyond these nothing is built."""

_PROVENANCE_KEYS = ("source", "verification")
_KIND_NAMES = {
    int: "a positive whole number",
    float: "a positive number",
    str: "a text",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
    tuple[float, ...]: "a list of positive numbers",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Provenance:
    """Where the figures of one table come from and how far they were checked."""

    table: str
    source: str
    verification: str


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """One table of a file, which knows its place so that errors can name file and key."""

    file: Path
    name: str
    values: dict[str, object]

    def provenance(self) -> Provenance:
        """Return the table's source and verification status."""
        source, verification = (self.text(key) for key in _PROVENANCE_KEYS)
        return Provenance(self.name, source, verification)

    def text(self, key: str) -> str:
        """Return the text under `key`; raise `UserError` where it is missing or no text."""
        return typing.cast("str", self._checked(key, str))

    def build(self, kind: type[_T]) -> _T:
        """Make a dataclass of numbers, texts, flags and lists from the keys named like its fields.

        Raises:
            UserError: a key is missing, unknown, of the wrong type, or not positive.
        """
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(typing.cast("typing.Any", kind))
        self._refuse_other_keys({field.name for field in fields})
        wanted = [
            field.name
            for field in fields
            if field.name in self.values or field.default is dataclasses.MISSING
        ]
        return kind(**{name: self._checked(name, hints[name]) for name in wanted})

    def fault(self, key: str, complaint: str) -> UserError:
        """Return the error that names this file and `key`."""
        return UserError(f"{self.file.name}: [{self.name}] {key} {complaint}")

    def _refuse_other_keys(self, known: set[str]) -> None:
        for key in self.values:
            if key not in known and key not in _PROVENANCE_KEYS:
                raise self.fault(key, f"is not known here: use {', '.join(sorted(known))}")

    def _checked(self, key: str, kind: type) -> object:
        if key not in self.values:
            raise self.fault(key, f"is missing: give {_KIND_NAMES[kind]}")
        value = self.values[key]
        if not _fits(value, kind):
            raise self.fault(key, f"must be {_KIND_NAMES[kind]}, not {value!r}")
        if key.endswith("_fraction") and typing.cast("float", value) > 1:
            raise self.fault(key, f"must be at most 1, not {value!r}")
        return tuple(value) if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One TOML file of tables."""

    file: Path
    tables: dict[str, Table]

    def table(self, name: str) -> Table:
        """Return a table; raise `UserError` where the file has none of that name."""
        if name not in self.tables:
            raise UserError(f"{self.file.name}: the table [{name}] is missing: add it")
        return self.tables[name]

    def build(self, name: str, kind: type[_T]) -> _T:
        """Make `kind` from the table `name`."""
        return self.table(name).build(kind)

    def build_optional(self, name: str, kind: type[_T]) -> _T | None:
        """Make `kind` from the table `name`, or return none where the file has no such table."""
        return self.build(name, kind) if name in self.tables else None

    def refuse_other_tables(self, known: typing.Collection[str]) -> None:
        """Raise `UserError` where the file has a table of another name."""
        for name in self.tables:
            if name not in known:
                raise UserError(
                    f"{self.file.name}: the table [{name}] is not known: use"
                    f" {', '.join(difflib.get_close_matches(name, known, 3, 0) or known)}"
                )

    def provenance(self) -> tuple[Provenance, ...]:
        """Return the sources of every table, in the order of the file."""
        return tuple(table.provenance() for table in self.tables.values())


def known_names(folder: Path) -> tuple[str, ...]:
    """Return the names in a folder, sorted: the stems of its TOML files."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def find(folder: Path, kind: str, name: str) -> Path:
    """Return the file of `name`; raise `UnknownNameError` where there is none."""
    known = known_names(folder)
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return folder / f"{name}.toml"


def read(file: Path) -> Document:
    """Read a TOML file in which every top-level key is a table.

    Raises:
        UserError: the file cannot be read, is no TOML, or has a key outside the tables.
    """
    text = read_text(file, MOST_BYTES)
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > MOST_LINE:
            raise UserError(
                f"{file.name}:{number} is longer than {MOST_LINE:,} characters: break it"
            )
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{file.name} is not valid TOML: it nests too deep") from None
    except ValueError as error:  # also numbers of thousands of digits
        raise UserError(f"{file.name} is not valid TOML: {error}") from None
    for name, value in content.items():
        if not isinstance(value, dict):
            raise UserError(f"{file.name}: {name} must stand in a table, such as [model]")
    return Document(file, {name: Table(file, name, values) for name, values in content.items()})


def _fits(value: object, kind: type) -> bool:
    """Say whether a value has the type asked for; a flag is no number, and numbers are positive."""
    if typing.get_origin(kind) is tuple:
        part = typing.get_args(kind)[0]
        return isinstance(value, list) and bool(value) and all(_fits(one, part) for one in value)
    if kind is str:
        return isinstance(value, str) and bool(value.strip())
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and 0 < value <= MOST_COUNT
    return isinstance(value, int | float) and LEAST_NUMBER <= value <= MOST_NUMBER
