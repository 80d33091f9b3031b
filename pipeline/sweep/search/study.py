"""A search's trials in Optuna's storage: asked for and told batch by batch, resumable.

A trial's draws depend on the search's seed, the trial's number and the trials before it. So a
search that was killed and goes on asks for the very trials of one that was never interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config.schema import Config
from pipeline.engine.grouping import steps_per_epoch
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.sweep.search.choosing import pruner, sampler
from pipeline.sweep.search.search import Dimension, Search
from pipeline.tracking import paths
from pipeline.tracking import sqlite as sqlite_file
from pipeline.tracking.provenance import config_hash
from pipeline.training.group import Judge

__all__ = ["Study", "Trial"]

SPACE, BASE = "space", "base"
"""The study's attributes that say what was searched, and from which config."""

PRUNED_AT = "pruned_at"
"""A trial's attribute: after which epoch it stopped."""

LOCK_TIMEOUT_S = 60
"""SQLite's patience with another process that writes."""


@dataclass(frozen=True)
class Trial:
    """A trial that was asked for."""

    number: int
    """From 0."""
    overrides: list[str]


class Study:
    """The study of one search."""

    def __init__(self, search: Search, base: Config) -> None:
        """Open the storage.

        Args:
            search: what is searched.
            base: the config that its trials start from.

        Raises:
            UserError: the storage can't be used.
        """
        logging.getLogger("alembic").setLevel(logging.WARNING)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._settings = search.settings
        self._space = {key: str(dimension) for key, dimension in search.dimensions.items()}
        self._base = config_hash(base)
        num_epochs = base.trainer.num_epochs(steps_per_epoch(base))
        self._pruner = pruner(search.settings, num_epochs)
        self._address = _address(search.settings.storage, Path(base.root))
        with self._used():
            self._storage = _open_storage(self._address, Path(base.root))

    @contextmanager
    def _used(self) -> Generator[None]:
        """Turn what a storage can raise into an error that names it."""
        try:
            yield
        except (OptunaError, SQLAlchemyError, ImportError, OSError) as error:
            cause = getattr(error, "orig", None) or error.__cause__ or error
            raise UserError(
                f"hydra.sweeper.storage={without_password(self._address)}: the search can't be "
                f"kept there ({without_password(str(cause).splitlines()[0])}). Correct the "
                "address, install its driver, or leave it out to keep it in mlruns/."
            ) from error

    def check_new(self) -> None:
        """Refuse a name that the storage has already.

        Raises:
            UserError: it has.
        """
        name = self._settings.study_name
        if name is not None and name in self._names():
            raise UserError(
                f"hydra.sweeper.study_name={name}: there is such a study already. Go on with it by "
                "resume=last or resume=ID, or choose another name."
            )

    def create(self, sweep_id: str) -> None:
        """Begin the study of a sweep that starts."""
        with self._used():
            optuna.create_study(
                storage=self._storage, study_name=self._name(sweep_id), direction="maximize"
            )
        self._open(sweep_id)

    def load(self, sweep_id: str, *, has_runs: bool) -> dict[str, Config]:
        """Go on with the study of a sweep.

        Args:
            sweep_id: its MLflow run.
            has_runs: it has begun; else it may have been killed before there was a study.

        Returns:
            The configs of the trials that were asked for and not told, by config_hash.

        Raises:
            UserError: it isn't there, or was about something else.
        """
        name = self._name(sweep_id)
        if name in self._names():
            self._open(sweep_id)
        elif not has_runs:
            self.create(sweep_id)
        else:
            raise UserError(
                f"resume.sweep={sweep_id}: {without_password(self._address)} has no study {name}. "
                "Type the hydra.sweeper.storage and study_name that the search was started with."
            )
        with self._used():
            values = [self._values(trial.number) for trial in self._trials(TrialState.RUNNING)]
        return {config_hash(config): config for config in map(self._search.config, values)}

    def _open(self, sweep_id: str) -> None:
        """Take the study and note what it is about, or check that."""
        asked = {BASE: self._base, SPACE: self._space}
        with self._used():
            self._study = optuna.load_study(
                study_name=self._name(sweep_id),
                storage=self._storage,
                pruner=self._pruner,
            )
            noted = self._study.user_attrs
            for key in asked.keys() - noted.keys():
                self._study.set_user_attr(key, asked[key])
        if asked != {**asked, **noted}:
            raise UserError(
                f"resume.sweep={sweep_id}: this is not the search of that sweep.\n"
                f"  this command: {_listed(self._space)}\n"
                f"  that sweep: {_listed(noted[SPACE])}\n"
                "Values and all other keys must be those of its command; or leave resume=… out."
            )

    def _name(self, sweep_id: str) -> str:
        return self._settings.study_name or sweep_id

    def _names(self) -> list[str]:
        with self._used():
            return optuna.get_all_study_names(self._storage)

    def __str__(self) -> str:
        ended = sum(trial.state.is_finished() for trial in self._trials())
        left = max(0, self._settings.n_trials - ended)
        return f"{ended} of {self._settings.n_trials} trials finished, {left} to run"

    def ask(self) -> list[Trial]:
        """Return the trials to train next; [] if there are as many as were wanted.

        Those that an interrupted search has left come first.
        """
        with self._used():
            count, size = len(self._trials()), self._settings.batch_size
            numbers = [trial.number for trial in self._trials(TrialState.RUNNING)][:size]
            first = numbers[0] if numbers else count
            for _ in range(count, min((first // size + 1) * size, self._settings.n_trials)):
                numbers.append(self._study.ask().number)
                self._values(numbers[-1])  # drawn now: the next one's depend on them
            overrides = [self._search.overrides(self._values(number)) for number in numbers]
        return list(map(Trial, numbers, overrides))

    def tell(self, batch: Sequence[Trial], objectives: Sequence[float | None]) -> None:
        """Tell what trials have reached: None of one that failed."""
        with self._used():
            for trial, objective in zip(batch, objectives, strict=True):
                if objective is None:
                    self._study.tell(trial.number, state=TrialState.FAIL)
                elif PRUNED_AT in self._trial(trial.number).user_attrs:
                    self._study.tell(trial.number, state=TrialState.PRUNED)
                else:
                    self._study.tell(trial.number, objective)

    @property
    def prunes(self) -> bool:
        """Whether trials may stop early."""
        return self._settings.pruner != "none"

    def judge(self, configs: Sequence[Config]) -> Judge | None:
        """Return what says of jobs, by their position, which stop early; None if none does."""
        if not self.prunes:
            return None
        running = {trial.number: trial for trial in self._trials(TrialState.RUNNING)}
        numbers = {config_hash(self._search.config(self._values(it))): it for it in running}
        of_position = [numbers[config_hash(config)] for config in configs]

        def stopped(epoch: int, reached: Mapping[int, float]) -> list[int]:
            with self._used():
                known = self._trials()
                for position, value in reached.items():
                    number = of_position[position]
                    if epoch not in known[number].intermediate_values:  # before an interruption
                        self._trial(number).report(value, epoch)
                return [it for it in reached if self._stops(of_position[it], epoch)]

        return stopped

    def _stops(self, number: int, epoch: int) -> bool:
        """Return whether a trial stops here: one that has stopped before, where it did then."""
        trial = self._trial(number)
        if PRUNED_AT in trial.user_attrs:
            return epoch >= trial.user_attrs[PRUNED_AT]
        stops = trial.should_prune()
        if stops:
            trial.set_user_attr(PRUNED_AT, epoch)
        return stops

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _trial(self, number: int) -> optuna.Trial:
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        return optuna.Trial(self._study, trial_id)

    def _values(self, number: int) -> dict[str, str]:
        """Return the values of a trial, as they are typed; those it doesn't have yet are drawn."""
        self._study.sampler = sampler(self._settings, number)
        trial = self._trial(number)
        return {key: _value(trial, key, it) for key, it in self._search.dimensions.items()}


def _value(trial: optuna.Trial, key: str, dimension: Dimension) -> str:
    """Return a trial's value of one dimension, drawn if it has none yet."""
    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if dimension.choices:
        return str(trial.suggest_categorical(key, dimension.choices))
    if dimension.is_whole:
        return str(trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log))
    return repr(trial.suggest_float(key, low, high, step=step, log=log))


def _address(storage: str | None, root: Path) -> str:
    """Return the address of a storage, of a file with its whole path."""
    if storage is None:
        return f"sqlite:///{paths.studies(root)}"
    file = sqlite_file.path_of(storage)
    return storage if file is None else f"sqlite:///{file}"


def _open_storage(address: str, root: Path) -> RDBStorage:
    """Return a storage; the tables of an SQLite file are made whole or not at all."""
    file = sqlite_file.path_of(address)
    if file is None:
        return RDBStorage(address)
    paths.mlruns(root).mkdir(parents=True, exist_ok=True)
    with sqlite_file.lock(root):
        sqlite_file.make_whole(file, lambda new: RDBStorage(new).engine.dispose())
    return RDBStorage(address, {"connect_args": {"timeout": LOCK_TIMEOUT_S}})


def _listed(space: Mapping[str, str]) -> str:
    return "; ".join(f"{key} from {values}" for key, values in space.items())
