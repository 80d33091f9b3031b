"""`python -m pipeline.watch [SWEEP]`: a sweep while it is trained elsewhere, and then its answer.

Says which jobs of a cluster wait, run, are done or lost, and how many runs have ended. Ctrl-C ends
the watching and nothing else. A sweep whose own command is gone (it was detached, or killed) gets
its answer from this one once its last job is over.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter

from rich.console import Console

from pipeline.cluster.at_work import engine_of, jobs_at_work, note_lost_runs
from pipeline.cluster.jobs import read_jobs
from pipeline.comparison.answer import answer
from pipeline.comparison.notes import resume_command
from pipeline.comparison.subject import Subject, find_subject
from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.process import exit_on_signals
from pipeline.report.answer import print_answer
from pipeline.report.runs_table import runs_table
from pipeline.sweep.grid import has_grid
from pipeline.sweep.opening import adopt
from pipeline.sweep.watching import Watch
from pipeline.tracking.locks import hold
from pipeline.tracking.lookup import LAST, find_run, is_sweep, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

__all__ = ["main"]

log = logging.getLogger("pipeline")

LOOK_EVERY_S = 2.0


def main() -> None:
    """Watch a sweep to its end; exit 1 if some of its runs aren't finished then."""
    arguments, place = parse(_parser())
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exit_on_signals()
    try:
        store = open_tracked(place)
        sweep = find_run(store, arguments.sweep)
        _check_is_sweep(sweep)
        _until_it_ends(store, sweep)
        subject = find_subject(store, [sweep.run_id])
    except UserError as error:
        sys.exit(f"error: {error}")
    _show(subject)
    num_finished = sum(run.status == "FINISHED" for run in subject.runs)
    num_left = max(len(subject.grid), len(subject.runs)) - num_finished
    if num_left and subject.command:
        to_go_on = resume_command(subject.command, sweep.run_id)
        what = "1 run isn't" if num_left == 1 else f"{num_left} runs aren't"
        sys.exit(f"error: {what} finished. To go on: {to_go_on}")


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("watch", __doc__)
    parser.add_argument("sweep", nargs="?", default=LAST, help="default: last, the newest sweep")
    return parser


def _check_is_sweep(run: RunResult) -> None:
    if not is_sweep(run):
        raise UserError(f"{run.name}: is a single run. Say a sweep, or `last`.")


def _until_it_ends(store: Store, sweep: RunResult) -> None:
    """Watch a sweep until it has ended; end it if its own process is gone."""
    name, said = sweep.tags.get("grid", ""), ""
    while sweep.status == "RUNNING":
        if has_grid(store.root, name) and hold(store.root, name):
            _see_to_its_end(store, sweep)
            return
        counts = Counter(run.status.lower() for run in store.children(sweep.run_id))
        now = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        if now != said:
            log.info("another process is working on it; runs: %s", now or "none yet")
        said = now
        time.sleep(LOOK_EVERY_S)
        sweep = find_run(store, sweep.run_id)


def _see_to_its_end(store: Store, sweep: RunResult) -> None:
    """Watch the jobs of a sweep whose own process is gone, then end it as that would have.

    Raises:
        UserError: it has no jobs, so nothing goes on.
    """
    if not read_jobs(store.root, sweep.run_id):
        raise UserError(
            f"{sweep.name}: nobody is working on it. To go on: "
            f"{resume_command(sweep.tags.get('command', ''), sweep.run_id)}"
        )
    at_work = jobs_at_work(store.root, sweep.run_id, store.children(sweep.run_id))
    for name in {job.engine for job in at_work}:
        engine = engine_of(name, store.root, sweep.run_id)
        jobs = [job for job in at_work if job.engine == name]
        Watch(engine, jobs, store, sweep.run_id).until_over()
    runs = store.children(sweep.run_id)
    note_lost_runs(store, runs, [])
    left = adopt(store, sweep)
    if left is not None:
        finished = sum(run.status == "FINISHED" for run in runs)
        left.close(
            None if finished == left.num_cells else UserError("some of its runs are missing")
        )


def _show(subject: Subject) -> None:
    console = Console(width=None if sys.stdout.isatty() else 100, markup=False, highlight=False)
    if any(run.status == "FINISHED" for run in subject.runs) and subject.grid:
        print_answer(console, answer(subject))
    else:
        console.print(runs_table(subject.runs, title=subject.title))


if __name__ == "__main__":
    main()
