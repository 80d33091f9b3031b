"""Hydra's side of the configuration: the schema's registration, and checked configs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.config.commands import overview
from pipeline.config.explain import CONFIG_ERRORS, explain, no_such_key, not_one_option
from pipeline.config.options import conf_dir, options, project_root
from pipeline.config.reference import reference
from pipeline.config.schema import Config
from pipeline.config.usual import check_usual
from pipeline.errors import UserError

__all__ = ["configure", "register", "to_config", "without_hydra"]


def register() -> None:
    """Make the schema, the default of `root` and the texts of the help known to Hydra."""
    ConfigStore.instance().store(name="schema", node=Config)
    resolvers = {
        "project_root": lambda: str(project_root()),
        "commands": overview,
        "reference": reference,
    }
    for name, resolve in resolvers.items():
        OmegaConf.register_new_resolver(name, resolve, replace=True)


def configure(overrides: Sequence[str]) -> Config:
    """Return the checked config that overrides make, outside of the command.

    Raises:
        UserError: they make none.
    """
    register()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return to_config(compose("config", overrides=list(overrides)))
    except CONFIG_ERRORS as error:
        raise UserError(explain(error)) from error


def to_config(config: DictConfig) -> Config:
    """Turn a composed config, with or without Hydra's own part, into a checked one.

    Paths become absolute.

    Raises:
        UserError: a key is unknown, a value is out of its range, or two don't go together.
    """
    _check_choices(config)
    ours = without_hydra(config)
    for key in _unknown_keys(ours, Config):
        raise UserError(no_such_key(key))
    checked: Any = OmegaConf.to_object(ours)
    assert isinstance(checked, Config)
    checked.root = str(Path(checked.root).expanduser().absolute())
    checked.data.root = str(Path(checked.data.root).expanduser().absolute())
    if checked.data.path is not None:
        checked.data.path = str(Path(checked.data.path).expanduser().absolute())
    return checked


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of the config less Hydra's part, which takes three times as long to copy."""
    if "hydra" not in config:
        return deepcopy(config)
    ours = deepcopy(config, {id(config.hydra): DictConfig({})})
    with open_dict(ours):
        ours.pop("hydra")
    return ours


@cache
def _fields(schema: type) -> dict[str, Any]:
    return get_type_hints(schema)


def _check_choices(config: DictConfig) -> None:
    """Refuse `loss=[mse,ce]`, of which Hydra silently takes the last, `~loss`, and `usual=NAME`."""
    choices: dict[str, Any] | None = OmegaConf.select(config, "hydra.runtime.choices")
    if choices is None:
        return
    for group, kind in _fields(Config).items():
        is_choice = is_dataclass(kind) and options(group)
        if is_choice and not isinstance(choices.get(group), str):
            raise UserError(not_one_option(group))
    check_usual(choices)


def _unknown_keys(node: DictConfig, schema: type, prefix: str = "") -> Iterator[str]:
    """Find the keys that `+key=value` has added to the schema's."""
    known = _fields(schema)
    for name in map(str, node):
        if name not in known:
            yield prefix + name
        elif is_dataclass(known[name]):
            yield from _unknown_keys(node[name], known[name], f"{prefix}{name}.")
