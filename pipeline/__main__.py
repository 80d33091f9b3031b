"""The command: compose, validate, run.

Nothing heavy is imported before the config is known to be good.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.config.allowed_calls import refuse_other_calls
from pipeline.config.commands import run_command
from pipeline.config.compose import register, to_config
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.options import conf_dir
from pipeline.config.usual import hide_usual
from pipeline.errors import UserError
from pipeline.process import exit_on_signals, leave
from pipeline.secrets import password_to_environment
from pipeline.sweep.context import current

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.comparison.subject import Subject
    from pipeline.sweep.findings import Findings
    from pipeline.sweep.sweep import Sweep
    from pipeline.tracking.record import RunResult
    from pipeline.tracking.store import Store

__all__ = ["main"]

log = logging.getLogger("pipeline")

WIDTH = 100
"""Characters of a line where standard output isn't a terminal."""


def run(composed: DictConfig) -> float | None:
    """Train one job; what Hydra calls for a single run, and for every job of a basic launcher.

    Returns:
        The run's objective, for sweepers that optimise: say hydra.sweeper.direction=maximize;
        None of a job that another process is working on, or without validation examples.
    """
    config = to_config(composed)
    context = current()
    done = context.done(config)
    if done is not None:
        return done.objective
    (result,) = context.train([(config, list(HydraConfig.get().overrides.task))])
    in_sweep = context.parent_run_id is not None
    if isinstance(result, Exception):
        is_told = isinstance(result, UserError)
        if is_told and not in_sweep:
            sys.exit(f"error: {result}")
        if in_sweep:  # the sweep goes on, so say it now
            log.error("run failed: %s", result, exc_info=None if is_told else result)
        raise result
    if not in_sweep:
        from pipeline.tracking.store import open_store  # imports mlflow

        _show(result, open_store(config.tracking, Path(config.root)))
    return result.objective


def main() -> None:
    """Run the command line: training, or the command that its first word names."""
    run_command()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves errors to us
    logging.raiseExceptions = False  # a log file on a full disk is no reason for a traceback
    exit_on_signals()
    refuse_other_calls()
    hide_usual()
    register()
    arguments = sorted(sys.argv[1:], key=_place_in_line)
    sys.argv[1:] = [_in_full(password_to_environment(argument)) for argument in arguments]
    ended_by: BaseException | None = None
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(run)()
    except BaseException as error:
        ended_by = error
    sweep = current().sweep
    if sweep and sweep.is_left:
        print(f"The jobs go on. To watch them: {sweep.store.command('watch', sweep.run_id[:8])}")
    elif sweep:
        ended_by = _close_sweep(sweep, ended_by)
    leave(_exit_code(ended_by, wants_traceback=wants_traceback))


def _place_in_line(argument: str) -> int:
    """Return where a word goes, which argparse is strict about: options first, overrides last."""
    if argument in ("-m", "--multirun"):
        return 0
    is_override = argument.startswith("~") or ("=" in argument and not argument.startswith("-"))
    return 2 if is_override else 1


def _in_full(argument: str) -> str:
    """Return `resume=last`, or `detach=true`, which people type, as the config's own key."""
    key, equals, value = argument.partition("=")
    if key == "detach" and equals:
        return f"hydra.launcher.{argument}"
    if key != "resume" or not equals:
        return argument
    plain = value.strip("'")
    return f"resume.sweep='{plain}'"  # quoted, since an id may look like a number


def _close_sweep(sweep: Sweep, ended_by: BaseException | None) -> BaseException | None:
    """End the sweep, print its answer; return what the command ends with."""
    from pipeline.comparison.notes import resume_command

    findings, outcome = sweep.close(ended_by)
    console = _console()
    _print(console, findings, sweep.store)
    command = findings.subject.command
    can_go_on = findings.subject.grid or sweep.study
    if isinstance(ended_by, SystemExit) and can_go_on and command:
        console.print(f"To go on: {resume_command(command, sweep.run_id)}", soft_wrap=True)
    sweep_id = sweep.run_id[:8]
    _say_what_is_left(console, sweep.store)
    console.print(
        f"Sweep {sweep_id}: {sweep.store.command('compare', sweep_id)} (--runs: run by run), "
        f"{sweep.store.command('report', sweep_id)}; all runs: {sweep.store.how_to_open()}",
        soft_wrap=True,
    )
    return outcome


def _print(console: Console, findings: Findings, store: Store) -> None:
    """Print the answer of a sweep; of a search its runs and the best of them."""
    from pipeline.report.answer import print_answer
    from pipeline.report.runs_table import runs_table

    if findings.answer is not None:
        print_answer(console, findings.answer)
        return
    subject = findings.subject
    console.print(runs_table(subject.runs, title=subject.title, is_search=bool(subject.searched)))
    if not subject.grid:
        _print_best(console, subject, store)


def _print_best(console: Console, subject: Subject, store: Store) -> None:
    """Print the best trial of a search, how far to believe it, and how to learn what it's worth."""
    from pipeline.comparison.search import best_trial, more_seeds, sentences, trying

    best = best_trial(subject.runs)
    if best is None or subject.command is None:
        return
    console.print("\n".join(sentences(subject.runs, best)))
    if subject.searched:
        experiment, commands = trying(subject, best)
        console.print("Try what the search started from, then the best, and compare:")
        commands.append(store.command("compare", experiment))
    else:
        commands = [more_seeds(subject.command, best)]
    for command in commands:
        console.print(f"  {command}", soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH, markup=False, highlight=False)


def _show(result: RunResult, store: Store) -> None:
    """Print what came of a single run, and how to look at it in a browser."""
    from pipeline.report.runs_table import runs_table

    console = _console()
    console.print(runs_table([result], title=result.name))
    _say_what_is_left(console, store)
    console.print(f"Look at it: {store.how_to_open()}", soft_wrap=True)


def _say_what_is_left(console: Console, store: Store) -> None:
    """Say what the tracking store doesn't have yet, if there is anything."""
    from pipeline.tracking.spool import left_in_spool

    left = left_in_spool(store)
    if left:
        console.print(left, soft_wrap=True)


def _exit_code(ended_by: BaseException | None, *, wants_traceback: bool) -> int:
    """Say what ended the command, if that was an error, and return its exit code."""
    if ended_by is None or isinstance(ended_by, BrokenPipeError):  # `pipeline --help | head`
        return 0
    if isinstance(ended_by, SystemExit):
        if isinstance(ended_by.code, str):
            print(ended_by.code, file=sys.stderr)
        return ended_by.code if isinstance(ended_by.code, int) else int(bool(ended_by.code))
    if isinstance(ended_by, CONFIG_ERRORS) and not wants_traceback:
        print(f"error: {explain(ended_by)}", file=sys.stderr)
    else:
        traceback.print_exception(ended_by)
    return 1


if __name__ == "__main__":
    main()
