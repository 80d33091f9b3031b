"""What the chosen run's network reads: its weights as images, or how much it needs each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.data.layout import Images, Numbers, Table
from pipeline.errors import UserError
from pipeline.report.charts.classes import weights_chart
from pipeline.report.charts.importance import importance_chart
from pipeline.report.page import Figure
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

if TYPE_CHECKING:
    from pipeline.trained.weights import Weights

__all__ = ["reading_figure"]

MAX_COLUMNS = 300
"""Columns are shuffled one after the other: of more that would take minutes."""


def reading_figure(store: Store, run: RunResult) -> Figure | None:
    """Return the figure of what a network reads; None of images that a hidden layer reads.

    Of a table or of numbers that is the permutation importance of each column, of images the
    weights of each class.

    Args:
        store: that the run is in.
        run: a finished one.

    Raises:
        UserError: its weights are damaged; its data are gone or others now, or have too many
            columns.
    """
    from pipeline.trained.stored import fetch_weights

    weights = fetch_weights(store, run)
    match weights.header.inputs:
        case Images() as images:
            return _weights_figure(weights, images)
        case Table() | Numbers() as columns:
            return _importance_figure(weights, columns, run)


def _weights_figure(weights: Weights, images: Images) -> Figure | None:
    if weights.header.hidden:
        return None
    shape = (images.height, images.width, images.channels)
    spec = weights_chart(weights["layer1.weight"].numpy(), weights.header.classes, shape)
    return Figure("weights", "What the chosen run looks for", spec)


def _importance_figure(weights: Weights, layout: Table | Numbers, run: RunResult) -> Figure:
    from pipeline.trained.importance import features_by_column, permutation_importance
    from pipeline.trained.stored import load_again

    columns = features_by_column(layout)
    if len(columns) > MAX_COLUMNS:
        raise UserError(f"there are {len(columns):,} columns; at most {MAX_COLUMNS} are shown")
    data = load_again(run)
    part, examples = ("validation", data.val) if len(data.val) else ("test", data.test)
    found = permutation_importance(weights.network(), examples, columns)
    spec = importance_chart(found, part)
    return Figure("importance", "Which columns the chosen run needs", spec)
