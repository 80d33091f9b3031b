"""What a network says of the rows of a table, or of numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pipeline.data.layout import Numbers, Table
from pipeline.data.own.opening import shown
from pipeline.errors import UserError
from pipeline.files import write_whole
from pipeline.tools.predict.examples import Examples, read_numbers, read_table
from pipeline.tools.predict.telling import Teller
from pipeline.trained.classifier import Classifier

__all__ = ["tell_rows"]

NUM_LINES = 20
"""When there are more rows than these, the classes are counted."""

ROWS = 10_000
"""So many go through the network at a time."""


@dataclass(frozen=True)
class Predictions:
    """What a network says of rows."""

    examples: Examples
    outputs: Float[NDArray[np.floating], "rows classes"]
    classes: tuple[str, ...]

    @property
    def predicted(self) -> list[str]:
        """Return the class of each row."""
        return [self.classes[at] for at in self.outputs.argmax(axis=1)]


def tell_rows(
    teller: Teller, layout: Table | Numbers, paths: Sequence[Path], *, output: Path | None
) -> None:
    """Say which class each row is, or how many are of each class.

    Args:
        teller: of the network.
        layout: what it reads.
        paths: one file.
        output: a CSV file to write the rows to, with the outputs as further columns.

    Raises:
        UserError: the file holds something else than the network reads, or it can't be written.
    """
    if len(paths) > 1:
        raise UserError(f"{paths[1]}: this network reads one file at a time. Name one.")
    if output is not None and output.suffix.lower() != ".csv":
        raise UserError(f"--output {output}: its name must end in .csv.")
    read = read_table if isinstance(layout, Table) else read_numbers
    examples = read(paths[0], teller.network)
    outputs = _outputs(teller.network, examples.features)
    predictions = Predictions(examples, outputs, teller.network.classes)
    if output is not None:
        _write(output, predictions)
    if teller.as_json:
        said = ({"row": number, **teller.said(it)} for number, it in enumerate(outputs, start=1))
        teller.print_json("rows", list(said))
        return
    print("\n".join(_lines(teller, predictions, has_output=output is not None)))
    if examples.labels is not None:
        print(_share_right(predictions, examples.labels))
    teller.print_source()


def _outputs(
    network: Classifier, features: Float[NDArray[np.float64], "rows features"]
) -> Float[NDArray[np.floating], "rows classes"]:
    pieces = (features[start : start + ROWS] for start in range(0, len(features), ROWS))
    return np.concatenate([network.outputs(piece) for piece in pieces])


def _lines(teller: Teller, predictions: Predictions, *, has_output: bool) -> list[str]:
    """Return a line for each row; of many, one for each class."""
    outputs, place = predictions.outputs, predictions.examples.place
    if len(outputs) <= NUM_LINES:
        return [f"{place(row)}: {teller.line(it)}" for row, it in enumerate(outputs)]
    counts = np.bincount(outputs.argmax(axis=1), minlength=len(predictions.classes))
    lines = [
        f"{predictions.classes[at]}: {counts[at]:,} rows ({counts[at] / len(outputs):.1%})"
        for at in np.argsort(-counts, kind="stable")
        if counts[at]
    ]
    return lines if has_output else [*lines, "Row by row: --output FILE.csv keeps all."]


def _share_right(predictions: Predictions, labels: Sequence[str]) -> str:
    num_right = sum(map(str.__eq__, predictions.predicted, labels))
    told = f"Right: {num_right:,} of {len(labels):,} rows ({num_right / len(labels):.1%})"
    unknown = [label for label in labels if label not in predictions.classes]
    if not unknown:
        return told
    return (
        f"{told}; {len(unknown):,} have a class that it doesn't know, such as {shown(unknown[0])}"
    )


def _write(path: Path, predictions: Predictions) -> None:
    """Write the rows as they were read, with the class and the outputs; columns so called go.

    Raises:
        UserError: it can't be written.
    """
    added = {"predicted": predictions.predicted} | {
        f"output_{name}": outputs.tolist()
        for name, outputs in zip(predictions.classes, predictions.outputs.T, strict=True)
    }
    columns = {**predictions.examples.columns(), **added}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    try:
        write_whole(path, text.getvalue().encode())
    except OSError as error:
        raise UserError(f"--output {path}: can't be written ({error.strerror}).") from error
