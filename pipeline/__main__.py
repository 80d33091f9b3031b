"""The command: compose, validate, run.

Nothing heavy is imported before the config is known to be good.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.choices import conf_dir
from pipeline.compose import CONFIG_ERRORS, explain, register, to_config
from pipeline.errors import UserError
from pipeline.sweep import Sweep, SweepCallback

if TYPE_CHECKING:
    from pipeline.record import RunResult
    from pipeline.tracking import Store

__all__ = ["main"]

log = logging.getLogger("pipeline")


def run(composed: DictConfig) -> float:
    """Train one job; what Hydra calls for every job of a sweep, in whichever process.

    Returns:
        The validation accuracy (without validation examples, the test accuracy), for sweepers
        that optimise: say hydra.sweeper.direction=maximize.
    """
    config = to_config(composed)
    from pipeline.tracking import open_store  # imports mlflow
    from pipeline.train import train  # imports torch and lightning

    overrides = list(HydraConfig.get().overrides.task)
    parent_run_id = SweepCallback.parent_run_id
    try:
        result = train(config, overrides=overrides, parent_run_id=parent_run_id)
    except Exception as error:
        if parent_run_id:  # the sweep goes on, so say it now
            traceback_too = not isinstance(error, UserError)
            log.log(logging.ERROR, "run failed: %s", error, exc_info=traceback_too)
        raise
    if parent_run_id is None:
        _show([result], result.name, open_store(config.tracking, Path(config.root)))
    return result.metrics.get("val/accuracy", result.metrics["test/accuracy"])


def main() -> None:
    """Run the command line; `pipeline` and `python -m pipeline`."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves errors to us
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    register()
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda argument: argument not in ("-m", "--multirun"))
    ended_by: BaseException | None = None
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(run)()
    except BaseException as error:
        ended_by = error
    if SweepCallback.current:
        ended_by = _close_sweep(SweepCallback.current, ended_by)
    if isinstance(ended_by, SystemExit):
        raise ended_by
    if ended_by is None:
        return
    if isinstance(ended_by, CONFIG_ERRORS) and not wants_traceback:
        sys.exit(f"error: {explain(ended_by)}")
    traceback.print_exception(ended_by)
    sys.exit(1)


def _exit(number: int, frame: FrameType | None) -> None:
    """End in order on Ctrl-C and SIGTERM: runs are marked as killed on the way out."""
    del frame
    sys.exit(128 + number)


def _close_sweep(sweep: Sweep, ended_by: BaseException | None) -> BaseException | None:
    """End the sweep, show its table; return what the command ends with."""
    results, outcome = sweep.close(ended_by)
    _show(results, sweep.name, sweep.store)
    return outcome


def _show(results: Sequence[RunResult], title: str, store: Store) -> None:
    """Print the table of the runs and how to look at them in a browser."""
    from rich.console import Console

    from pipeline.report.table import make_table, varied_params

    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(make_table(results, title=title, keys=varied_params(results)))
    console.print(f"Look at them: {store.how_to_open()}")


if __name__ == "__main__":
    main()
