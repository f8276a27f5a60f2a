"""What `calibrate` measured: a cost table for one model on one device, and how well it fits."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.errors import UnknownNameError, UserError
from scenarios.text_file import parse_json, read_bytes
from sim.costs.profile import CostTable, LaunchCosts
from sim.costs.roofline import RemapCosts

if TYPE_CHECKING:
    from collections.abc import Mapping

PROFILE_SCHEMA = 1
MOST_BYTES = 64 << 20
MOST_NS = 1e15
"""Eleven days: of a step, a token or a call; errors in percent stay below as well."""
FOLDER = Path(__file__).parent / "profiles"
REMAPS = ("remap", "remap_beside")


@dataclass(frozen=True, slots=True)
class FitError:
    """How far the table is from what was measured, in percent of it.

    Attributes:
        median_pct: Half of the measured steps are closer.
        p95_pct: Nineteen of twenty are closer.
        held_out_median_pct: The median where each step is predicted by a fit that has not seen it.
        held_out_p95_pct: The 95th percentile of that.
    """

    median_pct: float
    p95_pct: float
    held_out_median_pct: float
    held_out_p95_pct: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A cost table with where it comes from.

    Attributes:
        name: Name of the file, without its ending.
        model: Name of the model.
        device: Name of the device, as the catalogue has it.
        measured_on: Product, driver and versions, by name.
        dtypes: Element types of KV and state.
        table: What steps and memory calls cost.
        fit_error: How well the table fits.
        digest: SHA-256 (hex) of the file's bytes.
    """

    name: str
    model: str
    device: str
    measured_on: dict[str, str]
    dtypes: dict[str, str]
    table: CostTable
    fit_error: FitError
    digest: str = ""

    def check_fits(self, model: str, device: str, tp: int) -> None:
        """Raise `UserError` unless it was measured for this model on this device."""
        if (model, device, tp) != (self.model, self.device, 1):
            raise UserError(
                f"profile {self.name} was measured for {self.model} on one {self.device}: name"
                f" these, instead of {model} on {tp} x {device}, or leave --profile out"
            )

    def to_json(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """The file's content; the evidence is what was measured, so that a fit can be repeated."""
        return {
            "schema": PROFILE_SCHEMA,
            "model": self.model,
            "device": self.device,
            "measured_on": self.measured_on,
            "dtypes": self.dtypes,
            "terms_ns": dict(self.table.terms),
            "remap": asdict(self.table.remap),
            "remap_beside": asdict(self.table.remap_beside),
            "copy_ns": self.table.copy_ns,
            "copied_byte_ns": self.table.copied_byte_ns,
            "launch": asdict(self.table.launch),
            "fit_error": asdict(self.fit_error),
            **evidence,
        }


def known_profiles() -> tuple[str, ...]:
    """The names of the profiles that come with the project, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def load_profile(source: str) -> Profile:
    """Read a profile by its name, or from a file that ends in .json.

    Raises:
        UnknownNameError: If there is no profile of that name.
        UserError: If the file cannot be read or is malformed; the message names file and key.
    """
    if source.endswith(".json"):
        return read_profile(Path(source))
    known = known_profiles()
    if not known:
        raise UserError(f"no profile {source!r}: none is stored, so name a file that ends in .json")
    if source not in known:
        raise UnknownNameError("profile (or file that ends in .json)", source, known)
    return read_profile(FOLDER / f"{source}.json")


def read_profile(file: Path) -> Profile:
    """Read a profile file; errors as in `load_profile`."""
    content = read_bytes(file, MOST_BYTES)
    values = parse_json(file, content)
    if not isinstance(values, dict) or values.get("schema") != PROFILE_SCHEMA:
        raise UserError(f"{file.name} is no profile of schema {PROFILE_SCHEMA}: calibrate anew")
    reader = _Reader(file.name, values)
    return Profile(
        name=file.stem,
        model=reader.text("model"),
        device=reader.text("device"),
        measured_on=reader.texts("measured_on"),
        dtypes=reader.texts("dtypes"),
        table=_read_table(reader),
        fit_error=FitError(**reader.numbers("fit_error", FitError.__slots__)),
        digest=hashlib.sha256(content).hexdigest(),
    )


def _read_table(reader: _Reader) -> CostTable:
    terms = reader.numbers("terms_ns")
    remap, beside = (RemapCosts(**reader.numbers(name, RemapCosts.__slots__)) for name in REMAPS)
    copy_ns, byte_ns = reader.number("copy_ns"), reader.number("copied_byte_ns")
    launch = LaunchCosts()
    if "launch" in reader.values:
        launch = LaunchCosts(**reader.numbers("launch", LaunchCosts.__slots__))
    try:
        return CostTable(tuple(terms.items()), remap, beside, copy_ns, byte_ns, launch)
    except ValueError as error:
        raise UserError(f"{reader.name}: terms_ns: {error}") from None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Values of a file, with its name for messages."""

    name: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise UserError(f"{self.name}: {key} must be a text")
        return value

    def texts(self, key: str) -> dict[str, str]:
        value = self.values.get(key)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise UserError(f"{self.name}: {key} must be a table of texts")
        return value

    def number(self, key: str) -> float:
        return self._checked(key, self.values.get(key))

    def numbers(self, key: str, names: tuple[str, ...] | None = None) -> dict[str, float]:
        value = self.values.get(key)
        if not isinstance(value, dict) or (names is not None and value.keys() != set(names)):
            wanted = "numbers" if names is None else f"{', '.join(names)}"
            raise UserError(f"{self.name}: {key} must be a table of {wanted}")
        return {name: self._checked(f"{key}.{name}", found) for name, found in value.items()}

    def _checked(self, key: str, value: object) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= MOST_NS:  # type: ignore[operator]
            raise UserError(
                f"{self.name}: {key} must be a number, 0 or above, up to {MOST_NS:g}, not {value!r}"
            )
        return float(value)  # type: ignore[arg-type]
