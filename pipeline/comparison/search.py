"""What a search has found: a sweep whose runs a sweeper such as Optuna's asks for as it goes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from pipeline.comparison.cells import short_names, text, varied_keys
from pipeline.comparison.notes import FEW_SEEDS
from pipeline.comparison.question import VALIDATION
from pipeline.comparison.units import Units, metric_name
from pipeline.tracking.record import RunResult

__all__ = ["best_trial", "more_seeds", "sentences"]


def best_trial(runs: Sequence[RunResult]) -> RunResult | None:
    """Return the finished run with the highest objective; None if there is none."""
    finished = [run for run in runs if run.status == "FINISHED" and VALIDATION in run.metrics]
    return max(finished, key=lambda run: run.metrics[VALIDATION], default=None)


def sentences(runs: Sequence[RunResult], best: RunResult) -> list[str]:
    """Return what the best trial is, what it reached, and how far to believe that."""
    keys = varied_keys(run.params for run in runs)
    values = {key: best.params[key] for key in keys}
    units = Units(VALIDATION)
    reached = units.value(best.metrics[VALIDATION])
    count = sum(run.status == "FINISHED" for run in runs)
    return [
        f"Best of {count} trials by {metric_name(VALIDATION)}, the objective: "
        f"{text(values, short_names(keys))} with {reached} (run {best.run_id[:14]}); its test "
        f"accuracy is {units.value(best.metrics['test/accuracy'])}.",
        f"The highest of {count} flatters: only other seeds tell what it is worth.",
    ]


def more_seeds(typed: str, best: RunResult) -> str:
    """Return the command that trains the best trial with several seeds.

    Args:
        typed: the search's own command.
        best: its best trial.
    """
    words = [
        _settled(word, best.params)
        for word in shlex.split(typed)
        if not word.startswith(("resume", "seed=", "hydra"))
    ]
    return shlex.join([*words, f"seed=range(0,{FEW_SEEDS})"])


def _settled(word: str, params: Mapping[str, str]) -> str:
    """Return an override with the trial's own value; any other word as it is."""
    key, equals, _ = word.partition("=")
    value = params.get(key) or params.get(f"{key}.name")
    return f"{key}={value}" if equals and value is not None else word
