"""Rules that a value of a config must keep, and what is said if it doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from pipeline.errors import UserError

__all__ = ["LARGEST", "either", "is_store", "require", "require_p_keep", "require_unset"]

LARGEST = 1e38
"""The largest rate or strength: what a float32 can hold."""

STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


def require(holds: bool, key: str, value: object, allowed: str, remedy: str = "") -> None:
    """Raise the error of one bad value: key, value, what is allowed and what to do."""
    if not holds:
        raise UserError(f"{key}={value}: must be {allowed}.{' ' + remedy if remedy else ''}")


def either(names: Sequence[str]) -> str:
    """Return the names but for "none" as people list them: "a, b or c"."""
    *others, last = [name for name in names if name != "none"]
    return f"{', '.join(others)} or {last}" if others else last


def require_unset(key: str, value: object, owner: str, remedy: str) -> None:
    """Refuse a key that the chosen option doesn't have, rather than ignore it silently."""
    if value is not None:
        raise UserError(f"{key}={value}: {owner} has no such setting. {remedy}")


def require_p_keep(key: str, value: float | None) -> None:
    """Refuse what is no probability of keeping a unit."""
    in_range = value is not None and 0 < value <= 1
    require(in_range, key, value, "a probability, 0 < p_keep ≤ 1", "1 keeps every unit.")


def is_store(uri: str) -> bool:
    """Return whether an address has the form of an MLflow tracking store's."""
    scheme, _, rest = uri.partition("://")
    if scheme.split("+")[0] not in STORES or not rest.strip("/"):
        return False
    try:
        parts = urlsplit(uri)
        return parts.port != 0 and (not scheme.startswith("http") or bool(parts.hostname))
    except ValueError:  # a port that is no number
        return False
