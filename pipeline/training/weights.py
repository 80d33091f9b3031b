"""The weights of a trained network, and what they need to be told: they lie in one file.

The header of weights.safetensors says how pixels become inputs and which layers there are, as JSON
under the key "network". Without it a network that reads pixels / 255 would be fed with something
else, and be worse without a word.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import Place
from pipeline.config.schema import Config, ModelConfig
from pipeline.data.catalog import find_dataset
from pipeline.errors import UserError
from pipeline.files import CHECKSUMS, damaged_files
from pipeline.tracking.lookup import open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store
from pipeline.training.classifier import Classifier

__all__ = ["WEIGHTS_FILE", "Header", "Weights", "fetch_weights", "network", "weights"]

WEIGHTS_FILE = "weights.safetensors"
KEY = "network"


@dataclass(frozen=True)
class Header:
    """What a file of weights says of its network."""

    data: str
    """The data set, by its name in the catalog."""
    divide_pixels_by: int
    """Inputs are raw pixels, row by row, divided by this."""
    layers: list[int]
    """How many numbers each layer has: pixels, hidden units, classes."""
    activation: str
    """The activation function of the hidden units."""
    output: str
    """The output function: softmax or sigmoid."""

    @classmethod
    def of(cls, config: Config) -> Header:
        """Return what to say of a config's network."""
        dataset = find_dataset(config.data.name)
        return cls(
            data=dataset.name,
            divide_pixels_by=dataset.max_pixel,
            layers=[dataset.num_features, *config.model.hidden, dataset.num_classes],
            activation=config.model.activation,
            output=config.model.output,
        )

    def as_metadata(self) -> dict[str, str]:
        """Return it as the metadata of a safetensors file."""
        return {KEY: json.dumps(asdict(self))}


class Weights(Mapping[str, Tensor]):
    """The parameters of a trained network by name, and what its inputs are.

    The names are layer1.weight (out, in), layer1.bias (out), layer2.weight and so on. Feed them
    with `pixels / weights.divide_pixels_by`; `weights.network()` does that by itself.
    """

    def __init__(self, tensors: Mapping[str, Tensor], header: Header) -> None:
        self._tensors = dict(tensors)
        self.header = header

    @property
    def divide_pixels_by(self) -> int:
        """What raw pixels are divided by before the first layer: 255 for MNIST, 16 for digits."""
        return self.header.divide_pixels_by

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        shapes = (f"{name} {tuple(tensor.shape)}" for name, tensor in self.items())
        said = (f"{key}={value!r}" for key, value in asdict(self.header).items())
        return f"Weights({', '.join((*said, *shapes))})"

    def network(self) -> Classifier:
        """Return the network as a torch.nn.Module that takes raw pixels, uint8."""
        header = self.header
        hidden = header.layers[1:-1]
        return Classifier(
            ModelConfig(hidden, activation=header.activation, output=header.output),
            self,
            num_features=header.layers[0],
            num_classes=header.layers[-1],
            divide_pixels_by=header.divide_pixels_by,
        )


def fetch_weights(store: Store, run: RunResult) -> Weights:
    """Return the weights of a finished run.

    Raises:
        UserError: it has none, or they are damaged.
    """
    said = f"{run.run_id}: its {WEIGHTS_FILE}"
    if run.status != "FINISHED" or WEIGHTS_FILE not in store.artifact_names(run.run_id):
        raise UserError(f"{run.run_id}: is {run.status} and has no weights. Name a finished run.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in (WEIGHTS_FILE, CHECKSUMS):
            store.fetch_artifact(run.run_id, name, folder)
        if WEIGHTS_FILE in damaged_files(folder):
            raise UserError(f"{said} is damaged (its checksum is another). Train it again.")
        try:
            tensors, metadata = _read(folder / WEIGHTS_FILE)
        except SafetensorError as error:
            raise UserError(f"{said} can't be read ({error}). Train it again.") from error
    if KEY not in metadata:
        raise UserError(f"{said} doesn't say how pixels become inputs. Train it again.")
    return Weights(tensors, Header(**json.loads(metadata[KEY])))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, and its metadata."""
    with cast("Any", safe_open)(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


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
