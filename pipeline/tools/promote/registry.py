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
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from pipeline.data.layout import CATEGORY, NUMBER, Table, as_json
from pipeline.errors import UserError
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import STORE_ERRORS, Store, reason
from pipeline.trained.classifier import Classifier

__all__ = ["register"]

REQUIREMENTS = ("mlflow", "numpy", "pandas", "torch")

TYPES = {NUMBER: "double", CATEGORY: "string"}
"""What MLflow takes for a column; its "boolean" would take the text "False" for true."""

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
    takes = {
        "inputs": as_json(network.layout),
        "classes": network.classes,
        "fills": network.fills_missing,
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
            signature=_signature(network),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )


def _signature(network: Classifier) -> ModelSignature:
    """Return what the model takes and gives: arrays, or a table's columns and classes by name."""
    if isinstance(network.layout, Table):
        takes: list[ColSpec | TensorSpec] = [
            ColSpec(TYPES[column.kind], column.name, required=not network.fills_missing)
            for column in network.layout.inputs
        ]
        gives = "double" if network.dtype == torch.float64 else "float"
        return ModelSignature(
            Schema(takes), Schema([ColSpec(gives, name) for name in network.classes])
        )
    output = np.dtype(np.float64 if network.dtype == torch.float64 else np.float32)
    return ModelSignature(
        Schema([TensorSpec(np.dtype(np.float64), (-1, network.num_features))]),
        Schema([TensorSpec(output, (-1, network.num_classes))]),
    )
