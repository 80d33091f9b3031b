"""Our overrides, and the settings that stand for them: one number for each thing."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config.compose import configure
from pipeline.config.schema import DropoutConfig, LossConfig, OptimizerConfig, RegularizerConfig
from pipeline.errors import UserError
from pipeline.tools.convention.reading import Settings
from pipeline.tools.convention.writing import number_text

__all__ = ["overrides_of", "settings_of"]

WHOLE = {
    "loss": ("name", "reduction", "delta"),
    "regularizer": ("name", "strength", "l1_ratio"),
    "dropout": ("name", "p_keep", "p_keep_input", "p_keep_hidden", "phase"),
    "optimizer": ("name", "lr", "momentum", "betas", "eps", "weight_decay"),
}
"""Groups that are translated whole if any of these keys is typed."""

SINGLE = (
    "model.activation",
    "data.num_train",
    "data.batch_size",
    "trainer.max_epochs",
)
"""Keys that are translated if they or their group's option are typed."""

PLACES = ("input", "hidden", "logits")


def settings_of(overrides: Sequence[str]) -> Settings:
    """Return the settings that overrides make, with the defaults of the options they choose.

    Args:
        overrides: as `python -m pipeline` takes them; `classes=NUMBER` may be among them.

    Raises:
        UserError: they make no valid config, or a key has no translation.
    """
    told = [override for override in overrides if override.startswith("classes=")]
    typed = [override for override in overrides if override not in told]
    keys = {override.partition("=")[0] for override in typed}
    for key in sorted(keys):
        _check_key(key)
    # Whether there are hidden layers to drop units of is no matter here.
    config = configure(["model.hidden=[1]", *typed])
    groups = {key.partition(".")[0] for key in keys}
    found: dict[str, str] = dict(override.split("=", 1) for override in told)
    if "loss" in groups:
        found |= _loss(config.loss)
    if "loss" in groups or keys & {"model", "model.output"}:
        found["model.output"] = config.model.output
    if "regularizer" in groups:
        found |= _regularizer(config.regularizer)
    if "dropout" in groups:
        found |= _dropout(config.dropout)
    if "optimizer" in groups:
        found |= _optimizer(config.optimizer)
    for key in SINGLE:
        group, _, name = key.partition(".")
        value = getattr(getattr(config, group), name)
        if keys & {key, group} and value is not None:
            found[key] = str(value)
    return found


def _check_key(key: str) -> None:
    group, _, name = key.partition(".")
    singles = ("model.output", "model.hidden", *SINGLE)
    if key in singles or (not name and f"{group}." in "".join(singles)):
        return
    if group in WHOLE and (not name or name in WHOLE[group]):
        return
    whole = (f"{group}.{name}" for group, names in WHOLE.items() for name in names)
    known = ", ".join([*whole, *singles, "classes"])
    raise UserError(f"{key}: has no translation, only {known} have. Leave it out.")


def _loss(config: LossConfig) -> dict[str, str]:
    found = {"loss": config.name, "loss.reduction": config.reduction}
    return found if config.delta is None else {**found, "loss.delta": str(config.delta)}


def _regularizer(config: RegularizerConfig) -> dict[str, str]:
    shares = {"none": {"l2": 1.0}, "l1": {"l1": 1.0}, "l2": {"l2": 1.0}}
    if config.l1_ratio is not None:
        shares["elastic"] = {"l1": config.l1_ratio, "l2": 1 - config.l1_ratio}
    return {key: number_text(share * config.strength) for key, share in shares[config.name].items()}


def _dropout(config: DropoutConfig) -> dict[str, str]:
    if config.phase != "train":
        raise UserError(
            f"dropout.phase={config.phase}: others drop units only while they train. "
            "Say dropout.phase=train."
        )
    if config.name == "both":
        return {
            "drop_input": str(config.p_keep_input),
            "drop_hidden": str(config.p_keep_hidden),
        }
    return (
        {"drop_hidden": "1"}
        if config.name == "none"
        else {f"drop_{config.name}": str(config.p_keep)}
    )


def _optimizer(config: OptimizerConfig) -> dict[str, str]:
    values = {
        "optimizer": config.name,
        "optimizer.lr": config.lr,
        "optimizer.momentum": config.momentum,
        **{f"optimizer.betas[{place}]": beta for place, beta in enumerate(config.betas or ())},
        "optimizer.eps": config.eps,
        "optimizer.weight_decay": config.weight_decay,
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def overrides_of(settings: Settings) -> Settings:
    """Return the overrides that settings of ours stand for, as key and value.

    Raises:
        UserError: units are dropped in places that no option of ours drops together.
    """
    apart = ("l1", "l2", *(f"drop_{place}" for place in PLACES))
    found = {key: value for key, value in settings.items() if key not in apart}
    if settings.keys() & {"l1", "l2"}:
        found |= _regularizer_overrides(
            float(settings.get("l1", "0")), float(settings.get("l2", "0"))
        )
    p_keeps = {place: settings[key] for place in PLACES if (key := f"drop_{place}") in settings}
    return {**found, **_dropout_overrides(p_keeps)}


def _regularizer_overrides(l1: float, l2: float) -> dict[str, str]:
    if not l1 or not l2:
        name = "l1" if l1 else "l2"
        return {"regularizer": name, "regularizer.strength": number_text(l1 or l2)}
    return {
        "regularizer": "elastic",
        "regularizer.strength": number_text(l1 + l2),
        "regularizer.l1_ratio": number_text(l1 / (l1 + l2)),
    }


def _dropout_overrides(p_keeps: Settings) -> dict[str, str]:
    if len(p_keeps) > 1 and "logits" in p_keeps:
        raise UserError(
            f"dropout of {' and '.join(p_keeps)}: no option of ours drops these together, only "
            "inputs and hidden units. Leave one out."
        )
    if len(p_keeps) == 2:
        keys = {f"dropout.p_keep_{place}": p_keep for place, p_keep in p_keeps.items()}
        return {"dropout": "both", **keys}
    return {
        key: value
        for place, p_keep in p_keeps.items()
        for key, value in (("dropout", place), ("dropout.p_keep", p_keep))
    }
