"""The checked config of a job that differs only in plain values from one that is checked already.

Composing a job takes milliseconds, and a sweep of a thousand jobs that are all finished would
spend them on nothing but the jobs' identities.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from pipeline.config.compose import to_config, without_hydra
from pipeline.config.explain import CONFIG_ERRORS
from pipeline.config.schema import Config

__all__ = ["CheckedBase", "can_be_set_later"]

NEEDED_FIRST = ("root", "data.root", "data.path", "data.target")
"""Keys whose values are not taken as they are typed, or without which nothing can be checked."""


def can_be_set_later(override: Override) -> bool:
    """Return whether a plain key=value means the same on a config that is checked already."""
    key, text = override.key_or_group, str(override.input_line)
    return key not in NEEDED_FIRST and key.count(".") <= 1 and not re.search(r"\$\{|\?\?\?", text)


class CheckedBase:
    """A job that is checked, and the configs of those that set values of its own."""

    def __init__(self, composed: DictConfig) -> None:
        """Check the job.

        Raises:
            Exception: one of explain.CONFIG_ERRORS.
        """
        self._config = to_config(composed)
        self._scratch = without_hydra(composed)
        references = re.findall(r"\$\{(.*)\}", OmegaConf.to_yaml(self._scratch))
        self._referred = {word for text in references for word in re.findall(r"\w+", text)}
        self._values: dict[str, object] = {}

    def with_values(self, overrides: Sequence[Override]) -> Config | None:
        """Return the checked config with other values; None if this isn't the way to get it.

        Configs share the parts that don't differ.

        Args:
            overrides: plain key=value, with keys that the base has and that `can_be_set_later`.
        """
        changes: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        try:
            for override in overrides:
                group, _, name = override.key_or_group.rpartition(".")
                if name in self._referred:  # another value may be made from it
                    return None
                changes[group][name] = self._value(override)
            ours = changes.pop("", {})
            parts: dict[str, Any] = {
                group: replace(getattr(self._config, group), **values)
                for group, values in changes.items()
            }
            return replace(self._config, **parts, **ours)
        except (*CONFIG_ERRORS, TypeError):  # composing says it in Hydra's words
            return None

    def _value(self, override: Override) -> object:
        """Return a value in the type that the schema has for its key."""
        text = str(override.input_line)
        if text not in self._values:
            OmegaConf.update(self._scratch, override.key_or_group, override.value(), merge=True)
            value: object = OmegaConf.select(self._scratch, override.key_or_group)
            self._values[text] = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        return self._values[text]
