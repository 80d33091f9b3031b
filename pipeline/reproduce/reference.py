"""The numbers that the problem set prints, read from `problem_set.yaml` and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.errors import UserError

__all__ = ["Reference", "WorkedExample", "read_reference"]

PROBLEM_SET = Path(__file__).with_name("problem_set.yaml")

Numbers = tuple[float, ...]

PAIR, MATRIX = (2,), (2, 2)

SHAPE: dict[str, Any] = {
    "sgd_network": {"test_size": (), "correct": (30,)},
    "worked_example": {
        **dict.fromkeys(("x", "target", "b1", "b2"), PAIR),
        **dict.fromkeys(("w1", "w2"), MATRIX),
        "published": {
            **dict.fromkeys(("z1", "a1", "z2", "a2", "delta2", "db2"), PAIR),
            **dict.fromkeys(("delta1", "db1", "delta0"), PAIR),
            **dict.fromkeys(("dw1", "dw2"), MATRIX),
            "cost": (),
        },
        "errata": dict.fromkeys(("delta1", "dw1", "db1", "delta0"), str),
    },
    "losses": {name: {"train_loss": (5,), "test_accuracy": (5,)} for name in ("mse", "ce", "nll")},
    "penalties": {"strength": (7,), "l1": (7,), "l2": (7,)},
    "dropout": {"p_keep": (7,), "test_accuracy": (7,)},
}
"""Every entry that the file must have: how many numbers it lists, () for a single one, or str."""


@dataclass(frozen=True)
class WorkedExample:
    """Problem 3.3: a 2-2-2 network and what is printed of its passes forward and back."""

    x: Numbers
    target: Numbers
    w1: tuple[Numbers, ...]
    b1: Numbers
    w2: tuple[Numbers, ...]
    b2: Numbers
    published: Mapping[str, Any]
    """Numbers, vectors or matrices by name: z1, a1, z2, a2, cost, delta2, dw2, db2, …"""
    errata: Mapping[str, str]
    """By the same names: why the printed value is wrong."""


@dataclass(frozen=True)
class Reference:
    """All that the problem set prints."""

    correct_of_epoch: tuple[int, ...]
    """Problem 1.3: images recognised, epoch by epoch."""
    test_size: int
    worked_example: WorkedExample
    losses: Mapping[str, Mapping[str, Numbers]]
    """By loss: "train_loss" and "test_accuracy" by epoch."""
    strengths: Numbers
    penalties: Mapping[str, Numbers]
    """By penalty: test accuracy for each of `strengths`."""
    p_keeps: Numbers
    dropout: Numbers
    """Test accuracy for each of `p_keeps`."""


def read_reference(path: Path = PROBLEM_SET) -> Reference:
    """Read the published numbers.

    Raises:
        UserError: an entry or a value is missing, or is one too many.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check(content, SHAPE, "", path)
    example, losses = content["worked_example"], content["losses"]
    return Reference(
        correct_of_epoch=tuple(content["sgd_network"]["correct"]),
        test_size=content["sgd_network"]["test_size"],
        worked_example=WorkedExample(**{key: _frozen(value) for key, value in example.items()}),
        losses={name: _frozen(curves) for name, curves in losses.items()},
        strengths=_frozen(content["penalties"]["strength"]),
        penalties={name: _frozen(content["penalties"][name]) for name in ("l1", "l2")},
        p_keeps=_frozen(content["dropout"]["p_keep"]),
        dropout=_frozen(content["dropout"]["test_accuracy"]),
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return tuple(_frozen(item) for item in cast("list[Any]", value))
    return value


def _check(found: Any, shape: Any, name: str, path: Path) -> None:
    """Compare what was found with SHAPE; name the first entry that is missing or extra."""
    if isinstance(shape, dict):
        wanted = cast("dict[str, Any]", shape)
        entries = cast("dict[str, Any]", found if isinstance(found, dict) else {})
        for problem, keys in (
            ("is missing", wanted.keys() - entries.keys()),
            ("is not an entry that a report uses", entries.keys() - wanted.keys()),
        ):
            if keys:
                raise UserError(f"{path}: {name}{min(keys)} {problem}.")
        for key, inner in wanted.items():
            _check(entries[key], inner, f"{name}{key}.", path)
    elif shape is str:
        if not isinstance(found, str):
            raise UserError(f"{path}: {name[:-1]} must be a text.")
    else:
        _check_numbers(found, shape, name[:-1], path)


def _check_numbers(found: Any, shape: tuple[int, ...], name: str, path: Path) -> None:
    if not shape:
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise UserError(f"{path}: {name} is {found!r}; it must be a number.")
        return
    values = cast("list[Any]", found if isinstance(found, list) else [])
    if len(values) != shape[0]:
        raise UserError(f"{path}: {name} has {len(values)} values; the text prints {shape[0]}.")
    for number, value in enumerate(values, start=1):
        _check_numbers(value, shape[1:], f"{name}, value {number}", path)
