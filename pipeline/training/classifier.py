"""A trained network by itself: raw pixels in, the values of its output function out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config.schema import ModelConfig
from pipeline.engine.activations import make_activation
from pipeline.engine.network import make_layers
from pipeline.errors import UserError

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """A trained network that takes pixels as they are in an image file, and scales them itself.

    It never drops units. Its parameters have the names that they have in weights.safetensors.
    """

    def __init__(
        self,
        model: ModelConfig,
        parameters: Mapping[str, Tensor],
        *,
        num_features: int,
        num_classes: int,
        divide_pixels_by: int,
    ) -> None:
        """Take a model's config and its trained parameters.

        Args:
            model: layers, activation and output function.
            parameters: by name, such as layer1.weight (out, in) and layer1.bias (out).
            num_features: pixels of an image.
            num_classes: how many outputs there are.
            divide_pixels_by: the largest raw pixel; it becomes 1.
        """
        super().__init__()
        self.output = model.output
        self.num_features = num_features
        self.num_classes = num_classes
        self.divide_pixels_by = divide_pixels_by
        self._activation = make_activation(model)
        self._layers = make_layers(model, num_features, num_classes)
        for number, layer in enumerate(self._layers, start=1):
            own = {name: parameters[f"layer{number}.{name}"] for name in layer.parameter_names}
            self.add_module(f"layer{number}", nn.ParameterDict(own))
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, pixels: UInt8[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Return the outputs: probabilities that sum to 1 (softmax), or each for itself (sigmoid).

        Args:
            pixels: images of any shape with `num_features` raw pixels each, divided by nothing.

        Raises:
            UserError: they are of another type, or size.
        """
        logits = self.logits(pixels)
        return logits.softmax(1) if self.output == "softmax" else logits.sigmoid()

    def logits(self, pixels: UInt8[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Return the weighted inputs of the last layer; see `forward`."""
        if pixels.dtype != torch.uint8 or pixels[0].numel() != self.num_features:
            raise UserError(
                f"pixels: must be raw ones, whole numbers from 0 to {self.divide_pixels_by} of "
                f"type torch.uint8, {self.num_features} for each image; got {pixels.dtype} in "
                f"the shape {tuple(pixels.shape)}. The network divides them itself."
            )
        own = [
            [self.get_parameter(f"layer{number}.{name}") for name in layer.parameter_names]
            for number, layer in enumerate(self._layers, start=1)
        ]
        inputs = pixels.flatten(1).to(own[0][0].dtype).div(self.divide_pixels_by)
        units = inputs.T.unsqueeze(0)  # as the layers have it: one member, an example per column
        for number, (layer, parameters) in enumerate(zip(self._layers, own, strict=True)):
            read = units if number == 0 else self._activation(units)
            units = layer.forward([parameter.unsqueeze(0) for parameter in parameters], read)
        return units.squeeze(0).T

    def outputs(self, pixels: NDArray[np.uint8]) -> NDArray[np.floating]:
        """Return what `forward` does, for numpy."""
        return self(torch.from_numpy(pixels)).numpy()

    def write_graph(self, path: Path) -> None:
        """Write the network as a graph of PyTorch's export (pt2): no code, any number of images."""
        example = torch.zeros(2, self.num_features, dtype=torch.uint8)
        batch = {0: torch.export.Dim("batch", min=1)}
        torch.export.save(torch.export.export(self, (example,), dynamic_shapes=(batch,)), path)
