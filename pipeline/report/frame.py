"""Runs as a pandas DataFrame: a row for each run and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.comparison.cells import varied_keys
from pipeline.config.arguments import Place
from pipeline.tracking.lookup import find_runs, open_tracked
from pipeline.tracking.record import CURVES, RunResult
from pipeline.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load", "make_frame"]


def load(
    *wanted: str, root: Path | str | None = None, uri: str | None = None, all_params: bool = False
) -> pd.DataFrame:
    """Return runs as a DataFrame, a row for each run and evaluated epoch.

    Columns: run_id, sweep_id, name, status, seed, the params that varied, epoch, and the metrics
    by their names (train/loss, val/accuracy, …). A run without an epoch has one row of its own.

    Args:
        wanted: sweeps, experiments or runs: an id or how it begins, a name, or `last` for the
            newest sweep, which is the default.
        root: the folder of mlflow.db; by default where `python -m pipeline` keeps it.
        uri: another tracking store than that, such as a server's address.
        all_params: give all params, not just those that varied.

    Raises:
        UserError: there is no such, or nothing was tracked there.
    """
    store = open_tracked(Place.at(root, uri))
    return make_frame(store, wanted or ("last",), all_params=all_params)


def make_frame(store: Store, wanted: Sequence[str], *, all_params: bool = False) -> pd.DataFrame:
    """Return the runs of a store as a DataFrame; see `load`."""
    import pandas as pd  # imports for half a second

    runs = store.with_curves(find_runs(store, wanted).runs)
    every = dict.fromkeys(key for run in runs for key in run.params)
    keys = list(every) if all_params else varied_keys(run.params for run in runs)
    names = ["seed", *(key for key in keys if key != "seed")]
    rows = [row for run in runs for row in _rows(run, names)]
    columns = ["run_id", "sweep_id", "name", "status", *names, "epoch", *CURVES]
    frame = pd.DataFrame(rows, columns=columns)
    for name in names:
        frame[name] = _as_numbers(frame[name])
    return frame


def _rows(run: RunResult, names: Sequence[str]) -> list[dict[str, Any]]:
    about = {
        "run_id": run.run_id,
        "sweep_id": run.tags.get("mlflow.parentRunId"),
        "name": run.name,
        "status": run.status,
        **{name: run.params.get(name) for name in names},
    }
    num_epochs = max(map(len, run.curves.values()), default=0)
    epochs = [
        {key: values[epoch] for key, values in run.curves.items() if epoch < len(values)}
        for epoch in range(num_epochs)
    ]
    evaluated = [
        about | {"epoch": number} | metrics
        for number, metrics in enumerate(epochs, start=1)
        if any(value == value for value in metrics.values())
    ]
    return evaluated or [about]


def _as_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of texts as numbers, if all of them are."""
    import pandas as pd

    try:
        return pd.to_numeric(column)
    except ValueError:
        return column
