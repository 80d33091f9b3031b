"""What every key means and may be, as `--help` tells it: from the schema's own texts."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from pipeline.config.registry import PACKAGES, names
from pipeline.config.schema import Config

__all__ = ["reference"]

WIDTH = 100


def reference() -> str:
    """Return a paragraph for each key: its name, what it means and may be."""
    return "\n".join(
        textwrap.fill(f"{key}: {text}", WIDTH, initial_indent="  ", subsequent_indent="    ")
        for key, text in _keys(Config, "")
    )


def _keys(kind: Any, prefix: str) -> Iterator[tuple[str, str]]:
    texts = dict(_texts(kind))
    for name, of_key in get_type_hints(kind).items():
        if is_dataclass(of_key):
            yield from _keys(of_key, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", texts.get(name, "")


def _texts(kind: type) -> Iterator[tuple[str, str]]:
    """Return the text below each field of a class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=told)):
                yield name, _with_choices(" ".join(str(told).split()))
            case _:
                pass


def _with_choices(text: str) -> str:
    """Return a text with the names of the modules in place of the folder that holds them."""
    for kind, package in PACKAGES.items():
        folder = f"module of {package.replace('.', '/')}"
        text = text.replace(f"A {folder}", f"One of {', '.join(names(kind))}")
        text = text.replace(f"a {folder}", f"one of {', '.join(names(kind))}")
    return text
