"""Hydra's side of the configuration: the schema's registration, checked configs, error texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.choices import conf_dir, did_you_mean, options, project_root
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
        UserError: a value is out of its range, or two don't go together.
    """
    ours = copy(config)
    with open_dict(ours):
        ours.pop("hydra", None)
    checked: Any = OmegaConf.to_object(ours)
    assert isinstance(checked, Config)
    checked.root = str(Path(checked.root).expanduser().absolute())
    checked.data.root = str(Path(checked.data.root).expanduser().absolute())
    return checked


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for entry in fields(node):
        value = getattr(node, entry.name)
        if is_dataclass(value):
            yield from _keys(value, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name


def explain(error: Exception) -> str:
    """Return what a person needs to know of an error of CONFIG_ERRORS.

    An unknown key or option is answered with the nearest known one.
    """
    if isinstance(error, UserError):
        return str(error)
    causes = [error, *_causes(error)]
    text = "\n".join(dict.fromkeys(str(cause) for cause in causes))
    if option := re.search(r"Could not find '([\w/]+)/([^/']+)'", text):
        return _unknown_option(*option.groups())
    if override := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(override[1])
    if key := re.search(r"Key '([^']+)' (?:is )?not in '(\w+)'", text):
        return _unknown_key(key[1])
    return _bad_type(text) or text


def _causes(error: BaseException) -> Iterator[BaseException]:
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def _unknown_option(group: str, option: str) -> str:
    known = options(group)
    if not known:
        return f"{group}={option}: there is no {group} to choose from yet."
    return f"{group}={option}: must be one of {', '.join(known)}.{did_you_mean(option, known)}"


def _unknown_key(key: str) -> str:
    known = [*_keys(Config()), *groups()]
    same_name = [name for name in known if name.rpartition(".")[2] == key]
    hint = f" Did you mean {same_name[0]}?" if same_name else did_you_mean(key, known)
    return f"{key}: there is no such key.{hint} `python -m pipeline --cfg job` lists all keys."


def groups() -> list[str]:
    """Return the groups of conf/."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def _bad_type(text: str) -> str | None:
    """Explain a value of the wrong type; None if the text is about something else."""
    value = re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text)
    key = re.search(r"full_key: (\S+)", text)
    if not value or not key:
        return None
    kinds = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
    return f"{key[1]}={value[1]}: must be {kinds.get(value[2], value[2])}."
