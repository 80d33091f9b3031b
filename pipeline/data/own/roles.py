"""What each column of a table is for, by the keys of `data`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.config.options import did_you_mean, listed
from pipeline.config.schema.data import DataConfig
from pipeline.data.own.opening import TableFile, shown
from pipeline.errors import UserError

__all__ = ["DROPPED", "INPUT", "SPLIT", "TARGET", "assign_roles"]

INPUT, TARGET, SPLIT, DROPPED = "input", "target", "split", "dropped"


def assign_roles(file: TableFile, data: DataConfig) -> dict[str, str]:
    """Return the role of each column, by its name.

    Raises:
        UserError: a key names a column that isn't there, names one twice, or contradicts another
            key; or no column is left.
    """
    assert data.target is not None
    lists = {
        f"data.{key}": names
        for key in ("columns", "drop", "categories")
        if (names := getattr(data, key)) is not None
    }
    owners = {"data.target": data.target}
    if data.split_column is not None:
        owners["data.split_column"] = data.split_column
    for key, names in {**lists, **{key: [name] for key, name in owners.items()}}.items():
        _check_known(file, key, names)
    _check_apart(owners, lists)
    roles = {name: _role(name, data) for name in file.names}
    for name in data.categories or []:
        if roles[name] != INPUT:
            raise UserError(
                f"data.categories names {shown(name)}, which data.columns or data.drop leaves out. "
                "Remove it there, or here."
            )
    if INPUT not in roles.values():
        raise UserError(
            f"{file.path}: no column is left to learn from. Name some in data.columns, or fewer in "
            "data.drop."
        )
    return roles


def _role(name: str, data: DataConfig) -> str:
    if name == data.target:
        return TARGET
    if name == data.split_column:
        return SPLIT
    is_wanted = data.columns is None or name in data.columns
    return INPUT if is_wanted and name not in (data.drop or []) else DROPPED


def _check_known(file: TableFile, key: str, names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if name not in file.names:
            raise UserError(
                f"{key}={name}: {file.path} has no such column, only {listed(file.names)}."
                f"{did_you_mean(name, file.names)}"
            )
        if times > 1:
            raise UserError(f"{key} names the column {shown(name)} {times} times. Once is enough.")


def _check_apart(owners: dict[str, str], lists: dict[str, list[str]]) -> None:
    """Refuse a column that two keys want for different ends."""
    if len(set(owners.values())) < len(owners):
        raise UserError(
            f"data.split_column={owners['data.target']}: is the target. Name the column that says "
            "train, val or test, or null."
        )
    for owner, name in owners.items():
        for key, names in lists.items():
            if name in names:
                raise UserError(
                    f"{key} names the column {shown(name)}, which is {owner}. Remove it from {key}."
                )
    for name in set(lists.get("data.columns", [])) & set(lists.get("data.drop", [])):
        raise UserError(f"data.columns and data.drop both name {shown(name)}. Choose one of them.")
