"""How much a trained network needs each column: what it loses when a column's values are shuffled.

Permutation importance (Breiman, "Random Forests", 2001, section 10; Fisher, Rudin & Dominici, "All
Models are Wrong, but Many are Useful", 2019). It tells what this network reads, not what causes
what: of two columns that say the same, either may look dispensable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]
from torch import Tensor

from pipeline.data.layout import Numbers, Table
from pipeline.data.tensors import Split
from pipeline.engine.threads import num_threads
from pipeline.trained.classifier import Classifier

__all__ = ["Importance", "features_by_column", "permutation_importance"]

CONFIDENCE = 0.95

MAX_EXAMPLES = 20_000
"""The first so many examples are shuffled; more tell little more and take longer."""

MAX_PRODUCTS, MIN_EXAMPLES = 1e12, 1_000
"""Multiplications after the first layer, beyond which fewer examples are shuffled, but so many."""

ROWS = 2_048
"""So many inputs go through the network at a time, which lie in a processor's cache."""


@dataclass(frozen=True)
class Importance:
    """By how much the accuracy falls when the values of a column are shuffled among examples."""

    name: str
    """The column."""
    drop: float
    """In points of accuracy, the mean over shuffles; below 0 if the accuracy rises."""
    low: float
    """Where the 95 % interval of that mean begins."""
    high: float
    """Where it ends."""


def features_by_column(layout: Numbers | Table) -> dict[str, slice]:
    """Return which features each input column has become.

    >>> from pipeline.data.layout import Column
    >>> color = Column("color", "category", ("blue", "red"))
    >>> features_by_column(Table((Column("age", "number"), color)))
    {'age': slice(0, 1, None), 'color': slice(1, 3, None)}

    Args:
        layout: of a table, or of numbers without names, which are called x0, x1 and so on.
    """
    if isinstance(layout, Table):
        return layout.slices
    return {f"x{number}": slice(number, number + 1) for number in range(layout.num_features)}


def permutation_importance(
    network: Classifier,
    examples: Split,
    columns: Mapping[str, slice],
    *,
    num_shuffles: int = 10,
    seed: int = 0,
) -> list[Importance]:
    """Return how much the accuracy falls when the values of each column are shuffled.

    Shuffling some features changes the weighted inputs z = W x + b of the first layer by
    W (x' - x) of these features alone, so that the others need not be multiplied again.

    Args:
        network: a trained one.
        examples: scaled as for training; the network has not been trained on them.
        columns: which features belong together, by the column's name; see `features_by_column`.
        num_shuffles: of each column, ≥ 2; all columns are shuffled alike.
        seed: of the shuffles.

    Returns:
        The importance of each column, in their order.
    """
    weight = network.get_parameter("layer1.weight")
    above = sum(parameter.numel() for parameter in network.parameters()) - weight.numel()
    affordable = MAX_PRODUCTS / (above * max(1, len(columns)) * num_shuffles)
    used = examples[: min(MAX_EXAMPLES, max(MIN_EXAMPLES, int(affordable)))]
    inputs = used.inputs.to(weight.dtype)
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack(
        [torch.randperm(len(used), generator=generator) for _ in range(num_shuffles)]
    )
    found: list[Importance] = []
    with num_threads(1):  # the pieces are small: threads would wait for each other
        weighted = network.first_weighted(inputs).contiguous()
        accuracy = _are_right(network, weighted, used.labels).double().mean()
        for name, features in columns.items():
            own, values = weight[:, features].T, inputs[:, features]
            shuffled = _Shuffled(weighted - values @ own, values, own, orders)
            drops = accuracy - shuffled.accuracies(network, used.labels)
            found.append(_importance(name, drops))
    return found


@dataclass(frozen=True)
class _Shuffled:
    """The weighted inputs of the first layer, where some features are shuffled."""

    others: Float[Tensor, "examples units"]
    """What the features that stay give."""
    values: Float[Tensor, "examples features"]
    weight: Float[Tensor, "features units"]
    orders: Int[Tensor, "shuffles examples"]

    def accuracies(
        self, network: Classifier, labels: Int[Tensor, " examples"]
    ) -> Float[Tensor, " shuffles"]:
        """Return the network's accuracy for each shuffle."""
        num_right = torch.zeros(len(self.orders), dtype=torch.float64)
        size = max(1, ROWS // len(self.orders))
        for start in range(0, len(labels), size):
            chunk = slice(start, start + size)
            weighted = self.others[chunk] + self.values[self.orders[:, chunk]] @ self.weight
            num_right += _are_right(network, weighted, labels[chunk]).sum(1)
        return num_right / len(labels)


def _are_right(
    network: Classifier,
    weighted: Float[Tensor, "*shuffles examples units"],
    labels: Int[Tensor, " examples"],
) -> Bool[Tensor, "*shuffles examples"]:
    predicted = network.logits_above(weighted.flatten(0, -2)).argmax(1)
    return predicted.view(weighted.shape[:-1]) == labels


def _importance(name: str, drops: Float[Tensor, " shuffles"]) -> Importance:
    """Return the mean over shuffles with Student's interval, in points."""
    quantile = float(cast("Any", stats).t.ppf((1 + CONFIDENCE) / 2, len(drops) - 1))
    mean = 100 * drops.mean().item()
    margin = 100 * quantile * drops.std().item() / len(drops) ** 0.5
    return Importance(name, mean, mean - margin, mean + margin)
