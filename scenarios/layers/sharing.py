"""How tensor-parallel devices share a count."""

from scenarios.errors import UserError


def share(what: str, count: int, tp: int) -> int:
    """Return one device's share of `count`; raise `UserError` where tp devices cannot share it."""
    if tp < 1 or count % tp:
        raise UserError(f"--tp {tp} cannot split {count} {what}: use a divisor of {count}")
    return count // tp
