"""What a search asks for: its settings, and the values that it chooses from.

Nothing heavy is imported here, since Hydra reads the settings at every start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep
from omegaconf import DictConfig, OmegaConf

from pipeline.config.composer import Composer, asked
from pipeline.config.options import one_of
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.tracking.provenance import params

__all__ = ["Dimension", "Search", "Settings", "find_search"]

PRUNERS = ("none", "median", "halving")

SAMPLERS = ("tpe", "random", "cmaes")

EXAMPLE = '"optimizer.lr=tag(log, interval(0.01, 1))"'


@dataclass
class Settings:
    """What hydra.sweeper says of a search."""

    n_trials: int = 40
    """Runs in all, those of a resumed search included, ≥ 1."""
    batch_size: int = 8
    """Trials that are asked for together, and train as one group, ≥ 1."""
    sampler: str = "tpe"
    """How values are chosen: tpe, random or cmaes."""
    pruner: str = "none"
    """Which trials stop early: median, halving or none."""
    seed: int = 0
    """Seed of the sampler's draws, ≥ 0."""
    direction: str = "maximize"
    """What a run returns is its validation accuracy."""
    study_name: str | None = None
    """In the storage; null for the sweep's MLflow run id."""
    storage: str | None = None
    """The address of a database; null for mlruns/optuna.db of the root."""
    params: dict[str, Any] | None = None
    """Values to search, by key, beside those on the command line."""

    def __post_init__(self) -> None:
        for name, smallest in (("n_trials", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise UserError(
                    f"hydra.sweeper.{name}={getattr(self, name)}: must be a whole number ≥ "
                    f"{smallest}."
                )
        one_of("hydra.sweeper.sampler", self.sampler, SAMPLERS)
        one_of("hydra.sweeper.pruner", self.pruner, PRUNERS)
        one_of("hydra.sweeper.direction", self.direction, ("maximize", "minimize"))
        if self.study_name == "":
            raise UserError("hydra.sweeper.study_name=: must be a name, or null.")


@dataclass(frozen=True)
class Dimension:
    """The values of one key that are searched: listed ones, or numbers between two ends."""

    choices: tuple[str, ...] = ()
    """As they are typed; () of numbers."""
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """None of an interval."""
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it has whole numbers only."""
        return all(isinstance(end, int) for end in (self.low, self.high))

    @property
    def ends(self) -> tuple[str, ...]:
        """The values to check: if these are good, all are."""
        return self.choices or (repr(self.low), repr(self.high))

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(self.choices)
        step = "" if self.step is None else f" in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g}{step}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Search:
    """What is searched, from which config."""

    settings: Settings
    dimensions: Mapping[str, Dimension]
    """By key, in the order in which they are typed."""
    fixed: Sequence[str]
    """The overrides that all trials have."""
    typed: list[str]
    """What the command line says, together with what the settings list."""
    composer: Composer

    def __str__(self) -> str:
        return f"{self.settings.n_trials} to run"

    def overrides(self, values: Mapping[str, str]) -> list[str]:
        """Return the overrides of a trial with these values of the dimensions."""
        return [*self.fixed, *(f"{key}={values[key]}" for key in self.dimensions)]

    def start(self, base: Config) -> dict[str, str]:
        """Return the values that the config without a search has, by the names of runs' params."""
        known = params(base)
        names = [f"{key}.name" if f"{key}.name" in known else key for key in self.dimensions]
        return {name: known.get(name, "") for name in names}

    def config(self, values: Mapping[str, str]) -> Config:
        """Return the checked config of a trial.

        Raises:
            Exception: one of explain.CONFIG_ERRORS.
        """
        return self.composer.check(self.overrides(values))


def find_search(loader: ConfigLoader, sweep: DictConfig, composer: Composer) -> Search:
    """Return the search that the sweeper's settings and the command line ask for.

    Raises:
        UserError: Optuna isn't installed, a setting is bad or doesn't go with the launcher, there
            is nothing to search, or a value that a trial may get is out of its range.
    """
    settings = cast("Settings", OmegaConf.to_object(sweep.hydra.sweeper))
    _check_installed(settings)
    _check_launcher(settings, str(sweep.hydra.launcher._target_))
    by_key = {override.get_key_element(): override for override in asked(loader, sweep)}
    overrides = by_key.values()
    searched = [override for override in overrides if override.is_sweep_override()]
    dimensions = {override.get_key_element(): _dimension(override) for override in searched}
    fixed = [str(it.input_line) for it in overrides if not it.is_sweep_override()]
    if not dimensions:
        raise UserError(
            f"hydra/sweeper=optuna: there is nothing to search. Say between what, as in {EXAMPLE}."
        )
    if "seed" in dimensions:
        raise UserError(
            "seed: a search that chooses among seeds finds luck. Leave it out; the search ends "
            "with the command that tries the best trial with other seeds."
        )
    typed = [*fixed, *(str(override.input_line) for override in searched)]
    search = Search(settings, dimensions, fixed, typed, composer)
    _check_values(search)
    return search


def _check_installed(settings: Settings) -> None:
    needed = ["optuna", *(["cmaes"] if settings.sampler == "cmaes" else [])]
    for package in needed:
        if find_spec(package) is None:
            raise UserError(f"hydra/sweeper=optuna: {package} is missing. pip install {package}")


def _check_launcher(settings: Settings, launcher: str) -> None:
    """Refuse a pruner where trials train in processes that don't ask the study."""
    if settings.pruner != "none" and not launcher.endswith((".FusedLauncher", ".BasicLauncher")):
        raise UserError(
            f"hydra.sweeper.pruner={settings.pruner}: only trials of hydra/launcher=fused or basic "
            "can stop early. Say one of these, or hydra.sweeper.pruner=none."
        )


def _dimension(override: Override) -> Dimension:
    """Return what an override lets be searched.

    Raises:
        UserError: there is nothing between its ends.
    """
    value = override.value()
    assert isinstance(value, Sweep)
    log = "log" in value.tags
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        found = Dimension((), value.start, value.end, 1 if whole else None, log)
    elif isinstance(value, RangeSweep):
        numbers = sorted(value.range())
        step = None if len(numbers) < 2 else abs(value.step)
        found = Dimension((), numbers[0], numbers[-1], step, log) if numbers else Dimension()
    else:
        found = Dimension(tuple(override.sweep_string_iterator()))
    typed = override.input_line
    if not found.choices and not found.low < found.high:
        raise UserError(f"{typed}: there is nothing to choose. Say the lower end first.")
    if log and found.low <= 0:
        raise UserError(f"{typed}: on a log scale the lower end must be > 0.")
    if log and found.step is not None and (found.step, found.is_whole) != (1, True):
        raise UserError(f"{typed}: on a log scale there are no steps. Say interval.")
    return found


def _check_values(search: Search) -> None:
    """Check the ends and choices of every dimension, each beside the first of the others."""
    first = {key: dimension.ends[0] for key, dimension in search.dimensions.items()}
    for key, dimension in search.dimensions.items():
        for value in dimension.ends:
            search.config({**first, key: value})
