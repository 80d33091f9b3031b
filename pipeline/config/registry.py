"""The choices that are code: a module each in a package of the engine, listed without importing it.

To add one is to add a module; its file's name is the choice's name, and the one class of its
`__all__` the choice.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from pipeline.config.options import one_of

__all__ = ["PACKAGES", "find", "names"]

PACKAGES = {
    "activation": "pipeline.engine.activations",
    "attack": "pipeline.engine.attacks",
    "loss": "pipeline.engine.losses",
    "metric": "pipeline.engine.metrics",
    "optimizer": "pipeline.engine.optimizers",
    "regularizer": "pipeline.engine.regularizers",
    "schedule": "pipeline.engine.schedules",
}
"""Where the choices of each kind are."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all choices of a kind, sorted, without importing any.

    Args:
        kind: one of PACKAGES.
    """
    package = find_spec(PACKAGES[kind])
    assert package is not None
    modules = iter_modules(package.submodule_search_locations)
    return tuple(sorted(name for _, name, _ in modules if not name.startswith("_")))


@cache
def find(kind: str, name: str) -> Any:
    """Import a choice and return its class.

    Raises:
        UserError: there is no such choice; the message lists those that there are.
    """
    one_of(kind, name, names(kind))
    module = import_module(f"{PACKAGES[kind]}.{name}")
    (public,) = module.__all__
    return getattr(module, public)
