"""The runs of a study: what its grids ask for, what is finished, training what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from pipeline.config.composer import Composer, grid_jobs
from pipeline.config.keys import plain
from pipeline.config.options import conf_dir
from pipeline.errors import UserError
from pipeline.reproduce.study import Study, Where
from pipeline.sweep.grid import shared
from pipeline.tracking.provenance import code_hash, config_hash
from pipeline.tracking.record import CURVES, RunResult
from pipeline.tracking.spool import send_records
from pipeline.tracking.store import open_store
from pipeline.training.group import Job
from pipeline.training.train import train_runs

__all__ = ["StudyJob", "StudyRuns", "compose_jobs", "find_runs", "train_missing"]

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class StudyJob:
    """A job, and where in its study it stands."""

    job: Job
    names: Mapping[str, str]
    """The name of its `grid`, and of its `reading` if the study has any, by these two keys."""

    @cached_property
    def _values(self) -> dict[str, Any]:
        return plain(self.job.config)

    def has(self, where: Where) -> bool:
        """Return whether its config has certain values, by the keys that one types."""
        values = self._values
        return all(
            self.names.get(key) == value
            if key in self.names
            else values.get(key, values.get(f"{key}.name")) == value
            for key, value in where.items()
        )


@dataclass
class StudyRuns:
    """The jobs of a study and the finished run of each, None where there is none."""

    name: str
    jobs: list[StudyJob]
    results: list[RunResult | None]

    @property
    def missing(self) -> list[Job]:
        """The jobs that have no finished run, each once."""
        pairs = zip(self.jobs, self.results, strict=True)
        missing = [entry.job for entry, result in pairs if result is None]
        return list({config_hash(job.config): job for job in missing}.values())

    @property
    def num_seeds(self) -> int:
        """How many seeds its jobs have."""
        return len({entry.job.config.seed for entry in self.jobs})

    @property
    def num_runs(self) -> int:
        """How many runs there are if all are finished: the same config in two grids is one run."""
        return len({config_hash(entry.job.config) for entry in self.jobs})

    def curves(self, where: Where, metric: str) -> dict[int, list[float] | None]:
        """Return a metric by epoch for each seed of the runs with certain values.

        Args:
            where: values by the config's keys, as typed; besides `grid` and `reading`.
            metric: one of record.CURVES.

        Returns:
            By seed the curve, None where the run is missing.

        Raises:
            UserError: no run has these values, or more than one has them and the same seed.
        """
        found: dict[int, list[float] | None] = {}
        chosen: dict[int, str] = {}
        for entry, result in zip(self.jobs, self.results, strict=True):
            if not entry.has(where):
                continue
            seed, key = entry.job.config.seed, config_hash(entry.job.config)
            if chosen.setdefault(seed, key) != key:
                said = ", ".join(f"{name}={value}" for name, value in where.items()) or "all runs"
                raise UserError(
                    f"study {self.name}: several runs with seed={seed} are {said}: say more keys, "
                    "so that one run for each seed is left."
                )
            found[seed] = result.curves[metric] if result else None
        return found


def compose_jobs(name: str, study: Study, overrides: Sequence[str]) -> list[StudyJob]:
    """Return the jobs of all grids of a study, by each of its readings.

    Args:
        name: the study's; its runs are in the MLflow experiment of that name.
        study: what to compose.
        overrides: as on the command line; they take the place of the grid's.

    Raises:
        Exception: one of explain.CONFIG_ERRORS.
    """
    _check_overrides(name, study, overrides)
    readings = study.readings or {"": []}
    jobs: list[StudyJob] = []
    for (grid, typed), (reading, added) in product(study.grids.items(), readings.items()):
        names = {"grid": grid, **({"reading": reading} if reading else {})}
        said = [*typed, *added, f"seed=range(0,{study.seeds})", *overrides]
        jobs += [StudyJob(job, names) for job in compose(name, said)]
    _check_cells(name, study, jobs)
    return jobs


def compose(name: str, overrides: Sequence[str]) -> Iterator[Job]:
    """Return the jobs of a grid as it is typed, each once."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        escaped = name.replace("\\", "\\\\").replace("'", "\\'")
        chosen = [f"tracking.experiment_name='{escaped}'", *overrides]
        sweep = loader.load_configuration("config", chosen, run_mode=RunMode.MULTIRUN)
        composer = Composer(loader, sweep)
        grid = grid_jobs(loader, sweep)
        fixed = shared(grid)
        jobs = [Job(composer.check(typed), typed, fixed) for typed in grid]
    yield from {config_hash(job.config): job for job in jobs}.values()


def _check_overrides(name: str, study: Study, overrides: Sequence[str]) -> None:
    """Refuse overrides of what a study compares: its verdicts need the whole grid.

    Raises:
        UserError: names the override, and the command that runs it apart from the study.
    """
    parser = OverridesParser.create()
    typed = [word for grid in study.grids.values() for word in grid]
    said = {it.key_or_group for it in parser.parse_overrides(typed)} - {"seed"}
    for reading in study.readings.values():
        said |= {it.key_or_group for it in parser.parse_overrides(reading)}
    cells = [entry.where for entry in study.published]
    said |= {key for where in cells for key in where} | {
        entry.along for entry in study.published if entry.along
    }
    compared = said | {"experiment", "dry_run", "resume.sweep", "resume.code"}
    for override in parser.parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in compared or (override.is_sweep_override() and key != "seed"):
            raise UserError(
                f"{override.input_line}: {key} is what the study {name} compares, or would make "
                "another study of it, and its verdicts need its own grid. To run this: "
                f"python -m pipeline -m {' '.join(next(iter(study.grids.values())))} "
                f"{override.input_line}"
            )


def _check_cells(name: str, study: Study, jobs: Sequence[StudyJob]) -> None:
    """Refuse a cell that no run is in, or several of a seed, and a metric that there isn't."""
    for metric in study.metrics():
        if metric not in CURVES:
            raise UserError(
                f"study {name}: {metric} is no metric. There are {', '.join(sorted(CURVES))}."
            )
    untrained = StudyRuns(name, list(jobs), [None] * len(jobs))
    for where in study.cells():
        if not untrained.curves(where, CURVES[0]):
            said = ", ".join(f"{key}={value}" for key, value in where.items())
            grids = "; ".join(" ".join(grid) for grid in study.grids.values())
            raise UserError(f"study {name}: none of its runs has {said}. Its grids: {grids}.")


def find_runs(name: str, jobs: Sequence[StudyJob], *, only_this_code: bool = False) -> StudyRuns:
    """Look up which jobs of a study have a finished run, in whatever sweep.

    Args:
        name: the study's.
        jobs: the study's, all with the same store.
        only_this_code: don't count runs that other code has trained; otherwise they count, with a
            warning.
    """
    config = jobs[0].job.config
    store = open_store(config.tracking, Path(config.root))
    send_records(store)
    hashes = [config_hash(entry.job.config) for entry in jobs]
    wanted = set(hashes)
    runs = store.finished(config.tracking.experiment_name)
    if only_this_code:
        runs = [run for run in runs if run.tags.get("code_hash") == code_hash()]
    newest = {key: run for run in runs if (key := run.tags.get("config_hash")) in wanted}
    others = sum(run.tags.get("code_hash") != code_hash() for run in newest.values())
    if others:
        log.warning("%s: %d runs were made by other code; --fresh trains them again", name, others)
    with_curves = store.with_curves(list(newest.values()))
    found = dict(zip(newest, with_curves, strict=True))
    return StudyRuns(name, list(jobs), [found.get(key) for key in hashes])


def train_missing(study: StudyRuns, parent_run_id: str | None) -> None:
    """Train the jobs that have no finished run, together where that is possible.

    A run that diverges is logged as an error, and the others go on.

    Args:
        study: what is there of the study.
        parent_run_id: the MLflow run that the new runs belong to, if there is one.
    """
    for outcome in train_runs(study.missing, parent_run_id=parent_run_id):
        if isinstance(outcome, Exception):
            log.error("%s", outcome)
