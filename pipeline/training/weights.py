"""The weights of a trained network, and what they need to be told: they lie in one file.

The header of weights.safetensors says how pixels become inputs and which layers there are, as JSON
under the key "network". Without it a network that reads pixels / 255 would be fed with something
else, and be worse without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.config.schema import Config, ModelConfig
from pipeline.data.catalog import find_dataset
from pipeline.errors import UserError
from pipeline.training.classifier import Classifier

__all__ = ["WEIGHTS_FILE", "Header", "Weights", "read_weights"]

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


def read_weights(path: Path) -> Weights:
    """Return the weights that a file holds.

    Raises:
        UserError: it can't be read, or doesn't say how pixels become inputs.
    """
    try:
        with cast("Any", safe_open)(path, "pt") as file:
            names = file.keys()  # the file itself can't be iterated
            tensors = {name: file.get_tensor(name) for name in names}
            metadata: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{path.name} can't be read ({error})") from error
    if KEY not in metadata:
        raise UserError(f"{path.name} doesn't say how pixels become inputs")
    return Weights(tensors, Header(**json.loads(metadata[KEY])))
