"""The trained network of a run, for a notebook."""

from __future__ import annotations

from pathlib import Path

from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import Place
from pipeline.tracking.lookup import open_tracked
from pipeline.trained.classifier import Classifier
from pipeline.trained.stored import fetch_weights
from pipeline.trained.weights import Weights

__all__ = ["network", "weights"]


def weights(run: str, *, root: Path | str | None = None, uri: str | None = None) -> Weights:
    """Return the weights of a trained network, for plain PyTorch.

    They read scaled inputs: feed them with `weights.scaled(inputs)`, whose inputs are raw, a row
    for each example; anything else makes the network worse without a word. Raw inputs are pixels
    as they are in an image, numbers as they are in an array, and of a table the features that
    `weights.header.inputs` lists: its numbers, and 0 or 1 for each value of a category.

    Args:
        run: a run's id or how it begins, or its name; of a sweep, or `last` for the newest one, the
            run that the validation examples choose.
        root: the folder of mlflow.db; by default where `python -m pipeline` keeps it.
        uri: another tracking store than that, such as a server's address.

    Returns:
        The tensors by name (layer1.weight, layer1.bias, …), with `header`, which says what the
        inputs and the classes are, and `scaling`.

    Raises:
        UserError: there is no such run, nothing can be chosen, or its file is damaged.
    """
    store = open_tracked(Place.at(root, uri))
    return fetch_weights(store, choose_run(store, run).run)


def network(run: str, *, root: Path | str | None = None, uri: str | None = None) -> Classifier:
    """Return a trained network as a torch.nn.Module that takes raw inputs and scales them itself.

    Args:
        run: see `weights`.
        root: see `weights`.
        uri: see `weights`.

    Returns:
        The network. `network(inputs)` returns the values of its output function (batch, classes),
        `network.logits(inputs)` what goes into that. Inputs are uint8 pixels (batch, …) of images;
        of a table or of arrays raw numbers (batch, features) of a floating point type, in the order
        of `network.layout`. `network.classes` names the outputs.

    Raises:
        UserError: see `weights`.
    """
    return weights(run, root=root, uri=uri).network()
