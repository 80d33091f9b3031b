"""A trained network by itself: raw inputs in, the values of its output function out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config.schema import ModelConfig
from pipeline.data.layout import Images, Layout
from pipeline.data.scaling import Scaling
from pipeline.engine.activations import make_activation
from pipeline.engine.layers import Layer
from pipeline.engine.network import make_layers
from pipeline.errors import UserError

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """A trained network that takes inputs as they are in a file, and scales them itself.

    It never drops units. Its parameters have the names that they have in weights.safetensors.
    """

    def __init__(
        self,
        model: ModelConfig,
        parameters: Mapping[str, Tensor],
        *,
        classes: tuple[str, ...],
        layout: Layout,
        scaling: Scaling,
    ) -> None:
        """Take a model's config and its trained parameters.

        Args:
            model: layers, activation and output function.
            parameters: by name, such as layer1.weight (out, in) and layer1.bias (out).
            classes: the names of the outputs, in their order.
            layout: what the raw inputs are.
            scaling: what is done to them first.
        """
        super().__init__()
        self.output = model.output
        self.classes = classes
        self.layout = layout
        self._activation = make_activation(model)
        self._layers = make_layers(model, layout.num_features, len(classes))
        for number, layer in enumerate(self._layers, start=1):
            own = {name: parameters[f"layer{number}.{name}"] for name in layer.parameter_names}
            self.add_module(f"layer{number}", nn.ParameterDict(own))
        self._shift = nn.Buffer(torch.from_numpy(scaling.shift), persistent=False)
        self._divisor = nn.Buffer(torch.from_numpy(scaling.divisor), persistent=False)
        self._fill = (
            None
            if scaling.fill is None
            else nn.Buffer(torch.from_numpy(scaling.fill), persistent=False)
        )
        self.requires_grad_(requires_grad=False).eval()

    @property
    def num_features(self) -> int:
        """Return how many raw numbers one input has."""
        return self.layout.num_features

    @property
    def num_classes(self) -> int:
        """Return how many outputs there are."""
        return len(self.classes)

    @property
    def fills_missing(self) -> bool:
        """Return whether a value may be missing (NaN): the mean of training takes its place."""
        return self._fill is not None

    @property
    def dtype(self) -> torch.dtype:
        """Return the type in which it computes."""
        return self.get_parameter("layer1.weight").dtype

    def forward(self, inputs: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Return the outputs: probabilities that sum to 1 (softmax), or each for itself (sigmoid).

        Args:
            inputs: raw, `num_features` for each example in any shape: pixels as uint8, numbers of
                other data as any floats, NaN where a value is missing and may be. The network
                scales them.

        Raises:
            UserError: they are of another type, or size.
        """
        logits = self.logits(inputs)
        return logits.softmax(1) if self.output == "softmax" else logits.sigmoid()

    def logits(self, inputs: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        """Return the weighted inputs of the last layer; see `forward`."""
        self._check(inputs)
        scaled = self._scaled(inputs.flatten(1).double()).to(self.dtype)
        return self.logits_above(self.first_weighted(scaled))

    def first_weighted(
        self, scaled: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch units"]:
        """Return the weighted inputs of the first layer for inputs that are scaled already."""
        (first, parameters), *_ = self._layers_with_parameters()
        return first.forward(parameters, scaled.T.unsqueeze(0)).squeeze(0).T

    def logits_above(
        self, weighted: Float[Tensor, "batch units"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits that follow from the weighted inputs of the first layer."""
        units = weighted.T.unsqueeze(0)  # as layers have it: one member, an example per column
        for layer, parameters in self._layers_with_parameters()[1:]:
            units = layer.forward(parameters, self._activation(units))
        return units.squeeze(0).T

    def _layers_with_parameters(self) -> list[tuple[Layer, list[Tensor]]]:
        return [
            (
                layer,
                [
                    self.get_parameter(f"layer{number}.{name}").unsqueeze(0)
                    for name in layer.parameter_names
                ],
            )
            for number, layer in enumerate(self._layers, start=1)
        ]

    def _check(self, inputs: Tensor) -> None:
        is_image = isinstance(self.layout, Images)
        is_type = inputs.dtype == torch.uint8 if is_image else inputs.dtype.is_floating_point
        if is_type and inputs[0].numel() == self.num_features:
            return
        if isinstance(self.layout, Images):
            what = f"pixels, whole numbers from 0 to {self.layout.max_pixel} of type torch.uint8"
        else:
            what = "numbers of a floating point type"
        raise UserError(
            f"inputs: must be raw {what}, {self.num_features} for each example; got "
            f"{inputs.dtype} in the shape {tuple(inputs.shape)}. The network scales them itself."
        )

    def _scaled(self, inputs: Tensor) -> Tensor:
        known = inputs if self._fill is None else torch.where(inputs.isnan(), self._fill, inputs)
        return (known - self._shift) / self._divisor

    def outputs(self, inputs: Shaped[NDArray[np.generic], "batch ..."]) -> NDArray[np.floating]:
        """Return what `forward` does, for numpy."""
        return self(torch.from_numpy(inputs)).numpy()

    def write_graph(self, path: Path) -> None:
        """Write the network as a graph of PyTorch's export (pt2), for any number of examples."""
        dtype = torch.uint8 if isinstance(self.layout, Images) else torch.float64
        example = torch.zeros(2, self.num_features, dtype=dtype)
        batch = {0: torch.export.Dim("batch", min=1)}
        torch.export.save(torch.export.export(self, (example,), dynamic_shapes=(batch,)), path)
