"""The code of a promoted model: MLflow copies this file beside the network and runs it.

It needs mlflow, numpy and torch alone. What is no image is refused with a reason (HTTP 400).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model  # pyright: ignore[reportUnknownVariableType]
from mlflow.pyfunc.model import PythonModel, PythonModelContext

MAX_IMAGES = 10_000
"""In one request."""


class Served(PythonModel):
    """A network that takes raw pixels, and refuses anything else."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the network's graph, and what it takes."""
        files: dict[str, str] = context.artifacts
        self._network = torch.export.load(files["network"]).module()
        self._takes: dict[str, int] = json.loads(Path(files["takes"]).read_text())

    def predict(  # pyright: ignore[reportUnknownParameterType]
        self,
        context: PythonModelContext,
        model_input,  # MLflow would take a type here for a schema  # pyright: ignore
        params: dict[str, Any] | None = None,
    ):
        """Return the network's outputs for raw pixels, a row for each image.

        Raises:
            MlflowException: they are no raw pixels, or of another size.
        """
        del context, params
        pixels = np.asarray(cast("Any", model_input))
        features, largest = self._takes["num_features"], self._takes["divide_pixels_by"]
        if pixels.ndim != 2 or pixels.shape[1] != features:
            raise _refusal(f"each image must be {features} pixels, row by row; got {pixels.shape}")
        if not 0 < len(pixels) <= MAX_IMAGES:
            raise _refusal(f"a request must have 1 to {MAX_IMAGES:,} images; got {len(pixels):,}")
        if not np.isfinite(pixels).all():
            raise _refusal("pixels must be numbers; some are NaN or infinite")
        if (pixels < 0).any() or (pixels > largest).any() or (pixels % 1).any():
            raise _refusal(
                f"pixels must be raw ones, whole numbers from 0 to {largest}, divided by nothing"
            )
        with torch.inference_mode():
            return self._network(torch.from_numpy(pixels.astype(np.uint8))).numpy()


def _refusal(why: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f"inputs: {why}.")


set_model(Served())
