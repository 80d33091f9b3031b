"""Hydra's side of the configuration: the schema's registration, checked configs, error texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.choices import did_you_mean, options, project_root
from pipeline.config import Config
from pipeline.errors import UserError

__all__ = ["CONFIG_ERRORS", "explain", "register", "to_config"]

CONFIG_ERRORS = (UserError, HydraException, OmegaConfBaseException)
"""What composing and checking a config can raise."""


def register() -> None:
    """Make the schema and the default of `root` known to Hydra."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("project_root", lambda: str(project_root()), replace=True)


def to_config(config: DictConfig) -> Config:
    """Turn a composed config, with or without Hydra's own part, into a checked one.

    Paths become absolute.

    Raises:
        UserError: a key is unknown, a value is out of its range, or two don't go together.
    """
    ours = copy(config)
    with open_dict(ours):
        ours.pop("hydra", None)
    for key in _unknown_keys(ours, Config):
        raise UserError(_no_such_key(key))
    checked: Any = OmegaConf.to_object(ours)
    assert isinstance(checked, Config)
    checked.root = str(Path(checked.root).expanduser().absolute())
    checked.data.root = str(Path(checked.data.root).expanduser().absolute())
    return checked


def _unknown_keys(node: DictConfig, schema: type, prefix: str = "") -> Iterator[str]:
    """Find the keys that `+key=value` has added to the schema's."""
    known = get_type_hints(schema)
    for name in map(str, node):
        if name not in known:
            yield prefix + name
        elif is_dataclass(known[name]):
            yield from _unknown_keys(node[name], known[name], f"{prefix}{name}.")


def explain(error: Exception) -> str:
    """Return what a person needs to know of an error of CONFIG_ERRORS.

    An unknown key or option is answered with the nearest known one.
    """
    if isinstance(error, UserError):
        return str(error)
    text = "\n".join(dict.fromkeys(str(cause) for cause in _with_causes(error)))
    for pattern, describe in _DESCRIPTIONS:
        if found := re.search(pattern, text):
            return describe(*found.groups())
    return text


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _no_such_option(group: str, option: str) -> str:
    known = options(group)
    return f"{group}={option}: must be one of {', '.join(known)}.{did_you_mean(option, known)}"


def _no_such_key(key: str) -> str:
    """Explain an unknown key; `lr` alone is answered with optimizer.lr."""
    group, _, name = key.rpartition(".")
    in_groups = {top: _keys(kind) for top, kind in get_type_hints(Config).items()}
    known = in_groups.get(group) or ["experiment", *in_groups]
    hint = did_you_mean(name, known)
    elsewhere = [f"{top}.{name}" for top, keys in in_groups.items() if name in keys]
    if elsewhere:
        hint = f" Did you mean {' or '.join(elsewhere)}?"
    return f"{key}: there is no such key, only {', '.join(known)}.{hint}"


def _keys(kind: Any) -> list[str]:
    return list(get_type_hints(kind)) if is_dataclass(kind) else []


def _bad_type(value: str, kind: str, key: str) -> str:
    kinds = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
    return f"{key}={value}: must be {kinds.get(kind, kind)}."


def _not_a_list(key: str, value: str) -> str:
    return f"{key}={value}: must be a list. Say {key}=[{value}]."


def _many_values(key: str, values: str) -> str:
    return f"{key}={values}: is more than one value. To try each, sweep: put -m before it."


_DESCRIPTIONS: list[tuple[str, Callable[..., str]]] = [
    (r"Could not find '([\w/]+)/([^/']*)'", _no_such_option),
    (r"Could not override '([^']+)'", _no_such_key),
    (r"full_key: (\S+)(?s:.*)Key '[^']+' (?:is )?not in", _no_such_key),
    (r"Value '(.*)' of type '\w+' could not be converted to (\w+)\s+full_key: (\S+)", _bad_type),
    (r"override (\S+?)=(.*)\nInvalid value assigned: \w+ is not a ListConfig", _not_a_list),
    (r"Ambiguous value for argument '(\S+?)=(.*)'", _many_values),
]
"""How Hydra and OmegaConf say it, and how we do."""
