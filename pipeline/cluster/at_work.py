"""What a cluster still does for a sweep, whichever process handed it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.cluster.engine import Engine, EngineAwayError, Phase
from pipeline.cluster.jobs import Job, folder, read_jobs
from pipeline.cluster.ray import Ray
from pipeline.cluster.settings import RaySettings, SlurmSettings
from pipeline.cluster.slurm import Slurm
from pipeline.errors import UserError
from pipeline.tracking.locks import JOB_TAG
from pipeline.tracking.record import RunEnd, RunResult
from pipeline.tracking.store import Store

__all__ = ["engine_of", "jobs_at_work", "note_lost_runs"]


def engine_of(name: str, root: Path, sweep_id: str) -> Engine:
    """Return an engine to ask about a sweep's jobs; it takes no new ones.

    Raises:
        UserError: there is no such engine.
    """
    where = folder(root, sweep_id)
    match name:
        case Slurm.name:
            return Slurm(SlurmSettings(), where)
        case Ray.name:
            return Ray(RaySettings(), where)
        case _:
            raise UserError(f"{where}: names {name}, and there is no such engine.")


def jobs_at_work(root: Path, sweep_id: str, runs: Sequence[RunResult]) -> list[Job]:
    """Return the jobs of a sweep that wait or run.

    Args:
        root: where they were handed in.
        sweep_id: of the sweep.
        runs: its runs; a job whose runs are all finished is over.

    Raises:
        UserError: the cluster doesn't answer, so that nobody knows.
    """
    finished = {run.tags.get("config_hash", "") for run in runs if run.status == "FINISHED"}
    by_engine: dict[str, list[Job]] = {}
    for job in read_jobs(root, sweep_id):
        if not job.runs.keys() <= finished:
            by_engine.setdefault(job.engine, []).append(job)
    found: list[Job] = []
    for name, jobs in by_engine.items():
        try:
            states = engine_of(name, root, sweep_id).states([job.id for job in jobs])
        except EngineAwayError as error:
            raise UserError(
                f"hydra/launcher={name}: {error}, so nobody knows which jobs of sweep {sweep_id} "
                "still run. Ask again where it answers, or, if none can run any more, remove "
                f"{folder(root, sweep_id)}."
            ) from error
        found += [job for job in jobs if states[job.id].phase is not Phase.OVER]
    return found


def note_lost_runs(store: Store, runs: Sequence[RunResult], at_work: Sequence[Job]) -> None:
    """Let the runs of jobs that are over be RUNNING no longer.

    Args:
        store: theirs.
        runs: of a sweep that no other process sees to.
        at_work: its jobs that aren't over.
    """
    names = {job.name for job in at_work}
    lost: Mapping[str, str] = {
        run.run_id: run.tags[JOB_TAG]
        for run in runs
        if run.status == "RUNNING" and run.tags.get(JOB_TAG, "") not in {"", *names}
    }
    if lost:
        store.end([RunEnd(run_id, "FAILED", f"{job} was lost") for run_id, job in lost.items()])
