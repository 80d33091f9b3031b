"""A request that can be typed: a run's first example, as the served model takes it."""

from __future__ import annotations

import json
import shlex

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pipeline.data.layout import NUMBER, Column, Images, Layout, Numbers, Table
from pipeline.errors import UserError
from pipeline.tracking.record import RunResult
from pipeline.trained.classifier import Classifier
from pipeline.trained.stored import read_again

__all__ = ["how_to_ask", "request", "what_it_takes"]

MAX_FEATURES = 200
"""A longer example is not printed."""

NUM_TRIED = 1_000
"""Among so many examples one is looked for that lacks no value."""


def how_to_ask(run: RunResult, network: Classifier, address: str) -> str:
    """Return a command that asks the served model, or words where an example is long or gone.

    Args:
        run: that trained the network.
        network: what is served.
        address: of the server, such as http://127.0.0.1:5001.
    """
    body = _request(run, network)
    if body is None:
        form = (
            '{"dataframe_records": [{"COLUMN": VALUE, …}, …]}'
            if isinstance(network.layout, Table)
            else '{"inputs": [[NUMBER, …], …]}'
        )
        return f"POST {form} to {address}/invocations as application/json"
    header = "'Content-Type: application/json'"
    return f"curl {address}/invocations --header {header} --data {shlex.quote(body)}"


def what_it_takes(layout: Layout) -> str:
    """Return what a model takes, for people."""
    match layout:
        case Table():
            return "rows of the table, each value under the name of its column,"
        case Images():
            colours = "" if layout.channels == 1 else ", three by three"
            return (
                f"raw pixels from 0 to {layout.max_pixel}, row by row{colours}, "
                f"{layout.num_features} for each image"
            )
        case Numbers():
            return f"raw numbers, {layout.num_features} for each example"


def _request(run: RunResult, network: Classifier) -> str | None:
    if network.num_features > MAX_FEATURES:
        return None
    try:
        pool = read_again(run)
    except UserError:
        return None
    examples = np.concatenate([block[:NUM_TRIED] for block in pool.blocks()], axis=1, dtype=float)
    whole_first = np.argsort(np.isnan(examples).any(axis=1), kind="stable")
    return request(examples[whole_first[0]], pool.layout)


def request(example: Float[NDArray[np.float64], " features"], layout: Layout) -> str:
    """Return a request for one example, as JSON.

    Args:
        example: raw features, NaN where a value is missing, which is left out then.
        layout: what they are.
    """
    if not isinstance(layout, Table):
        return json.dumps({"inputs": [[_number(value) for value in example.tolist()]]})
    slices = layout.slices
    values = {
        column.name: _value(column, example[slices[column.name]])
        for column in layout.inputs
        if not np.isnan(example[slices[column.name]]).any()
    }
    return json.dumps({"dataframe_records": [values]}, ensure_ascii=False)


def _value(column: Column, features: Float[NDArray[np.float64], " features"]) -> object:
    """Return a column's value as its features say it."""
    if column.kind == NUMBER:
        return _number(float(features[0]))
    value = column.values[int(features.argmax())]
    return value.lower() == "true" if column.is_boolean else value


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
