"""What a tracked run has left: its weights, and the examples that it was trained on."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.config.schema.data import DataConfig
from pipeline.data.pool import Pool
from pipeline.data.reading import read_pool
from pipeline.data.tensors import Data, load
from pipeline.errors import UserError
from pipeline.tracking.provenance import data_config
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store
from pipeline.trained.artifacts import fetch_checked
from pipeline.trained.weights import WEIGHTS_FILE, Weights, read_weights

__all__ = ["fetch_weights", "load_again", "read_again"]


def fetch_weights(store: Store, run: RunResult) -> Weights:
    """Return the weights of a finished run.

    Raises:
        UserError: it has none, or they are damaged.
    """
    if run.status != "FINISHED" or WEIGHTS_FILE not in store.artifact_names(run.run_id):
        raise UserError(f"{run.run_id}: is {run.status} and has no weights. Name a finished run.")
    with tempfile.TemporaryDirectory() as temporary:
        path = fetch_checked(store, run.run_id, WEIGHTS_FILE, Path(temporary))
        try:
            return read_weights(path)
        except UserError as error:
            raise UserError(f"{run.run_id}: its {error}. Train it again.") from error


def read_again(run: RunResult) -> Pool:
    """Return the raw examples that a run was trained, validated and tested on.

    Raises:
        UserError: they aren't there any more, or have changed.
    """
    pool = read_pool(_asked(run))
    _require_same(run, pool.digest, pool.source)
    return pool


def load_again(run: RunResult) -> Data:
    """Return the data of a run, divided and scaled as they were for it.

    Raises:
        UserError: they aren't there any more, or have changed.
    """
    data = load(_asked(run))
    _require_same(run, data.digest, data.source)
    return data


def _asked(run: RunResult) -> DataConfig:
    """Return the run's config of the data; nothing is fetched for it."""
    return replace(data_config(run.params), download=False)


def _require_same(run: RunResult, digest: str, source: str) -> None:
    if digest != run.tags.get("data_hash"):
        raise UserError(
            f"{source}: holds other data than when the run {run.run_id[:14]} was trained. Put the "
            "old file back, or train again."
        )
