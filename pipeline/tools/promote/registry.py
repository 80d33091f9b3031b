"""MLflow's registry: a network becomes a version of a registered model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import mlflow.pyfunc
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from pipeline.errors import UserError
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import STORE_ERRORS, Store, reason
from pipeline.trained.classifier import Classifier

__all__ = ["register"]

REQUIREMENTS = ("mlflow", "numpy", "torch")

FOLDER = "model"
"""Among the artifacts of the run."""


def register(
    store: Store,
    run: RunResult,
    network: Classifier,
    *,
    name: str,
    alias: str,
    evidence: Mapping[str, str],
    description: str,
) -> int:
    """Register a run's network and return the version that it becomes.

    Args:
        store: where the run is, and the registry.
        run: that trained it.
        network: as it is to be served.
        name: of the registered model, made if it is new.
        alias: what this version, and no other, is called from now on.
        evidence: tags of the version: where it comes from.
        description: Markdown.

    Raises:
        UserError: the store doesn't take it.
    """
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, FOLDER)
            _save(network, folder)
            store.client.log_artifacts(run.run_id, str(folder), FOLDER)
        source = f"{store.client.get_run(run.run_id).info.artifact_uri}/{FOLDER}"
        _make_model(store, name)
        made = store.client.create_model_version(
            name, source, run.run_id, tags=dict(evidence), description=description
        )
        store.client.set_registered_model_alias(name, alias, made.version)
    except STORE_ERRORS as error:
        raise UserError(f"--name {name}: can't be registered ({reason(error)}).") from error
    return int(made.version)


def _make_model(store: Store, name: str) -> None:
    try:
        store.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _save(network: Classifier, folder: Path) -> None:
    """Write the model's folder: the graph, the code that serves it, what that needs."""
    pixels = TensorSpec(np.dtype(np.float64), (-1, network.num_features))
    outputs = TensorSpec(np.dtype(np.float32), (-1, network.num_classes))
    takes = {
        "num_features": network.num_features,
        "divide_pixels_by": network.divide_pixels_by,
    }
    hints = StringIO()  # for those who write models by hand
    with tempfile.TemporaryDirectory() as temporary, redirect_stderr(hints):
        graph, said = Path(temporary, "network.pt2"), Path(temporary, "takes.json")
        network.write_graph(graph)
        said.write_text(json.dumps(takes))
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"network": str(graph), "takes": str(said)},
            signature=ModelSignature(Schema([pixels]), Schema([outputs])),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
