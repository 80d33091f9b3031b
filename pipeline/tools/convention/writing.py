"""From what settings mean to the words of another dialect."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import UserError
from pipeline.tools.convention.conversion import Scale
from pipeline.tools.convention.dialect import CONCEPTS, Dialect, Loss
from pipeline.tools.convention.reading import Settings, Training

__all__ = ["nearest_loss", "number_text", "write"]


def write(training: Training, source: Dialect, target: Dialect) -> tuple[Settings, list[str]]:
    """Return the settings of another dialect that mean the same, and what they can't say.

    Args:
        training: what is to be said.
        source: the dialect that it was read from, whose keys the messages name.
        target: the dialect to say it in.

    Raises:
        UserError: the dialect has no such loss, optimizer or activation, or a size is missing.
    """
    settings: dict[str, str] = {}
    remarks = _no_loss(training, source)
    defaults = {**source.if_unsaid, **target.if_unsaid}
    remarks += [text for concept, text in defaults.items() if concept not in training.numbers]
    if training.loss:
        loss = _find_loss(training, source, target)
        training, more = _rescale(training, loss, source)
        remarks += more
        settings |= loss.settings
    if target.output_key and training.output:
        settings[target.output_key] = training.output
    settings |= _activation(training, target)
    settings |= _optimizer(training, target)
    for number in target.numbers:
        if number.concept not in training.numbers or number.concept in target.only_told:
            continue
        if training.optimizer in number.not_with:
            continue
        value = number.conversion.theirs(training.numbers[number.concept], training.sizes)
        settings[number.key] = number_text(value)
        if number.note and value:
            remarks.append(f"{number.key}: {number.note}.")
    return settings, remarks + _unsaid(training, source, target)


def _no_loss(training: Training, source: Dialect) -> list[str]:
    """Remind of the loss, for which a rate and a strength were chosen."""
    numbers = training.numbers.keys() & {"lr", "l1", "l2"}
    if training.loss or not numbers or not source.loss_keys:
        return []
    first = source.loss_keys[0]
    names = dict.fromkeys(loss.settings[first] for loss in source.losses)
    return [
        f"{first}: not said, so not translated, but rate and strength count for that loss. "
        f"Say {first}={' or '.join(names)} as well."
    ]


def number_text(value: float) -> str:
    """Return a number as people type it: 15 digits, none of them only noise of the arithmetic."""
    return f"{value:.15g}"


def nearest_loss(loss: Loss, target: Dialect, output: str | None) -> Loss | None:
    """Return the dialect's loss that is the same but for a factor, the simplest factor first."""
    same = [
        other
        for other in target.losses
        if other.function == loss.function and (output is None or output in other.outputs)
    ]
    return min(same, key=lambda other: _difficulty(loss.scale / other.scale), default=None)


def _difficulty(factor: Scale) -> tuple[bool, int]:
    return factor != Scale(), factor.num_sizes


def _find_loss(training: Training, source: Dialect, target: Dialect) -> Loss:
    assert training.loss is not None
    found = nearest_loss(training.loss, target, training.output)
    if found is None:
        near = ((loss, nearest_loss(loss, source, None)) for loss in target.losses)
        known = dict.fromkeys(
            f"{_said(ours)} with {' or '.join(loss.outputs)} outputs" for loss, ours in near if ours
        )
        raise UserError(
            f"{_said(training.loss)} with {training.output} outputs: {target.title} has no such "
            f"loss. What it can have is {', '.join(known)}."
        )
    return found


def _said(loss: Loss) -> str:
    return " ".join(f"{key}={value}" for key, value in loss.settings.items())


def _rescale(training: Training, loss: Loss, source: Dialect) -> tuple[Training, list[str]]:
    """Let the learning rate take up the factor between two losses, and what is added lose it.

    With L = c · L', L + λR leads where L' + (λ/c)R leads with c times the rate. Adam's steps don't
    depend on c but for ε, and AdamW's decay not at all.
    """
    assert training.loss is not None
    factor = training.loss.scale / loss.scale
    if factor == Scale():
        return training, []
    value = factor.value(training.sizes)
    if training.optimizer is None:
        lr = source.by_concept["lr"].key
        raise UserError(
            f"{lr}: is needed, since {_said(training.loss)} is {factor} = {number_text(value)} "
            f"times {_said(loss)} and the learning rate takes up the factor. Say {lr}=NUMBER too."
        )
    descends = training.optimizer not in ("adam", "adamw")
    powers = {"lr": descends, "l2": -1, "l1": -1, "eps": -1}
    powers["weight_decay"] = 0 if training.optimizer == "adamw" else -1
    numbers = {
        concept: number * value ** powers.get(concept, 0)
        for concept, number in training.numbers.items()
    }
    rate = "the learning rate takes the factor, " if descends else ""
    remark = (
        f"{_said(training.loss)} is {factor} = {number_text(value)} times {_said(loss)}: "
        f"{rate}what is added to the loss is divided by it."
    )
    return replace(training, numbers=numbers), [remark]


def _activation(training: Training, target: Dialect) -> Settings:
    if training.activation is None:
        return {}
    if training.activation not in target.activations:
        known = ", ".join(target.activations) or "none, without hidden layers"
        raise UserError(
            f"activation {training.activation}: {target.title} has no such one, only {known}."
        )
    key = target.activation_key
    return {key: target.activations[training.activation]} if key else {}


def _optimizer(training: Training, target: Dialect) -> Settings:
    """Return the optimizer's name, and what tells it from others of that name."""
    ours, optimizers = training.optimizer, target.optimizers
    if ours is None:
        return {}
    if ours not in optimizers.names:
        known = ", ".join(optimizers.names) or "none that can be chosen"
        raise UserError(f"optimizer {ours}: {target.title} has no such one, only {known}.")
    if optimizers.key is None:
        return {}
    settings = {optimizers.key: optimizers.names[ours]}
    if optimizers.nesterov and ours == "sgd":
        settings[target.by_concept["momentum"].key] = "0"
    elif optimizers.nesterov and ours in ("momentum", "nesterov"):
        settings[optimizers.nesterov] = "true" if ours == "nesterov" else "false"
    return settings


def _unsaid(training: Training, source: Dialect, target: Dialect) -> list[str]:
    """Say what has no word in the dialect, and what to do instead.

    Raises:
        UserError: the dialect has another value, which can't be chosen.
    """
    remarks: list[str] = []
    for concept, value in training.numbers.items():
        number = target.by_concept.get(concept)
        is_said = number is not None and training.optimizer not in number.not_with
        if is_said or value == CONCEPTS[concept].neutral or concept in target.only_told:
            continue
        if concept in target.fixed:
            _check_fixed(concept, value, source, target)
            continue
        why = target.instead.get(concept, "nothing takes its place")
        said = f"{CONCEPTS[concept].what}, {CONCEPTS[concept].symbol} = {number_text(value)}"
        remarks.append(f"{said}: {target.title} has no such setting; {why}.")
    return remarks


def _check_fixed(concept: str, value: float, source: Dialect, target: Dialect) -> None:
    fixed = target.fixed[concept]
    if value != fixed:
        key = source.by_concept[concept].key
        raise UserError(
            f"{key}={number_text(value)}: {target.title} always has {number_text(fixed)}. "
            f"Say {key}={number_text(fixed)}."
        )
