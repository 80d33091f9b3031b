"""Composing the jobs of a sweep as Hydra does, but quickly.

Hydra composes a job in 60 ms. The jobs of a grid differ mostly in numbers, and those can be set on
a copy of a job that has the same choices.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, ListConfig, OmegaConf

from pipeline.config.compose import to_config
from pipeline.config.explain import CONFIG_ERRORS
from pipeline.config.quick_check import CheckedBase, can_be_set_later
from pipeline.config.schema import Config

__all__ = ["Composer", "asked", "grid_jobs"]


class Composer:
    """Composes and checks the jobs of one sweep."""

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        """Start with nothing composed.

        Args:
            loader: Hydra's own.
            sweep: the config of the sweep itself; jobs take its Hydra overrides and its resolved
                values, such as the time that it started.
        """
        self._loader = loader
        self._sweep = sweep
        self._parser = OverridesParser.create()
        self._parse = cache(self._parser.parse_override)
        self._is_group = cache(self._find_group)
        self._is_leaf = cache(self._find_leaf)
        self._bases: dict[tuple[str, ...], bytes] = {}
        self._checked_base = cache(self._check_base)
        self._checked: dict[tuple[str, ...], Config] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return what Hydra's `load_sweep_config` returns, or raise what it raises."""
        try:
            config = self._compose_on_copy(overrides)
        except CONFIG_ERRORS:  # the full composition says it in Hydra's words
            config = None
        if config is None:
            return self._loader.load_sweep_config(self._sweep, list(overrides))
        OmegaConf.copy_cache(self._sweep, config)
        return config

    def check(self, overrides: Sequence[str]) -> Config:
        """Return a job as checked, and keep it.

        Raises:
            Exception: one of explain.CONFIG_ERRORS.
        """
        key = tuple(overrides)
        if key not in self._checked:
            quick = self._check_quickly(overrides)
            self._checked[key] = quick or to_config(self.compose(overrides))
        return self._checked[key]

    def typed(self, overrides: Sequence[str]) -> list[str]:
        """Return a job's overrides but for those of Hydra's own keys."""
        parsed = map(self._parse, overrides)
        return [str(it.input_line) for it in parsed if not it.is_hydra_override()]

    def choices(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Return what a job chooses besides plain values, as which all of Hydra's part follows."""
        divided = self._divide(overrides)
        return tuple(overrides if divided is None else (str(it.input_line) for it in divided[1]))

    def _check_quickly(self, overrides: Sequence[str]) -> Config | None:
        """Check a job without composing it; None if that isn't the same."""
        try:
            divided = self._divide(overrides)
        except CONFIG_ERRORS:
            return None
        if divided is None:
            return None
        values, others = divided
        free = [value for value in values if can_be_set_later(value)]
        fixed = others + [value for value in values if not can_be_set_later(value)]
        base = self._checked_base(tuple(str(override.input_line) for override in fixed))
        return base.with_values(free) if base else None

    def _check_base(self, overrides: tuple[str, ...]) -> CheckedBase | None:
        try:
            return CheckedBase(self.compose(overrides))
        except CONFIG_ERRORS:
            return None

    def _divide(self, overrides: Sequence[str]) -> tuple[list[Override], list[Override]] | None:
        """Return the plain values and the others; None if their order matters."""
        parsed = [self._parse(override) for override in overrides]
        values = [override for override in parsed if self._is_value(override)]
        others = [override for override in parsed if not self._is_value(override)]
        if any(self._depends_on_order(other, values) for other in others):
            return None
        return values, others

    def _compose_on_copy(self, overrides: Sequence[str]) -> DictConfig | None:
        """Compose the choices once, and set the values on a copy; None if that isn't the same."""
        divided = self._divide(overrides)
        if divided is None:
            return None
        values, others = divided
        config = self._base([str(other.input_line) for other in others])
        for override in values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        parsed = [self._parse(override) for override in overrides]
        typed = [override for override in parsed if not override.is_hydra_override()]
        num_there = sum(not other.is_hydra_override() for other in others)
        _set_overrides(config, typed, num_there)
        return config

    def _base(self, overrides: Sequence[str]) -> DictConfig:
        key = tuple(overrides)
        if key not in self._bases:
            composed = self._loader.load_sweep_config(self._sweep, list(overrides))
            self._bases[key] = pickle.dumps(composed)
        return pickle.loads(self._bases[key])  # noqa: S301  (ours)

    def _is_value(self, override: Override) -> bool:
        """Whether it is a plain key=value, with a key that every job has."""
        key = override.key_or_group
        return (
            override.type is OverrideType.CHANGE
            and override.package is None
            and not override.is_hydra_override()
            and not override.is_sweep_override()
            and not isinstance(override.value(), dict)
            and self._is_leaf(key)
            and not self._is_group(key)
        )

    def _depends_on_order(self, other: Override, values: Sequence[Override]) -> bool:
        """Whether values can't simply be set after something else than a value."""
        key = other.key_or_group
        if other.is_hydra_override():
            return False
        if self._is_group(key) and not isinstance(other.value(), dict):
            return False
        return other.is_delete() or any(
            f"{key}.".startswith(f"{value.key_or_group}.")
            or f"{value.key_or_group}.".startswith(f"{key}.")
            for value in values
        )

    def _find_group(self, key: str) -> bool:
        hydra = self._sweep.hydra
        return bool(
            self._loader.get_group_options(
                key,
                results_filter=None,
                config_name=hydra.job.config_name,
                overrides=list(hydra.overrides.hydra),
            )
        )

    def _find_leaf(self, key: str) -> bool:
        """Whether the sweep's own config has the key, and not as a group of keys."""
        node: Any = self._sweep
        for name in key.split("."):
            if not isinstance(node, DictConfig) or name not in node.keys():  # noqa: SIM118
                return False  # `in` alone is false for ??? and null
            node = node._get_node(name)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return isinstance(node, ListConfig) or not OmegaConf.is_config(node)


def _set_overrides(config: DictConfig, typed: Sequence[Override], num_there: int) -> None:
    """Tell Hydra's part of a config, which knows `num_there` of the overrides, of all."""
    hydra = config.hydra
    tasks = hydra.overrides.task
    del tasks[len(tasks) - num_there :]
    tasks.extend([override.input_line for override in typed])
    form = hydra.job.config.override_dirname
    hydra.job.override_dirname = get_overrides_dirname(
        overrides=list(typed),
        kv_sep=form.kv_sep,
        item_sep=form.item_sep,
        exclude_keys=form.exclude_keys,
    )


def grid_jobs(loader: ConfigLoader, sweep: DictConfig) -> list[list[str]]:
    """Return the overrides of every job of a grid."""
    (batch,) = BasicSweeper.split_arguments(asked(loader, sweep), max_batch_size=None)
    return batch


def asked(loader: ConfigLoader, sweep: DictConfig) -> list[Override]:
    """Return what a sweep asks for; where a key is named twice, the last counts.

    That is what `hydra.sweeper.params` lists, an experiment's say, and then what was typed.
    """
    listed: dict[str, str] = dict(sweep.hydra.sweeper.params or {})
    arguments = [f"{key}={values}" for key, values in listed.items()]
    arguments += list(sweep.hydra.overrides.task)
    return OverridesParser.create(config_loader=loader).parse_overrides(arguments)
