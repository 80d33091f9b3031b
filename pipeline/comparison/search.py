"""What a search has found: a sweep whose runs a sweeper such as Optuna's asks for as it goes."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

from pipeline.comparison.cells import has_diverged, short_names, text, varied_keys
from pipeline.comparison.notes import FEW_SEEDS
from pipeline.comparison.question import VALIDATION
from pipeline.comparison.statistics import expected_highest_mean
from pipeline.comparison.subject import Subject
from pipeline.comparison.units import Units, metric_name
from pipeline.tracking.record import RunResult

__all__ = ["best_trial", "more_seeds", "rounded", "sentences", "trying"]


def best_trial(runs: Sequence[RunResult]) -> RunResult | None:
    """Return the finished run with the highest objective; None if there is none."""
    finished = [run for run in runs if run.status == "FINISHED" and VALIDATION in run.metrics]
    return max(finished, key=lambda run: run.metrics[VALIDATION], default=None)


def sentences(runs: Sequence[RunResult], best: RunResult) -> list[str]:
    """Return what the best trial is, what it reached, and how far to believe that."""
    keys = varied_keys(run.params for run in runs)
    values = {key: rounded(best.params.get(key, "")) for key in keys}
    units = Units(VALIDATION)
    reached = best.metrics[VALIDATION]
    count = sum(run.status in ("FINISHED", "PRUNED") for run in runs)
    return [
        f"Best of {count} trials by {metric_name(VALIDATION)}, the objective{_others(runs)}: "
        f"{text(values, short_names(keys))} with {units.value(reached)} (run "
        f"{best.run_id[:14]}); its test accuracy is {units.value(best.metrics['test/accuracy'])}.",
        f"The highest of {count} flatters: on {int(best.params['data.num_val']):,} validation "
        f"examples the luckiest of {count} that are alike stands up to "
        f"{units.size(_luck(best, count))} too high. Only other seeds tell what it is worth.",
    ]


def _others(runs: Sequence[RunResult]) -> str:
    """Return, in brackets, how many trials didn't come to their last epoch; "" if all did."""
    counts = {
        "pruned": sum(run.status == "PRUNED" for run in runs),
        "diverged": sum(map(has_diverged, runs)),
        "failed": sum(run.status == "FAILED" and not has_diverged(run) for run in runs),
    }
    said = [f"{count} {what}" for what, count in counts.items() if count]
    return f" ({', '.join(said)})" if said else ""


def _luck(best: RunResult, count: int) -> float:
    """Return by how much the best of so many trials is too good at most, if all are alike.

    That is the expected highest of `count` independent errors of an accuracy p that is measured
    on n examples, √(p(1 - p) / n) each. Trials are measured on the same examples, so that their
    errors are alike in part, and the best has less luck than this.
    """
    p, examples = best.metrics[VALIDATION], int(best.params["data.num_val"])
    return expected_highest_mean(0.0, math.sqrt(p * (1 - p) / examples), count)


def rounded(value: str) -> str:
    """Return a param's value with four digits, if it is a number with more."""
    try:
        short = f"{float(value):.4g}"
    except ValueError:
        return value
    return min(value, short, key=len)


def more_seeds(typed: str, best: RunResult) -> str:
    """Return the command that trains the best trial with several seeds that the search didn't see.

    Args:
        typed: the search's own command.
        best: its best trial.
    """
    return _with_seeds(typed, best.params, first_seed=int(best.params["seed"]) + 1)


def trying(subject: Subject, best: RunResult) -> tuple[str, list[str]]:
    """Return the commands that try with other seeds what a search started from and what it found.

    Args:
        subject: the search.
        best: its best trial.

    Returns:
        The experiment that they track in, and the commands.
    """
    assert subject.command is not None
    assert subject.sweep_id is not None
    name, first_seed = f"best-of-{subject.sweep_id[:8]}", int(best.params["seed"]) + 1
    return name, [
        _with_seeds(subject.command, params, first_seed, f"tracking.experiment_name={name}")
        for params in (subject.searched, best.params)
    ]


def _with_seeds(typed: str, params: Mapping[str, str], first_seed: int, *more: str) -> str:
    """Return the command that trains one config of a search with several seeds."""
    aside = ("resume", "seed=", "hydra", *(word.partition("=")[0] + "=" for word in more))
    words = [word for word in shlex.split(typed) if not word.startswith(aside)]
    settled = [_settled(word, params) for word in words]
    experiment = any(word.startswith("experiment=") for word in words)
    grid = ["hydra/sweeper=grid", "hydra.sweeper.params=null"] if experiment else []
    seeds = f"seed=range({first_seed},{first_seed + FEW_SEEDS})"
    return shlex.join([*settled, *grid, *more, seeds])


def _settled(word: str, params: Mapping[str, str]) -> str:
    """Return an override with the trial's own value; any other word as it is."""
    key, equals, _ = word.partition("=")
    value = params.get(key) or params.get(f"{key}.name")
    return f"{key}={value}" if equals and value is not None else word
