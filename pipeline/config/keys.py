"""A config as one flat table, under the dotted keys that people type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, cast

from pipeline.config.schema import Config

__all__ = ["plain"]


def plain(config: Config) -> dict[str, Any]:
    """Return the config flat, under its own dotted keys, without the keys that are not set.

    Lists are the config's own, not copies.
    """
    return {key: value for key, value in _flatten(vars(config)) if value is not None}


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if is_dataclass(value):  # not by asdict: copying takes ten times as long
            yield from _flatten(vars(value), f"{prefix}{key}.")
        elif isinstance(value, dict):
            yield from _flatten(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield prefix + key, value
