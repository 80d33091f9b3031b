"""Ray: a task for each job, on a cluster that is there already or on this machine alone."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.cluster.engine import EngineAwayError, Phase, State, Work, need_package
from pipeline.cluster.settings import RaySettings
from pipeline.cluster.work import do
from pipeline.errors import UserError

__all__ = ["Ray"]

TIMEOUT_S = 5
"""Within which a head node that lives lets itself be reached."""

MAX_RETRIES = 3
"""How often Ray starts a task again whose process or node was lost."""


class Ray:
    """A Ray cluster as its driver sees it; its tasks end with this process."""

    name = "ray"

    def __init__(self, settings: RaySettings, folder: Path) -> None:
        """Say what jobs ask for.

        Args:
            settings: of every job.
            folder: on a disk that all nodes share, for what jobs say.
        """
        self._settings = settings
        self._folder = folder
        self._tasks: dict[str, Any] = {}

    @property
    def _address(self) -> str | None:
        return self._settings.address or os.environ.get("RAY_ADDRESS")

    def check(self) -> None:
        """See whether the cluster can be reached, and has a node that could take such a job.

        Raises:
            UserError: naming the key, the value and what to do.
        """
        need_package("ray", "hydra/launcher=ray")
        if self._address is not None:
            _probe(self._address)
        settings = self._settings
        wanted = {
            "CPU": settings.num_cpus,
            "GPU": settings.num_gpus,
            "memory": (settings.mem_gb or 0) * 2**30,
        }
        nodes: list[dict[str, float]] = [node["Resources"] for node in self._connect().nodes()]
        if any(all(node.get(key, 0) >= wanted[key] for key in wanted) for node in nodes):
            return
        sizes = [(node.get("CPU", 0), node.get("GPU", 0), node["memory"] / 2**30) for node in nodes]
        has = "; ".join(f"{cpus:g}, {gpus:g} and {gb:.1f}" for cpus, gpus, gb in sizes)
        raise UserError(
            f"hydra.launcher.num_cpus={settings.num_cpus}, num_gpus={settings.num_gpus:g}, mem_gb="
            f"{settings.mem_gb}: no node has as much. CPUs, GPUs and GB of the nodes: {has}."
        )

    def num_slots(self) -> int:
        """Return how many jobs the cluster runs at the same time."""
        cpus = self._connect().cluster_resources().get("CPU", 1)
        return max(1, int(cpus // self._settings.num_cpus))

    def _connect(self) -> Any:
        """Return the library, connected; without an address it starts on this machine alone.

        Raises:
            UserError: that fails, with the reason.
        """
        address = self._address
        _set_environment(starts_here=address is None)
        import ray

        if ray.is_initialized():
            return ray
        here: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            ray.init(
                address=address or "local",
                logging_level=logging.ERROR,
                log_to_driver=False,
                **({} if address else here),  # a cluster that is there takes no settings
            )
        except Exception as error:  # whatever Ray raises
            what = f"at {address} can't be used" if address else "can't be started here"
            raise UserError(f"hydra/launcher=ray: Ray {what} ({_first_line(error)}).") from error
        return ray

    def submit(self, pieces: Sequence[Work]) -> list[str]:
        """Hand jobs in; see `Engine`."""
        ray = self._connect()
        self._folder.mkdir(parents=True, exist_ok=True)
        memory = self._settings.mem_gb
        options = {
            "num_cpus": self._settings.num_cpus,
            "num_gpus": self._settings.num_gpus,
            "max_retries": MAX_RETRIES,
            **({} if memory is None else {"memory": int(memory * 2**30)}),
        }
        task: Any = ray.remote(_do).options(**options)
        together = uuid.uuid4().hex[:6]
        ids = [f"{together}_{number}" for number in range(len(pieces))]
        self._tasks |= {
            job: task.remote(piece, job, str(self._folder))
            for job, piece in zip(ids, pieces, strict=True)
        }
        return ids

    def states(self, ids: Collection[str]) -> dict[str, State]:
        """Return how jobs are; see `Engine`. Those of another process ended with it."""
        unknown = State(Phase.OVER, "the process that had handed it in is gone")
        return {job: self._state(job) if job in self._tasks else unknown for job in ids}

    def _state(self, job: str) -> State:
        from ray.exceptions import RayError

        ray = self._connect()
        task, started = self._tasks[job], _start_file(self._folder, job)
        try:
            ready, _ = ray.wait([task], timeout=0)
        except RayError as error:
            raise EngineAwayError(f"Ray doesn't answer ({_first_line(error)})") from error
        if not ready:
            is_running = started.is_file()
            return State(Phase.RUNNING, started.read_text()) if is_running else State(Phase.QUEUED)
        try:
            ray.get(task)
        except RayError as error:
            return State(Phase.OVER, _first_line(error))
        return State(Phase.OVER)

    def cancel(self, ids: Collection[str]) -> None:
        """End jobs; see `Engine`."""
        for job in ids:
            if job in self._tasks:
                self._connect().cancel(self._tasks[job])

    def log_of(self, job: str) -> str:
        """Return the file of what a job has said."""
        return str(_log_file(self._folder, job))


def _probe(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself would try again for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"hydra.launcher.address={address}: no Ray cluster can be reached there ({error}). Say "
            "the address that `ray start --head` has printed, HOST:PORT, or leave it out to start "
            "Ray on this machine."
        ) from error


def _set_environment(*, starts_here: bool) -> None:
    """Say what Ray reads when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns
    if starts_here and "ray" not in sys.modules:  # else it leaves a token in the home folder
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _do(work: Work, job: str, folder: str) -> None:
    """Do a piece on whatever node this is."""
    _start_file(Path(folder), job).write_text(socket.gethostname())
    do(work, f"{Ray.name} {job}", _log_file(Path(folder), job))


def _start_file(folder: Path, job: str) -> Path:
    return folder / f"{job}.started"


def _log_file(folder: Path, job: str) -> Path:
    return folder / f"{job}_log.out"


def _first_line(error: Exception) -> str:
    """Return what an error says, less Ray's own traceback."""
    cause = getattr(error, "cause", None) or error  # a task's own error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(error).__name__
