"""The weights of a trained network, and what they need to be told: they lie in one file.

The header of weights.safetensors says what the inputs are and which layers there are, as JSON under
the key "network"; how inputs are scaled lies beside the weights. Without it a network that reads
pixels / 255 would be fed with something else, and be worse without a word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from pipeline.config.schema import Config, ModelConfig
from pipeline.data.layout import Layout, as_json, from_json
from pipeline.data.scaling import Scaling
from pipeline.data.tensors import Data
from pipeline.errors import UserError
from pipeline.trained.classifier import Classifier

__all__ = ["WEIGHTS_FILE", "Header", "Weights", "header_of", "read_weights", "write_weights"]

WEIGHTS_FILE = "weights.safetensors"
KEY = "network"

INPUTS = "inputs."
"""How the names of the tensors begin that scale the inputs."""


@dataclass(frozen=True)
class Header:
    """What a file of weights says of its network."""

    data: str
    """The data set, by its name in conf/data."""
    inputs: Layout
    """What the raw inputs are."""
    classes: tuple[str, ...]
    """The names of the outputs, in their order."""
    hidden: list[int]
    """Units of each hidden layer."""
    activation: str
    """The activation function of the hidden units."""
    output: str
    """The output function: softmax or sigmoid."""

    def as_metadata(self) -> dict[str, str]:
        """Return it as the metadata of a safetensors file."""
        return {KEY: json.dumps(asdict(self) | {"inputs": as_json(self.inputs)})}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Header:
        """Return what `as_metadata` has written.

        Raises:
            KeyError, TypeError, ValueError: it was written by something else.
        """
        said = json.loads(metadata[KEY])
        known = {"inputs": from_json(said["inputs"]), "classes": tuple(said["classes"])}
        return cls(**said | known)


def header_of(config: Config, data: Data) -> Header:
    """Return what to say of a config's network."""
    return Header(
        data=data.name,
        inputs=data.layout,
        classes=data.classes,
        hidden=config.model.hidden,
        activation=config.model.activation,
        output=config.model.output,
    )


class Weights(Mapping[str, Tensor]):
    """The parameters of a trained network by name, and what its inputs are.

    The names are layer1.weight (out, in), layer1.bias (out), layer2.weight and so on. Feed them
    with `weights.scaled(inputs)`; `weights.network()` does that by itself.
    """

    def __init__(self, tensors: Mapping[str, Tensor], header: Header, scaling: Scaling) -> None:
        self._tensors = dict(tensors)
        self.header = header
        self.scaling = scaling

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        shapes = (f"{name} {tuple(tensor.shape)}" for name, tensor in self.items())
        return f"Weights({self.header}, {', '.join(shapes)})"

    def scaled(self, inputs: NDArray[np.generic] | Tensor) -> Float[Tensor, "batch features"]:
        """Return raw inputs, a row for each example, as the first layer reads them."""
        raw = np.asarray(inputs).reshape(len(inputs), -1)
        dtype = next(iter(self._tensors.values())).dtype
        return torch.from_numpy(self.scaling.apply(raw)).to(dtype)

    def network(self) -> Classifier:
        """Return the network as a torch.nn.Module that takes raw inputs."""
        header = self.header
        return Classifier(
            ModelConfig(header.hidden, activation=header.activation, output=header.output),
            self,
            classes=header.classes,
            layout=header.inputs,
            scaling=self.scaling,
        )


def write_weights(
    path: Path, parameters: Mapping[str, Tensor], header: Header, scaling: Scaling
) -> None:
    """Write a network's parameters with all that is needed to use them.

    Raises:
        OSError, SafetensorError: it can't be written.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in parameters.items()}
    for name, vector in vars(scaling).items():
        if vector is not None:
            tensors[INPUTS + name] = torch.from_numpy(vector)
    save_file(tensors, path, header.as_metadata())


def read_weights(path: Path) -> Weights:
    """Return the weights that a file holds.

    Raises:
        UserError: it can't be read, or doesn't say what the inputs are.
    """
    try:
        with cast("Any", safe_open)(path, "pt") as file:
            names: list[str] = file.keys()  # the file itself can't be iterated
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
            metadata: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"{path.name} can't be read ({error})") from error
    of_inputs = {
        name.removeprefix(INPUTS): tensors.pop(name).numpy()
        for name in list(tensors)
        if name.startswith(INPUTS)
    }
    try:
        return Weights(tensors, Header.from_metadata(metadata), Scaling(**of_inputs))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path.name} doesn't say what its inputs are ({error!r})") from error
