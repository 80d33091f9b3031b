"""Runs of studies made by hand: nothing is trained, any outcome can be had."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import yaml

from pipeline.config.compose import register
from pipeline.config.schema import Config
from pipeline.reproduce.answers import items_of
from pipeline.reproduce.runs import StudyJob, StudyRuns, compose_jobs
from pipeline.reproduce.study import FOLDER, Study, read_study
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import CURVES, RunResult

NAMES = ("losses", "penalties", "dropout", "overfitting", "sgd_network")

OWN: dict[str, Any] = {
    "title": "Rates",
    "question": "Which rate?",
    "source": "a paper",
    "grids": {"rates": ["optimizer.lr=0.1,0.2,0.3"]},
}
"""The least that a study is, of runs of five epochs."""

SLOW, MIDDLE, FAST = ({"optimizer.lr": rate} for rate in (0.1, 0.2, 0.3))
"""Its cells."""

Curves = Mapping[str, Sequence[float]]

Outcome = Callable[[StudyJob], Curves | float | None]
"""A run's curves, or its test accuracy in every epoch, or None if it isn't finished."""


@cache
def shipped(name: str) -> Study:
    """One of the project's own studies; runs made by hand have no weights to measure."""
    study = read_study(FOLDER / f"{name}.yaml")
    if study.bands is None:
        return study
    bands = study.bands.model_copy(update={"saturation": False})
    return study.model_copy(update={"bands": bands})


def own(**entries: object) -> Study:
    """A study of one's own."""
    return Study.model_validate(OWN | entries)


def make(study: Study, outcome: Outcome, *, num_seeds: int = 3, name: str = "own") -> StudyRuns:
    """A study in which every run came out as a function of its job says."""
    jobs = _jobs(name, yaml.safe_dump(study.model_dump(mode="json")), num_seeds)
    return StudyRuns(name, list(jobs), [result_of(job, outcome) for job in jobs])


def make_shipped(name: str, outcome: Outcome, num_seeds: int = 3) -> StudyRuns:
    """The runs of one of the project's own studies."""
    return make(shipped(name), outcome, num_seeds=num_seeds, name=name)


@cache
def _jobs(name: str, study: str, num_seeds: int) -> list[StudyJob]:
    register()
    content = Study.model_validate(yaml.safe_load(study))
    return compose_jobs(name, content, [f"seed=range(0,{num_seeds})"])


def result_of(entry: StudyJob, outcome: Outcome) -> RunResult | None:
    """A job's run as a function says that it came out."""
    found = outcome(entry)
    if found is None:
        return None
    config = entry.job.config
    num_epochs = config.trainer.max_epochs
    given = found if isinstance(found, Mapping) else {"test/accuracy": [found] * num_epochs}
    curves = {key: [0.5] * num_epochs for key in CURVES}
    return RunResult(
        run_id=config_hash(config),
        name="made by hand",
        status="FINISHED",
        params={},
        metrics={},
        seconds=1.0,
        error=None,
        curves=curves | {key: list(values) for key, values in given.items()},
        tags={},
    )


def config_of(entry: StudyJob) -> Config:
    """The config of a run."""
    return entry.job.config


def noise(entry: StudyJob, *, common: bool = False) -> float:
    """A standard normal draw of a run, always the same; `common` to all runs of its seed."""
    seed = config_of(entry).seed
    cell = 0 if common else zlib.crc32(config_hash(config_of(entry)).encode())
    return float(np.random.default_rng([seed, cell]).standard_normal())


def as_printed(study: Study, spread: float = 0.0) -> Callable[[StudyJob], Curves]:
    """Runs that give what was published, but for a spread, relative for a loss.

    Of readings the first one is what was meant; the others give chance.
    """

    def outcome(entry: StudyJob) -> Curves:
        num_epochs = config_of(entry).trainer.max_epochs
        shift = spread * noise(entry)
        curves = {"test/accuracy": [0.1 + shift] * num_epochs}
        if entry.names.get("reading") not in (None, next(iter(study.readings), None)):
            return curves
        for item in items_of(study):
            if entry.has(item.where):
                scale = 1 if item.entry.metric.endswith("accuracy") else item.values[0]
                values = [value + shift * scale for value in item.values]
                is_curve = item.entry.kind == "curve"
                curves[item.entry.metric] = values if is_curve else values * num_epochs
        return curves

    return outcome


def chance(spread: float = 0.001) -> Outcome:
    """Runs that have learned nothing."""
    return lambda entry: 0.1 + spread * noise(entry)


def cells_of(table: str) -> list[list[str]]:
    """The rows of a Markdown table, the header first, checked to be well formed."""
    header, rule, *rows = [_cells(line) for line in table.splitlines()]
    assert all(set(cell) <= set("-:") and "---" in cell for cell in rule)
    assert {len(row) for row in [rule, *rows]} == {len(header)}
    return [header, *rows]


def _cells(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    inner = line[1:-1].replace("\\|", "\0")
    return [cell.strip().replace("\0", "|") for cell in inner.split("|")]
