"""The trained network of a run, for a notebook and for the commands that use it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import Place
from pipeline.errors import UserError
from pipeline.files import CHECKSUMS, damaged_files
from pipeline.tracking.lookup import open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store
from pipeline.trained.classifier import Classifier
from pipeline.trained.weights import WEIGHTS_FILE, Weights, read_weights

__all__ = ["fetch_weights", "network", "weights"]


def fetch_weights(store: Store, run: RunResult) -> Weights:
    """Return the weights of a finished run.

    Raises:
        UserError: it has none, or they are damaged.
    """
    if run.status != "FINISHED" or WEIGHTS_FILE not in store.artifact_names(run.run_id):
        raise UserError(f"{run.run_id}: is {run.status} and has no weights. Name a finished run.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in (WEIGHTS_FILE, CHECKSUMS):
            store.fetch_artifact(run.run_id, name, folder)
        if WEIGHTS_FILE in damaged_files(folder):
            raise UserError(
                f"{run.run_id}: its {WEIGHTS_FILE} is damaged (its checksum is another). Train it "
                "again."
            )
        try:
            return read_weights(folder / WEIGHTS_FILE)
        except UserError as error:
            raise UserError(f"{run.run_id}: its {error}. Train it again.") from error


def weights(run: str, *, root: Path | str | None = None, uri: str | None = None) -> Weights:
    """Return the weights of a trained network, for plain PyTorch.

    Feed them with raw pixels divided by the result's `divide_pixels_by`, a row of them for each
    image; anything else makes the network worse without a word.

    Args:
        run: a run's id or how it begins, or its name; of a sweep, or `last` for the newest one, the
            run that the validation examples choose.
        root: the folder of mlflow.db; by default where `python -m pipeline` keeps it.
        uri: another tracking store than that, such as a server's address.

    Returns:
        The tensors by name (layer1.weight, layer1.bias, …), with `divide_pixels_by` and `header`.

    Raises:
        UserError: there is no such run, nothing can be chosen, or its file is damaged.
    """
    store = open_tracked(Place.at(root, uri))
    return fetch_weights(store, choose_run(store, run).run)


def network(run: str, *, root: Path | str | None = None, uri: str | None = None) -> Classifier:
    """Return a trained network as a torch.nn.Module that takes raw pixels and scales them itself.

    Args:
        run: see `weights`.
        root: see `weights`.
        uri: see `weights`.

    Returns:
        The network. `network(pixels)` takes uint8 images (batch, …) and returns the values of its
        output function (batch, classes); `network.logits(pixels)` what goes into that.

    Raises:
        UserError: see `weights`.
    """
    return weights(run, root=root, uri=uri).network()
