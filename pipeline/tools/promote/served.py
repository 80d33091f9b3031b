"""The code of a promoted model: MLflow copies this file beside the network and runs it.

It needs mlflow, numpy, pandas and torch alone. What the network can't read is refused with a reason
(HTTP 400).
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model  # pyright: ignore[reportUnknownVariableType]
from mlflow.pyfunc.model import PythonModel, PythonModelContext

MAX_EXAMPLES = 10_000
"""In one request."""

MAX_NAMED = 20
"""Values of a column that an error lists."""

WHOLE = re.compile(r"([+-]?\d{1,4000})(\.0*)?", re.ASCII)


class Served(PythonModel):
    """A network that takes raw inputs, and refuses anything else.

    Images and numbers come and go as arrays, a row for each example. Rows of a table come under the
    names of its columns, and go as a number for each class under its name, such as
    {"predictions": [{"setosa": 0.98, "versicolor": 0.02}]}.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Read the network's graph, and what it takes."""
        files: dict[str, str] = context.artifacts
        self._network = torch.export.load(files["network"]).module()
        takes = json.loads(Path(files["takes"]).read_text())
        self._inputs: dict[str, Any] = takes["inputs"]
        self._classes: list[str] = takes["classes"]
        self._fills: bool = takes["fills"]

    def predict(  # pyright: ignore
        self,
        context: PythonModelContext,
        model_input,  # MLflow would take a type here for a schema  # pyright: ignore
        params: dict[str, Any] | None = None,
    ):
        """Return the values of the network's output function, a row for each example.

        They are probabilities that sum to 1 (softmax), or each is one for itself (sigmoid).

        Args:
            context: MLflow's own.
            model_input: pixels or numbers, (examples, features); of a table a DataFrame with the
                columns that the network reads, in any order, among others. A value may be missing
                where it was when the network was trained.
            params: none.

        Returns:
            An array (examples, classes); of a table a DataFrame with a column for each class.

        Raises:
            MlflowException: they are none that the network can read.
        """
        del context, params
        examples = cast("Any", model_input)
        if not 0 < len(examples) <= MAX_EXAMPLES:
            raise _refusal(
                f"a request must have 1 to {MAX_EXAMPLES:,} examples; got {len(examples):,}"
            )
        if self._inputs["kind"] == "table":
            return pd.DataFrame(self._outputs(self._encoded(examples)), columns=self._classes)
        read = self._pixels if self._inputs["kind"] == "images" else self._numbers
        return self._outputs(read(np.asarray(examples)))

    def _outputs(self, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            return self._network(torch.from_numpy(inputs)).numpy()

    def _pixels(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        height, width, channels = (self._inputs[key] for key in ("height", "width", "channels"))
        largest = self._inputs["max_pixel"]
        if pixels.ndim != 2 or pixels.shape[1] != height * width * channels:
            colours = "" if channels == 1 else ", red, green and blue of each"
            raise _refusal(
                f"each image must be {height * width * channels} pixels, row by row{colours}; got "
                f"{pixels.shape}"
            )
        if not np.isfinite(pixels).all():
            raise _refusal("pixels must be numbers; some are NaN or infinite")
        if (pixels < 0).any() or (pixels > largest).any() or (pixels % 1).any():
            raise _refusal(
                f"pixels must be raw ones, whole numbers from 0 to {largest}, divided by nothing"
            )
        return pixels.astype(np.uint8)

    def _numbers(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        expected = self._inputs["num_features"]
        if numbers.ndim != 2 or numbers.shape[1] != expected:
            raise _refusal(f"each example must be {expected} numbers; got {numbers.shape}")
        if not np.isfinite(numbers).all():
            raise _refusal("numbers must be finite; some are NaN or infinite")
        return numbers.astype(np.float64)

    def _encoded(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return rows as the network takes them: categories as a 0 or 1 for each value."""
        blocks: list[np.ndarray[Any, Any]] = []
        for column in self._inputs["columns"]:
            encode = ENCODINGS.get(column["kind"])
            if encode is None:  # it is no input
                continue
            name: str = column["name"]
            values: list[Any] = [None] * len(frame)
            if name in frame:
                values = cast("Any", frame[name]).tolist()
            is_missing = [value is None or value != value for value in values]
            if any(is_missing) and not self._fills:
                raise _refusal(
                    f"the column {name} has no value in example {is_missing.index(True)}; the "
                    "network was trained without missing values"
                )
            known = [None if gone else it for it, gone in zip(values, is_missing, strict=True)]
            blocks.append(encode(column, known))
        return np.concatenate(blocks, axis=1)


def _number(column: dict[str, Any], values: list[Any]) -> np.ndarray[Any, Any]:
    """Return a column of numbers as a feature, NaN where a value is missing."""
    feature = np.full((len(values), 1), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _refusal(
                f"the column {column['name']} has {value!r} in example {row}: must be a finite "
                "number"
            )
        feature[row] = value
    return feature


def _one_hot(column: dict[str, Any], values: list[Any]) -> np.ndarray[Any, Any]:
    """Return a column of categories as a feature for each, NaN in all where a value is missing."""
    known: list[str] = column["values"]
    positions = {_plain(text): at for at, text in reversed([*enumerate(known)])}
    positions |= {text: at for at, text in enumerate(known)}
    features = np.zeros((len(values), len(known)))
    for row, value in enumerate(values):
        if value is None:
            features[row] = np.nan
            continue
        text = str(value).strip()
        at = positions.get(text, positions.get(_plain(text)))
        if at is None:
            more = "" if len(known) <= MAX_NAMED else ", …"
            raise _refusal(
                f"the column {column['name']} has {text!r} in example {row}, which the network "
                f"doesn't know: must be one of {', '.join(known[:MAX_NAMED])}{more}"
            )
        features[row, at] = 1
    return features


ENCODINGS = {"number": _number, "category": _one_hot}
"""What a column becomes, by its kind."""


def _plain(text: str) -> str:
    """Return what different ways to write a whole number, true or false have in common."""
    whole = WHOLE.fullmatch(text)
    if whole:
        return str(int(whole[1]))
    return text.lower() if text.lower() in ("true", "false") else text


def _refusal(why: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f"inputs: {why}.")


set_model(Served())
