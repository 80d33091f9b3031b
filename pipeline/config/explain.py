"""Error texts: what Hydra and OmegaConf say of a bad config, put for the person who typed it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline.config.options import did_you_mean, options
from pipeline.config.schema import Config
from pipeline.errors import UserError

__all__ = ["CONFIG_ERRORS", "explain", "no_such_key", "not_one_option"]

CONFIG_ERRORS = (UserError, HydraException, OmegaConfBaseException, YAMLError)
"""What composing and checking a config can raise."""


def explain(error: Exception) -> str:
    """Return what a person needs to know of an error of CONFIG_ERRORS.

    An unknown key or option is answered with the nearest known one.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, YAMLError):
        return "a config file isn't YAML: " + " ".join(str(error).split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: can't be read. Say key=value, values like '[1,2]' in quotes."
    text = "\n".join(dict.fromkeys(str(cause) for cause in _with_causes(error)))
    for pattern, describe in _DESCRIPTIONS:
        if found := re.search(pattern, text):
            return describe(*found.groups())
    return text


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _no_such_option(group: str, option: str) -> str:
    known = options(group) if not group.startswith("hydra/") else _installed(group)
    package = _PACKAGES.get((group, option), "")
    remedy = f" For {option}: pip install {package}." if package else ""
    listed = f"{group}={option}: must be one of {', '.join(known)}"
    return f"{listed}.{did_you_mean(option, known)}{remedy}"


def _installed(group: str) -> list[str]:
    """Return the options of one of Hydra's own groups, plugins' among them."""
    return sorted(name.removesuffix(".yaml") for name in ConfigStore.instance().list(group))


def no_such_key(key: str) -> str:
    """Explain an unknown key; `lr` alone is answered with optimizer.lr."""
    if key.startswith("tracking.tags"):
        return f"{key}: a new tag is added with a plus, +tracking.tags.NAME=VALUE."
    group, _, name = key.rpartition(".")
    in_groups = {top: _keys(kind) for top, kind in get_type_hints(Config).items()}
    known = in_groups.get(group) or ["experiment", *in_groups]
    hint = did_you_mean(name, known)
    elsewhere = [f"{top}.{name}" for top, keys in in_groups.items() if name in keys]
    if key in _OTHERS:
        elsewhere.append(_OTHERS[key])
    if elsewhere:
        hint = f" Did you mean {' or '.join(elsewhere)}?"
    return f"{key}: there is no such key, only {', '.join(known)}.{hint}"


def not_one_option(group: str) -> str:
    """Explain that a group was given no option, or several."""
    listed = ", ".join(options(group))
    return f"{group}: must be exactly one of {listed}. To try several, sweep: -m."


def _no_choice(name: str, chosen: str) -> str:
    """Explain that a config named after choices lacks one of them."""
    named = re.findall(r"\$\{(\w+)\}", name)
    return not_one_option(next(group for group in named if group not in chosen.split(", ")))


def _keys(kind: Any) -> list[str]:
    return list(get_type_hints(kind)) if is_dataclass(kind) else []


def _bad_type(value: str, key: str) -> str:
    group, _, name = key.partition("[")[0].rpartition(".")
    schema = get_type_hints(Config).get(group) if group else Config
    if schema is None:  # Hydra's own, such as hydra.launcher.num_workers
        return f"{key}={value}: is of another kind than it must be. See --cfg hydra."
    kind = str(get_type_hints(schema)[name])
    if "[" in key:  # an element of a list
        kind = kind.partition("[")[2]
    wanted = next((text for part, text in _KINDS.items() if part in kind), "text")
    return f"{key}={value}: must be {wanted}."


def _null(key: str) -> str:
    return _bad_type("null", key)


def _unfit(override: str, why: str) -> str:
    return f"{override}: {why[0].lower()}{why[1:]}."


def _no_instance(why: str, key: str) -> str:
    return f"{key}: {why}."


def _not_a_list(key: str, value: str) -> str:
    return f"{key}={value}: must be a list. Say {key}=[{value}]."


def _many_values(key: str, values: str) -> str:
    return f"{key}={values}: is more than one value. To try each, sweep: put -m before it."


def _no_grid(_: str) -> str:
    return (
        "interval(…): has no end of values, so it makes no grid. List some, or search it: "
        "hydra/sweeper=optuna."
    )


_OTHERS = {
    **dict.fromkeys(("epochs", "epoch", "num_epochs", "max_iter"), "trainer.max_epochs"),
    **dict.fromkeys(("learning_rate", "learningrate", "eta", "rate"), "optimizer.lr"),
    **dict.fromkeys(("batch", "batchsize", "bs", "mini_batch_size"), "data.batch_size"),
    **dict.fromkeys(("lambda", "lam", "lmbda", "alpha", "reg"), "regularizer.strength"),
    **dict.fromkeys(("dropout_rate", "keep_prob", "p"), "dropout.p_keep"),
    **dict.fromkeys(("layers", "units", "hidden_layer_sizes", "sizes"), "model.hidden"),
    **dict.fromkeys(("device", "gpu", "cuda"), "trainer.accelerator"),
    **dict.fromkeys(("wd", "decay"), "optimizer.weight_decay"),
    **dict.fromkeys(("seeds", "random_state"), "seed"),
    **dict.fromkeys(("dataset", "data_set"), "data"),
}
"""What other libraries, or people, call our keys."""

_PACKAGES = {
    ("hydra/launcher", "joblib"): "hydra-joblib-launcher",
}
"""What brings options of Hydra's that aren't installed."""

_KINDS = {"list": "a list", "float": "a number", "bool": "true or false", "int": "a whole number"}

_DESCRIPTIONS: list[tuple[str, Callable[..., str]]] = [
    (r"Could not find '([\w/]+)/([^/']*)'", _no_such_option),
    (r"Could not override '([^']+)'", no_such_key),
    (r"Error resolving interpolation '(.*)', possible interpolation keys: (.*)", _no_choice),
    (r"full_key: (\S+)(?s:.*)Key '[^']+' (?:is )?not in", no_such_key),
    (r"Value '(.*)' of type '\w+' could not be converted to \w+\s+full_key: (\S+)", _bad_type),
    (r"Value '(.*)' is not a valid bool.*\s+full_key: (\S+)", _bad_type),
    (r"field '(\S+)' is not Optional", _null),
    (r"override (\S+?)=(.*)\nInvalid value assigned: \w+ is not a ListConfig", _not_a_list),
    (r"override (\S+?)=(.*)\nCannot merge DictConfig with ListConfig", _not_a_list),
    (r"Ambiguous value for argument '(\S+?)=(.*)'", _many_values),
    (r"does not support sweep type : INTERVAL_SWEEP()", _no_grid),
    (r"Error merging override (.*)\n(.*)", _unfit),
    (r"Could not create instance of `\w+`: (.*)\s+full_key: (\S+)", _no_instance),
]
"""How Hydra and OmegaConf say it, and how we do."""
