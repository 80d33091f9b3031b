"""`python -m pipeline.ui [SWEEP|EXPERIMENT|RUN]`: MLflow's own pages, opened at the training runs.

Without a word it is the experiment of the newest run; `last` is the newest sweep. Of a server that
is running already it says the address; else it serves the pages on 127.0.0.1, with two processes.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress

from pipeline.comparison.cells import varied_keys
from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking.lookup import find_run, is_sweep, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.saved_view import (
    page,
    run_page,
    save_view,
    view_of_experiment,
    view_of_sweep,
)
from pipeline.tracking.store import Store

__all__ = ["main"]

OPEN_WITHIN_S = 120
"""MLflow's pages take some seconds to come up, on a busy machine more."""


def main() -> None:
    """Print the address of the runs, open it where there is a display, serve until Ctrl-C."""
    parser = make_parser("ui", __doc__)
    parser.add_argument("wanted", nargs="?", metavar="SWEEP|EXPERIMENT|RUN")
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments, place = parse(parser)
    try:
        store = open_tracked(place)
        if not store.is_server:
            _check_port(arguments.port)
        server = (
            without_password(store.uri) if store.is_server else f"http://127.0.0.1:{arguments.port}"
        )
        link = _link(store, server, arguments.wanted or place.named)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(link, flush=True)
    opens = not arguments.no_browser and _has_display()
    if store.is_server:
        if opens:
            webbrowser.open(link)
        return
    print("It answers in a few seconds; Ctrl-C ends it.", flush=True)
    if opens:
        _open_when_up(link, arguments.port)
    _serve(store, arguments.port)


def _link(store: Store, server: str, wanted: str | None) -> str:
    """Save the view of what is wanted, and return its address."""
    name = wanted or _newest_experiment(store)
    experiment = store.client.get_experiment_by_name(name)
    if experiment is not None:
        sweeps = store.sweeps(name)
        varied = [key for sweep in sweeps for key in sweep.params] or _varied(
            store.runs(name) or []
        )
        view = view_of_experiment(_seed_last(varied))
        save_view(store, experiment.experiment_id, view)
        return page(server, experiment.experiment_id, view)
    run = find_run(store, name)
    experiment_id = store.client.get_run(run.run_id).info.experiment_id
    if not is_sweep(run):
        return run_page(server, experiment_id, run.run_id)
    varied = list(run.params) or _varied(store.children(run.run_id))
    view = view_of_sweep(run, _seed_last(varied))
    save_view(store, experiment_id, view)
    return page(server, experiment_id, view)


def _newest_experiment(store: Store) -> str:
    """Return the name of the newest run's experiment.

    Raises:
        UserError: there is no run.
    """
    experiments = {it.experiment_id: it.name for it in store.client.search_experiments()}
    newest = store.client.search_runs(
        list(experiments), max_results=1, order_by=["attributes.start_time DESC"]
    )
    if not newest:
        raise UserError("there is no run yet. Run `python -m pipeline` first.")
    return experiments[newest[0].info.experiment_id]


def _varied(runs: Sequence[RunResult]) -> list[str]:
    """Return what varied between runs, with the seed."""
    return [*varied_keys(run.params for run in runs), "seed"]


def _seed_last(params: list[str]) -> list[str]:
    """Return params, each once, the seed behind what was chosen."""
    return sorted(dict.fromkeys(params), key=lambda key: key == "seed")


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise UserError(
                f"--port={port}: can't be used ({error}). Try --port={port + 1}."
            ) from error


def _has_display() -> bool:
    """Return whether a window can be opened here."""
    return sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def _open_when_up(link: str, port: int) -> None:
    """Open a page once it is served, in a process of its own: this one becomes MLflow."""
    if os.fork():
        return
    deadline = time.monotonic() + OPEN_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            webbrowser.open(link)
            break
        time.sleep(0.2)
    os._exit(0)


def _serve(store: Store, port: int) -> None:
    """Become MLflow's server."""
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": store.uri,  # may have a password, which arguments would show
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else 10 processes instead of 2
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port)]
    os.execve(sys.executable, command, environment)  # noqa: S606  (this process becomes MLflow)


if __name__ == "__main__":
    main()
