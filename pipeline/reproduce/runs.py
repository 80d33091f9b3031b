"""The runs of a study: what its grid asks for, what is finished, training what is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline.config.composer import Composer, grid_jobs
from pipeline.config.keys import plain
from pipeline.config.options import conf_dir
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.sweep.grid import shared
from pipeline.tracking.provenance import code_hash, config_hash
from pipeline.tracking.record import RunResult
from pipeline.tracking.spool import send_records
from pipeline.tracking.store import open_store
from pipeline.training.group import Job
from pipeline.training.train import train_runs

__all__ = ["StudyRuns", "compose_jobs", "find_runs", "train_missing"]

log = logging.getLogger("pipeline")


@dataclass
class StudyRuns:
    """The jobs of a study and the finished run of each, None where there is none."""

    name: str
    jobs: list[Job]
    results: list[RunResult | None]

    @property
    def missing(self) -> list[Job]:
        """The jobs that have no finished run."""
        pairs = zip(self.jobs, self.results, strict=True)
        return [job for job, result in pairs if result is None]

    @property
    def num_epochs(self) -> int:
        """Epochs of the shortest finished run."""
        lengths = [len(result.curves["test/accuracy"]) for result in self.results if result]
        return min(lengths, default=0)

    def curves(self, where: Mapping[str, object], metric: str) -> dict[int, list[float] | None]:
        """Return a metric by epoch for each seed of the runs with certain values.

        Args:
            where: values by the config's dotted keys; numbers compare as numbers.
            metric: one of record.CURVES.

        Returns:
            By seed the curve, None where the run is missing.
        """
        return {
            job.config.seed: result.curves[metric] if result else None
            for job, result in zip(self.jobs, self.results, strict=True)
            if _has(job.config, where)
        }


def _has(config: Config, where: Mapping[str, object]) -> bool:
    values = plain(config)
    return all(values.get(key) == value for key, value in where.items())


def compose_jobs(name: str, overrides: Sequence[str]) -> list[Job]:
    """Return the jobs of the grid in conf/experiment/<name>.yaml, each once however it was typed.

    Args:
        name: the study's.
        overrides: as on the command line; they take the place of the grid's.

    Raises:
        Exception: one of explain.CONFIG_ERRORS.
    """
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        chosen = [f"experiment={name}", *overrides]
        sweep = loader.load_configuration("config", chosen, run_mode=RunMode.MULTIRUN)
        _check_grid(name, sweep, overrides)
        composer = Composer(loader, sweep)
        grid = grid_jobs(loader, sweep)
        fixed = shared(grid)
        jobs = [Job(composer.check(typed), typed, fixed) for typed in grid]
    return list({config_hash(job.config): job for job in jobs}.values())


def _check_grid(name: str, sweep: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse overrides of what a study compares: its verdicts need the whole grid.

    Raises:
        UserError: names the override, and the command that runs it apart from the study.
    """
    listed = set(map(str, sweep.hydra.sweeper.params or {})) - {"seed"}
    groups = {key.partition(".")[0] for key in listed}
    compared = listed | groups | {f"{group}.name" for group in groups}
    compared |= {"experiment", "dry_run", "resume.sweep", "resume.code"}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in compared or (override.is_sweep_override() and key != "seed"):
            raise UserError(
                f"{override.input_line}: {key} is what the study {name} compares, or would make "
                "another study of it, and its verdicts need its own grid. To run this: "
                f"python -m pipeline -m experiment={name} {override.input_line}"
            )


def find_runs(name: str, jobs: Sequence[Job], *, only_this_code: bool = False) -> StudyRuns:
    """Look up which jobs of a study have a finished run, in whatever sweep.

    Args:
        name: the study's.
        jobs: the study's, all with the same store.
        only_this_code: don't count runs that other code has trained; otherwise they count, with a
            warning.
    """
    config = jobs[0].config
    store = open_store(config.tracking, Path(config.root))
    send_records(store)
    hashes = [config_hash(job.config) for job in jobs]
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


def train_missing(study: StudyRuns, parent_run_id: str) -> None:
    """Train the jobs that have no finished run, together where that is possible.

    A run that diverges is logged as an error, and the others go on.

    Args:
        study: what is there of the study.
        parent_run_id: the MLflow run that the new runs belong to.
    """
    for outcome in train_runs(study.missing, parent_run_id=parent_run_id):
        if isinstance(outcome, Exception):
            log.error("%s", outcome)
