"""From settings in the words of one dialect to what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.config.options import did_you_mean, one_of
from pipeline.config.rules import require
from pipeline.errors import UserError
from pipeline.tools.convention.conversion import SYMBOLS, Sizes
from pipeline.tools.convention.dialect import CONCEPTS, USES, Dialect, Loss, Number

__all__ = ["Settings", "Training", "read"]

Settings = Mapping[str, str]
"""What a person types: key=value."""

OF_OPTIMIZERS = {concept for concepts in USES.values() for concept in concepts}


@dataclass(frozen=True)
class Training:
    """What settings mean, as far as they were said; numbers count as ours do."""

    loss: Loss | None
    output: str | None
    optimizer: str | None
    """By our name."""
    activation: str | None
    """By our name."""
    numbers: Mapping[str, float]
    """By concept."""
    sizes: Sizes


def read(dialect: Dialect, settings: Settings) -> Training:
    """Return what settings mean.

    A loss or an optimizer that is touched at all counts whole, with the dialect's own defaults;
    what else isn't said stays unsaid.

    Args:
        dialect: whose words they are.
        settings: key=value.

    Raises:
        UserError: a key or name is unknown, a value is out of range, or something is missing.
    """
    for key in settings:
        if key not in dialect.keys:
            known = ", ".join(dialect.keys)
            hint = did_you_mean(key, dialect.keys)
            raise UserError(
                f"{key}: has no translation for {dialect.title}, only {known} have.{hint} "
                "What can't be translated must keep its default."
            )
    loss = _read_loss(dialect, settings)
    optimizer, settings = _read_optimizer(dialect, settings)
    known = {**dialect.fixed}
    sizes = Sizes(known, dialect.size_keys)
    for number in sorted(dialect.numbers, key=lambda number: number.concept not in SYMBOLS):
        if number.key in settings:
            known[number.concept] = _read_number(number, settings[number.key], sizes)
    if loss and loss.function == "huber" and "delta" not in known:
        key = dialect.by_concept["delta"].key
        raise UserError(f"{key}: is needed for huber. Say {key}=NUMBER as well.")
    output = _read_output(dialect, settings, loss)
    activation = _read_activation(dialect, settings)
    return Training(loss, output, optimizer, activation, known, sizes)


def _read_number(number: Number, text: str, sizes: Sizes) -> float:
    concept = CONCEPTS[number.concept]
    allowed = concept.allowed
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    require(math.isfinite(value), number.key, text, allowed)
    ours = number.conversion.ours(value, sizes)
    require(concept.allows(ours), number.key, text, allowed)
    return ours


def _read_loss(dialect: Dialect, settings: Settings) -> Loss | None:
    """Return the loss that is named; its other keys have defaults."""
    first = dialect.loss_keys[0]
    said = [key for key in dialect.loss_keys if key in settings]
    if not said:
        return None
    if first not in settings:
        raise UserError(f"{first}: is needed for {said[0]}={settings[said[0]]}. Say it as well.")
    complete = {**dialect.loss_defaults, **settings}
    found = dialect.losses
    for key in dialect.loss_keys:
        if any(key in loss.settings for loss in found):
            one_of(key, complete[key], dict.fromkeys(loss.settings[key] for loss in found))
            found = [loss for loss in found if loss.settings[key] == complete[key]]
    return found[0]


def _read_output(dialect: Dialect, settings: Settings, loss: Loss | None) -> str | None:
    """Return the output function: what is said, or the only one that the loss goes with."""
    key = dialect.output_key
    said = settings.get(key) if key else None
    allowed = loss.outputs if loss else ("softmax", "sigmoid")
    if said is not None:
        assert key is not None
        one_of(key, said, allowed)
        return said
    if loss is None:
        return None
    first, *others = allowed
    if others:
        name = loss.settings[dialect.loss_keys[0]]
        raise UserError(
            f"{key}: is needed for {name}, which takes whatever it is given. "
            f"Say {key}={' or '.join(allowed)} as well."
        )
    return first


def _read_activation(dialect: Dialect, settings: Settings) -> str | None:
    key = dialect.activation_key
    if key is None or key not in settings:
        return None
    ours = {theirs: name for name, theirs in dialect.activations.items()}
    one_of(key, settings[key], ours)
    return ours[settings[key]]


def _read_optimizer(dialect: Dialect, settings: Settings) -> tuple[str | None, Settings]:
    """Return our name of the optimizer that is meant, and the settings with its defaults."""
    optimizers = dialect.optimizers
    numbers = [number for number in dialect.numbers if number.concept in OF_OPTIMIZERS]
    keys = {optimizers.key, optimizers.nesterov, *(number.key for number in numbers)}
    if not keys & settings.keys():
        return None, settings
    name = settings.get(optimizers.key or "", optimizers.default)
    if optimizers.key:
        one_of(optimizers.key, name, dict.fromkeys(optimizers.names.values()))
    defaults = dict(pair.split("=") for pair in optimizers.defaults.get(name, "").split())
    complete = {**defaults, **settings}
    ours = _our_optimizer(dialect, name, complete)
    lr = dialect.by_concept["lr"].key
    if lr not in complete:
        raise UserError(f"{lr}: is needed where the optimizer is translated. Say {lr}=NUMBER too.")
    for number in numbers:
        if number.key in settings:
            _check_use(dialect, number, settings[number.key], ours, name)
        if number.concept not in USES[ours]:
            complete.pop(number.key, None)
    return ours, complete


def _our_optimizer(dialect: Dialect, name: str, settings: Settings) -> str:
    """Tell the optimizers of ours that share a name apart by momentum and nesterov."""
    optimizers = dialect.optimizers
    ours = [our for our, theirs in optimizers.names.items() if theirs == name]
    if len(ours) == 1:
        return ours[0]
    momentum = dialect.by_concept["momentum"]
    if _read_number(momentum, settings[momentum.key], Sizes({}, {})) == 0:
        return "sgd"
    assert optimizers.nesterov is not None
    flag = settings[optimizers.nesterov].lower()
    one_of(optimizers.nesterov, flag, ("true", "false"))
    return "nesterov" if flag == "true" else "momentum"


def _check_use(dialect: Dialect, number: Number, text: str, ours: str, name: str) -> None:
    """Refuse a number that the optimizer doesn't have, or that means something else with it."""
    is_used = number.concept in USES[ours]
    if (is_used and ours not in number.not_with) or text in ("0", "0.0"):
        return
    why = dialect.instead[number.concept] if is_used else "it has no such setting"
    raise UserError(f"{number.key}={text}: has no translation with {name}: {why}.")
