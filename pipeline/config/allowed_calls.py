"""A config file can't run code: all that it may have called is Hydra's plugins and our own hooks.

Hydra calls what the key `_target_` names, and Python's logging what `()` and `class` name, so a
config file that somebody else wrote could call anything. What a user types may do so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import wraps
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from pipeline.errors import UserError

__all__ = ["refuse_other_calls"]

CALLING_KEYS = ("_target_", "()", "class")

KNOWN = (
    "pipeline.sweep.hydra_callback.SweepCallback",
    "hydra._internal.core_plugins.",
    "hydra.experimental.callbacks.",
    "hydra_plugins.",
    "logging.StreamHandler",
    "logging.FileHandler",
    "colorlog.ColoredFormatter",
)
"""What a config file may call: whole names, and beginnings of names."""


def refuse_other_calls() -> None:
    """Let Hydra refuse, from now on, every config that would call what isn't allowed.

    The error comes when the config is composed, before anything is called.
    """
    original = ConfigLoaderImpl.load_configuration

    @wraps(original)
    def load(self: ConfigLoaderImpl, *args: Any, **kwargs: Any) -> DictConfig:
        config = original(self, *args, **kwargs)
        _check_calls(config)
        return config

    ConfigLoaderImpl.load_configuration = load


def _check_calls(config: DictConfig) -> None:
    """Refuse what a config would have called, unless it is known or was typed.

    Raises:
        UserError: naming the key and the value.
    """
    hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
    for key, called in _calls(hydra, "hydra"):
        typed = any(argument.endswith(f"={called}") for argument in sys.argv)
        if not typed and not str(called).startswith(KNOWN):
            raise UserError(
                f"{key}={called}: a config file can't have this called, only Hydra's plugins. If "
                "you trust it, type it on the command line."
            )


def _calls(node: object, path: str) -> Iterator[tuple[str, object]]:
    """Find what is called in a tree of dicts and lists, with its key in full."""
    if isinstance(node, list):
        for entry in cast("list[object]", node):
            yield from _calls(entry, path)
    if not isinstance(node, dict):
        return
    for key, value in cast("dict[object, object]", node).items():
        if key in CALLING_KEYS and isinstance(value, str):
            yield f"{path}.{key}", value
        yield from _calls(value, f"{path}.{key}")
