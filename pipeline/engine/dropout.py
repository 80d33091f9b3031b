"""Dropout: a mask from a uniform draw and p_keep, drawn from one stream per layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pipeline.config.schema import DropoutConfig
from pipeline.engine.streams import generator

__all__ = ["Draws", "active_probabilities", "dropout_mask", "keep_probabilities"]


def dropout_mask(
    draws: Float[Tensor, "*#shape"], p_keep: float | Float[Tensor, "*#shape"], dtype: torch.dtype
) -> Float[Tensor, "*shape"]:
    """Return the factor of each unit: 1/p_keep where it is kept, 0 where it is dropped.

    Inverted dropout (Srivastava et al., 2014, section 10): the expectation of every unit stays
    as it is, so nothing is rescaled at evaluation.

    Args:
        draws: uniform in [0, 1), float32, of any shape.
        p_keep: probability that a unit is kept, 0 < p_keep ≤ 1; a tensor is broadcast.
        dtype: of the result.
    """
    threshold = p_keep.float() if isinstance(p_keep, Tensor) else p_keep
    return (draws < threshold).to(dtype) / p_keep


def keep_probabilities(config: DropoutConfig, num_layers: int) -> tuple[float, ...]:
    """Return p_keep of the inputs, of each hidden layer and of the logits: num_layers + 1 values.

    Args:
        config: which units are dropped.
        num_layers: layers of weights, ≥ 1.
    """
    inputs = hidden = logits = 1.0
    if config.name == "both":
        assert config.p_keep_input is not None
        assert config.p_keep_hidden is not None
        inputs, hidden = config.p_keep_input, config.p_keep_hidden
    elif config.name != "none":
        assert config.p_keep is not None
        inputs = config.p_keep if config.name == "input" else 1.0
        hidden = config.p_keep if config.name == "hidden" else 1.0
        logits = config.p_keep if config.name == "logits" else 1.0
    return (inputs, *[hidden] * (num_layers - 1), logits)


def active_probabilities(config: DropoutConfig, num_layers: int, purpose: str) -> tuple[float, ...]:
    """Return p_keep layer by layer for one purpose: all 1 if the phase doesn't drop then.

    Args:
        config: which units are dropped, and in which phase.
        num_layers: layers of weights, ≥ 1.
        purpose: "train" or "evaluate".
    """
    phases = {"train": ("train", "always"), "evaluate": ("test", "always")}
    if config.phase in phases[purpose]:
        return keep_probabilities(config, num_layers)
    return (1.0,) * (num_layers + 1)


class Draws:
    """The uniform draws of one seed; one independent stream per layer and epoch.

    Runs with the same seed share their draws, whatever their p_keep and wherever they drop.
    Numbers are drawn on the CPU, so that every device drops the same units.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        """Take the run's seed and what is drawn for: "train" or "evaluate"."""
        self._seed = seed
        self._purpose = purpose
        self._epoch = 0
        self._generators: dict[int, Generator] = {}

    def start_epoch(self, epoch: int) -> None:
        """Start the epoch's streams, so that a run can be taken up again at any epoch."""
        self._epoch = epoch
        self._generators = {}

    def draw(
        self, layer: int, shape: torch.Size, device: torch.device
    ) -> Float[Tensor, "batch units"]:
        """Return the next draws for a layer: float32, so that both precisions drop alike."""
        draws = torch.empty(shape, device=device, dtype=torch.float32)
        self.draw_into(draws, layer)
        return draws

    def draw_into(self, place: Float[Tensor, "batch units"], layer: int) -> None:
        """Write the next draws for a layer into a float32 tensor, on whatever device."""
        stream = self._generators.get(layer)
        if stream is None:
            stream = generator(self._seed, "dropout", self._purpose, layer, self._epoch)
            self._generators[layer] = stream
        if place.device.type == "cpu":
            torch.rand(place.shape, generator=stream, out=place)
        else:
            place.copy_(torch.rand(place.shape, generator=stream, dtype=place.dtype))
