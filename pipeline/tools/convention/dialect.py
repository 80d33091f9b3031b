"""What a dialect is: the words of one library for losses, optimizers and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.tools.convention.conversion import SAME, SYMBOLS, Conversion, Scale

__all__ = ["CONCEPTS", "USES", "Concept", "Dialect", "Loss", "Number", "Optimizers"]


@dataclass(frozen=True)
class Concept:
    """A number that a training has, whatever it is called."""

    what: str
    symbol: str
    ours: str
    """How our overrides say it, with the symbol for the number."""
    allowed: str = "a number ≥ 0"
    lowest: float = 0.0
    highest: float = float("inf")
    has_lowest: bool = True
    has_highest: bool = True
    is_whole: bool = False
    neutral: float | None = None
    """The value that is as good as saying nothing."""

    def allows(self, value: float) -> bool:
        """Return whether a number of ours is in the range."""
        above = value >= self.lowest if self.has_lowest else value > self.lowest
        below = value <= self.highest if self.has_highest else value < self.highest
        return above and below and (not self.is_whole or value == int(value))


def _positive(what: str, symbol: str, ours: str) -> Concept:
    return Concept(what, symbol, ours, "a number > 0", has_lowest=False)


def _fraction(what: str, symbol: str, ours: str) -> Concept:
    return Concept(what, symbol, ours, "a number, 0 ≤ … < 1", 0, 1, has_highest=False)


def _count(what: str, symbol: str, ours: str) -> Concept:
    return Concept(what, symbol, ours, "a whole number ≥ 1", 1, is_whole=True)


def _p_keep(what: str, ours: str) -> Concept:
    allowed = "a probability to drop, 0 ≤ … < 1"
    return Concept(what, "k", ours, allowed, 0, 1, has_lowest=False, neutral=1)


CONCEPTS = {
    "n": _count("training examples", "n", "data.num_train=n"),
    "batch": _count("examples of a mini-batch", "m", "data.batch_size=m"),
    "classes": _count("outputs of the network", "K", "classes=K"),
    "epochs": _count("epochs", "E", "trainer.max_epochs=E"),
    "delta": _positive("where huber turns linear", "δ", "loss.delta=δ"),
    "l2": Concept(
        "½λ‖w‖² on weights alone", "λ", "regularizer=l2 regularizer.strength=λ", neutral=0
    ),
    "l1": Concept(
        "λ‖w‖₁ on weights alone", "λ", "regularizer=l1 regularizer.strength=λ", neutral=0
    ),
    "drop_input": _p_keep("an input is kept with probability k", "dropout=input dropout.p_keep=k"),
    "drop_hidden": _p_keep(
        "a hidden unit is kept with probability k", "dropout=hidden dropout.p_keep=k"
    ),
    "drop_logits": _p_keep("a logit is kept with probability k", "dropout=logits dropout.p_keep=k"),
    "lr": _positive("learning rate", "η", "optimizer.lr=η"),
    "momentum": _fraction("momentum", "μ", "optimizer.momentum=μ"),
    "beta1": _fraction("decay of the first moment", "β₁", "optimizer.betas=[β₁,β₂]"),
    "beta2": _fraction("decay of the second moment", "β₂", "optimizer.betas=[β₁,β₂]"),
    "eps": _positive("added to √v̂", "ε", "optimizer.eps=ε"),
    "weight_decay": Concept(
        "decay of weights and biases", "d", "optimizer.weight_decay=d", neutral=0
    ),
}
"""Every number that is translated."""

USES = {
    "sgd": ("lr", "weight_decay"),
    "momentum": ("lr", "momentum", "weight_decay"),
    "nesterov": ("lr", "momentum", "weight_decay"),
    "adam": ("lr", "beta1", "beta2", "eps", "weight_decay"),
    "adamw": ("lr", "beta1", "beta2", "eps", "weight_decay"),
}
"""The numbers of each optimizer of ours."""


@dataclass(frozen=True)
class Number:
    """What a dialect calls a number, and how it counts it."""

    concept: str
    key: str
    conversion: Conversion = SAME
    not_with: tuple[str, ...] = ()
    """Optimizers of ours with which it means something else."""
    note: str = ""
    """What else the dialect asks for when it is set."""


@dataclass(frozen=True)
class Loss:
    """What a dialect calls a loss, and how that loss counts."""

    settings: Mapping[str, str]
    function: str
    """What is summed over an example's outputs."""
    scale: Scale
    """The factor before the mean over the mini-batch of those sums."""
    outputs: tuple[str, ...] = ("softmax", "sigmoid")
    """The output functions that it goes with."""


@dataclass(frozen=True)
class Optimizers:
    """What a dialect calls the optimizers of ours."""

    names: Mapping[str, str]
    """By our name. One that has several is told apart by momentum and nesterov."""
    key: str | None = None
    """None if there is but one."""
    nesterov: str | None = None
    """The key that makes momentum Nesterov's."""
    default: str = "SGD"
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    """What goes without saying, by the dialect's name of the optimizer: "key=value key=value"."""


@dataclass(frozen=True)
class Dialect:
    """The words of one library."""

    title: str
    losses: tuple[Loss, ...]
    optimizers: Optimizers
    numbers: tuple[Number, ...]
    loss_defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    output_key: str | None = None
    activation_key: str | None = None
    activations: Mapping[str, str] = field(default_factory=dict[str, str])
    """By our name."""
    fixed: Mapping[str, float] = field(default_factory=dict[str, float])
    """Numbers that can't be chosen, by concept."""
    if_unsaid: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the library does where a concept isn't mentioned and that isn't nothing."""
    only_told: tuple[str, ...] = ("classes",)
    """Concepts that are read to reckon with, but are no settings."""
    instead: Mapping[str, str] = field(default_factory=dict[str, str])
    """What to do for a concept that the dialect has no word for."""
    notes: tuple[str, ...] = ()

    @cached_property
    def by_concept(self) -> dict[str, Number]:
        """The numbers by concept."""
        return {number.concept: number for number in self.numbers}

    @cached_property
    def loss_keys(self) -> list[str]:
        """The keys that name a loss."""
        return list(dict.fromkeys(key for loss in self.losses for key in loss.settings))

    @cached_property
    def keys(self) -> list[str]:
        """Every key that the dialect knows."""
        named = [self.optimizers.key, self.optimizers.nesterov, self.output_key]
        named += [self.activation_key, *self.loss_keys]
        return [key for key in named if key] + [number.key for number in self.numbers]

    @property
    def size_keys(self) -> dict[str, str]:
        """The keys under which sizes are told."""
        return {
            symbol: self.by_concept[symbol].key for symbol in SYMBOLS if symbol in self.by_concept
        }
