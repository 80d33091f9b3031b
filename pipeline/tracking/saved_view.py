"""Views of MLflow's run table that show what varied: saved in its store, opened by their address.

MLflow keeps a saved view as a tag of the experiment: its name, its times, and what the page is to
show, as JSON that is deflated. An address that ends with the tag's key opens the page in that view.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pipeline.tracking.record import RunResult, now_ms
from pipeline.tracking.store import STORE_ERRORS, Store

__all__ = ["View", "page", "run_page", "save_view", "view_of_experiment", "view_of_sweep"]

TAG = "mlflow.sharedViewState."

METRICS = ("val/accuracy", "test/accuracy", "train/loss", "time/fit_s")
"""The columns behind those of what varied."""

OF_SWEEPS = ("chosen/val_accuracy", "chosen/test_accuracy")
"""The columns of what sweeps have found."""

CHARTS = {"val": ("accuracy", "loss"), "train": ("loss", "accuracy"), "test": ("accuracy", "loss")}
"""The charts by epoch, section by section."""

CLOSED = ("best", "time")
"""Sections that begin closed: what is in them has one value a run."""

MAX_PARAMS = 12
"""So many columns of what varied, at most."""

RUN_COLUMNS = ("attributes.`Run Name`", "runDateAndNestInfo")
"""Columns that MLflow always shows, and first."""

DATASET_COLUMN = "attributes.`Dataset`"

WIDTHS = {
    "attributes.`Run Name`": 260,
    "runDateAndNestInfo": 140,
    "params.": 110,
    "metrics.": 125,
    "metrics.`chosen": 180,
}
"""In pixels, by how a column's id begins."""


@dataclass(frozen=True)
class View:
    """What MLflow's run table shows."""

    key: str
    """The key of the tag, and of the view in the address."""
    name: str
    """In the page's menu of views."""
    state: dict[str, Any]
    """In the page's own words."""


def view_of_experiment(params: Sequence[str]) -> View:
    """Return the view of all runs of an experiment, those of a sweep under its parent.

    Args:
        params: that have columns, the first ones of them if they are many.
    """
    return View("pipeline", "what varied", _table(params, (*OF_SWEEPS, *METRICS)) | _charts())


def view_of_sweep(parent: RunResult, params: Sequence[str]) -> View:
    """Return the view of a sweep's runs, the highest validation accuracy first.

    Args:
        parent: the sweep.
        params: that have columns, the first ones of them if they are many.
    """
    runs = {
        "searchFilter": f"tags.mlflow.parentRunId = '{parent.run_id}'",
        "orderByKey": "metrics.`val/accuracy`",
        "orderByAsc": False,
        "runsHiddenMode": "FIRST_20_RUNS",
    }
    return View(
        parent.run_id, f"sweep {parent.name}"[:80], _table(params, METRICS) | _charts() | runs
    )


def _table(params: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    columns = [
        *(f"params.`{key}`" for key in params[:MAX_PARAMS]),
        *(f"metrics.`{key}`" for key in metrics),
    ]
    order = [*RUN_COLUMNS, *columns, DATASET_COLUMN]
    widths = {
        column: width
        for column in order
        for beginning, width in WIDTHS.items()
        if column.startswith(beginning)
    }
    return {
        "selectedColumns": [*columns, DATASET_COLUMN],
        "columnOrder": order,
        "columnWidths": widths,
    }


def _charts() -> dict[str, Any]:
    """Return the charts, validation first; MLflow adds those of other metrics itself."""
    names = [*CHARTS, *CLOSED]
    sections = [
        {
            "uuid": name,
            "name": name,
            "display": name not in CLOSED,
            "isReordered": False,
            "deleted": False,
            "isGenerated": True,
        }
        for name in names
    ]
    charts: list[dict[str, Any]] = [
        {
            "uuid": f"{section}-{metric}",
            "type": "LINE",
            "metricSectionId": section,
            "metricKey": f"{section}/{metric}",
            "displayName": metric,
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "range": {},
            "ignoreOutliers": False,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
            "runsCountToCompare": 10,
            "deleted": False,
            "isGenerated": True,
        }
        for section, metrics in CHARTS.items()
        for metric in metrics
    ]
    return {
        "compareRunSections": sections,
        "compareRunCharts": charts,
        "isAccordionReordered": True,  # the sections keep this order
    }


def save_view(store: Store, experiment_id: str, view: View) -> None:
    """Save a view in the place of an earlier one of the same key.

    Raises:
        UserError: the store doesn't take it.
    """
    now = now_ms()
    deflated = zlib.compress(json.dumps(view.state).encode())
    saved = {
        "name": view.name,
        "createdAt": now,
        "updatedAt": now,
        "state": f"deflate;{base64.b64encode(deflated).decode()}",
    }
    try:
        store.client.set_experiment_tag(experiment_id, TAG + view.key, json.dumps(saved))
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error


def page(server: str, experiment_id: str, view: View) -> str:
    """Return the address of an experiment's training runs in a saved view.

    Args:
        server: MLflow's address, such as http://127.0.0.1:5000.
        experiment_id: theirs.
        view: saved there.
    """
    words = urlencode({"workflowType": "machine_learning", "viewStateShareKey": view.key})
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{words}"


def run_page(server: str, experiment_id: str, run_id: str) -> str:
    """Return the address of one run's page."""
    words = urlencode({"workflowType": "machine_learning"})
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?{words}"
