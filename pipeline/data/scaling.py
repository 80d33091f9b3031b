"""How raw inputs become what a network reads: fitted to training examples, kept with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from pipeline.data.layout import Images, Layout
from pipeline.data.pool import Block

__all__ = ["Scaling", "fit_scaling", "joined"]

FIT_VALUES = 2**23
"""So many values are looked at at a time, with copies in float64."""

Vector = Float[NDArray[np.float64], " _features"]


@dataclass(frozen=True)
class Scaling:
    """`(inputs - shift) / divisor`, feature by feature.

    Attributes:
        shift: what is subtracted.
        divisor: never 0.
        fill: what takes the place of a missing value (NaN) first; None where none may be missing.
    """

    shift: Vector
    divisor: Vector
    fill: Vector | None = None

    def apply(self, inputs: Block) -> Float[NDArray[np.float64], "examples _features"]:
        """Return raw inputs as a network reads them."""
        known = inputs if self.fill is None else np.where(np.isnan(inputs), self.fill, inputs)
        scaled = known - self.shift
        scaled /= self.divisor  # in place: half of the memory that is gone through
        return scaled


def joined(scalings: Sequence[Scaling]) -> Scaling:
    """Return the scaling of neighbouring blocks of features as one."""
    fills = [scaling.fill for scaling in scalings if scaling.fill is not None]
    return Scaling(
        np.concatenate([scaling.shift for scaling in scalings]),
        np.concatenate([scaling.divisor for scaling in scalings]),
        np.concatenate(fills) if fills else None,
    )


def fit_scaling(
    inputs: Block,
    rows: Int[NDArray[np.int64], " _rows"],
    scale: str,
    layout: Layout,
    *,
    fills: bool,
) -> Scaling:
    """Return the scaling of some features.

    Of what is the same in all examples only the least value or the mean is subtracted.

    Args:
        inputs: raw, of all examples.
        rows: the examples to train on; no other has a say.
        scale: none, unit or standard.
        layout: of all features; pixels have one unit.
        fills: missing values become the mean of the others, 0 where all are missing; none of
            pixels are.
    """
    num_features: int = inputs.shape[1]
    if scale == "unit" and isinstance(layout, Images):
        return Scaling(np.zeros(num_features), np.full(num_features, float(layout.max_pixel)))
    if scale == "none" and not fills:
        return Scaling(np.zeros(num_features), np.ones(num_features))
    width = max(1, FIT_VALUES // len(rows))
    blocks = (inputs[:, start : start + width] for start in range(0, num_features, width))
    return joined([_fit(block[rows], scale, fills=fills) for block in blocks])


def _fit(examples: Block, scale: str, *, fills: bool) -> Scaling:
    """Return the scaling of features by all of their values."""
    fill = _mean_of_known(examples) if fills else None
    known = examples if fill is None else np.where(np.isnan(examples), fill, examples)
    shift, divisor = np.zeros(examples.shape[1]), np.ones(examples.shape[1])
    if scale == "unit":
        shift = known.min(axis=0).astype(np.float64)
        divisor = known.max(axis=0) - shift
    elif scale == "standard":
        shift = known.mean(axis=0, dtype=np.float64)
        divisor = known.std(axis=0, dtype=np.float64)
    divisor = np.where(divisor > np.abs(shift) * 1e-12, divisor, 1.0)
    return Scaling(shift, divisor, fill)


def _mean_of_known(examples: Block) -> Vector:
    is_known = ~np.isnan(examples)
    total = np.where(is_known, examples, 0).sum(axis=0, dtype=np.float64)
    return total / np.maximum(is_known.sum(axis=0), 1)
