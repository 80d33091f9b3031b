"""What a config may have Hydra call: its plugins and this package's hooks, nothing else.

Hydra makes objects of what `_target_` names, and so does Python's logging of `()` and `class`. A
config file that somebody else wrote could thereby call anything; what is typed may do so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import wraps
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from pipeline.errors import UserError

__all__ = ["only_known_targets"]

CALLING_KEYS = ("_target_", "()", "class")

KNOWN = (
    "pipeline.sweep.hydra_callback.SweepCallback",
    "hydra._internal.core_plugins.",
    "hydra.experimental.callbacks.",
    "hydra_plugins.",
    "optuna.samplers.",
    "logging.StreamHandler",
    "logging.FileHandler",
    "colorlog.ColoredFormatter",
)
"""Names, and beginnings of names, that a config file may have called."""


def only_known_targets() -> None:
    """Have every config that Hydra composes in this process checked before anything is made."""
    original = ConfigLoaderImpl.load_configuration

    @wraps(original)
    def load(self: ConfigLoaderImpl, *args: Any, **kwargs: Any) -> DictConfig:
        config = original(self, *args, **kwargs)
        _check_targets(config)
        return config

    ConfigLoaderImpl.load_configuration = load


def _check_targets(config: DictConfig) -> None:
    """Refuse what a config would have called, unless it is known or was typed.

    Raises:
        UserError: naming the key and the value.
    """
    hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
    for key, target in _targets(hydra, "hydra"):
        typed = any(argument.endswith(f"={target}") for argument in sys.argv)
        if not typed and not str(target).startswith(KNOWN):
            raise UserError(
                f"{key}={target}: a config file can't have this called, only Hydra's plugins. If "
                "you trust it, type it on the command line."
            )


def _targets(node: object, path: str) -> Iterator[tuple[str, object]]:
    """Find what is called in a tree of dicts and lists, with its key in full."""
    if isinstance(node, list):
        for entry in cast("list[object]", node):
            yield from _targets(entry, path)
    if not isinstance(node, dict):
        return
    for key, value in cast("dict[object, object]", node).items():
        if key in CALLING_KEYS and isinstance(value, str):
            yield f"{path}.{key}", value
        yield from _targets(value, f"{path}.{key}")
