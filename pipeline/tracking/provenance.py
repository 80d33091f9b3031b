"""Where a run's numbers come from: hashes of its config and code, commit, versions, machine.

What queries need are tags, the rest is a file, so that MLflow's tables stay readable.
"""

from __future__ import annotations

import ast
import getpass
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from pipeline.config.keys import plain
from pipeline.config.options import project_root
from pipeline.config.schema import Config
from pipeline.config.schema.data import DataConfig
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking.locks import job_tags, machine_tags

__all__ = [
    "code_hash",
    "config_hash",
    "data_config",
    "dump_yaml",
    "origin_tags",
    "params",
    "provenance",
    "run_name",
]

CANNOT_CHANGE_RESULTS = (
    "root",
    "tracking",
    "resume",
    "dry_run",
    "data.root",
    "data.download",
    "trainer.accelerator",
    "trainer.checkpoint_every_s",
    "trainer.checkpoint_every_epochs",
)
"""Keys, and groups of keys, that are no part of a run's identity."""

CODE = (
    "data/**/*.py",
    "engine/**/*.py",
    "config/schema/*.py",
    "training/train.py",
    "training/resumption.py",
    "training/checkpoint.py",
)
"""The sources, below the package, that can change a number."""

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one written in C is there if PyYAML was built with it."""

PACKAGES = ("torch", "pytorch-lightning", "mlflow", "numpy")


def config_hash(config: Config) -> str:
    """Return a run's identity: the SHA-256 of its config, less what cannot change its numbers.

    Values that are the schema's defaults are left out, so that a key that is added later, with a
    default that does what was done before, leaves the identity of earlier runs as it is.
    """
    values, defaults = plain(config) | _placed(config), _defaults()
    relevant = {
        key: values.get(key)
        for key in values.keys() | defaults.keys()
        if values.get(key) != defaults.get(key)
        and not any(key == skip or key.startswith(skip + ".") for skip in CANNOT_CHANGE_RESULTS)
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _placed(config: Config) -> dict[str, str]:
    """Return where a user's own data lie as seen from the root, which may be moved with them."""
    if config.data.path is None:
        return {}
    path = Path(config.data.path)
    inside = path.is_relative_to(config.root)
    return {"data.path": str(path.relative_to(config.root) if inside else path)}


@cache
def _defaults() -> dict[str, Any]:
    return plain(Config())


def params(config: Config) -> dict[str, str]:
    """Return the config as MLflow params: flat, numbers in their shortest form.

    The same value has the same text however it was typed (1e-4 and 0.0001; 3 and 3.0), so that a
    search or a grouping finds all its runs. Runs that have a text in common share it.
    """
    return {
        sys.intern(key): sys.intern(_text(value))
        for key, value in plain(config).items()
        if not key.startswith(("tracking.", "resume.")) and key not in ("root", "dry_run")
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def data_config(params: Mapping[str, str]) -> DataConfig:
    """Return the config of the data that a run's params tell of.

    What was left open (null) of data.num_train and data.num_val is what it came to.

    Args:
        params: as `params` returns them, with the sizes that were found.

    Raises:
        UserError: they are those of something else.
    """
    kinds = get_type_hints(DataConfig)
    said = {name: params[f"data.{name}"] for name in kinds if f"data.{name}" in params}
    try:
        return DataConfig(**{name: _value(text, kinds[name]) for name, text in said.items()})
    except (SyntaxError, TypeError, ValueError) as error:
        raise UserError(f"the run's params don't say what its data are ({error})") from error


def _value(text: str, kind: object) -> Any:
    """Return the value that `_text` has written."""
    if kind is bool:
        return text == "true"
    return text if kind in (str, str | None) else ast.literal_eval(text)


def run_name(overrides: Sequence[str], fixed: Collection[str] = ()) -> str:
    """Return what a run, or a sweep, is called: what was chosen, tracking and places aside.

    >>> run_name(["data=digits", "loss=ce", "seed=1"], fixed={"data=digits"})
    'loss=ce seed=1'

    Args:
        overrides: its own.
        fixed: those that the other runs of its sweep have too: a name tells runs apart.
    """
    aside = ("tracking", "root=", "data.root=", "hydra", "resume", "dry_run")
    telling = [item for item in overrides if item not in fixed] or overrides
    chosen = [item for item in telling if not item.lstrip("+~").startswith(aside)]
    return without_password(" ".join(chosen))[:200] or "defaults"


def origin_tags() -> dict[str, str]:
    """Return the tags that say which code ran where: commit, code hash, machine."""
    return dict(_origin_tags())


@cache
def _origin_tags() -> dict[str, str]:
    commit = _git("rev-parse", "HEAD")
    return {
        "mlflow.user": _user(),
        "mlflow.source.name": "pipeline",
        "mlflow.source.type": "LOCAL",
        **({"git.commit": commit} if commit else {}),
        "code_hash": code_hash(),
        **machine_tags(),
        **job_tags(),
    }


def provenance(typed: Sequence[str], device: str | None = None) -> str:
    """Return provenance.yaml of a run or sweep: what was typed, and what it ran on.

    Args:
        typed: its overrides.
        device: that a run trains on.
    """
    overrides = [dump_yaml(json.dumps([without_password(override)])) for override in typed]
    beginning = "overrides:\n" if overrides else "overrides: []\n"
    return "".join([beginning, *overrides, _environment(device)])


@cache
def _environment(device: str | None) -> str:
    """Return the part of the file that all runs of this process have in common."""
    status = _git("status", "--porcelain")
    facts = {
        **({"device": device} if device else {}),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        **({} if status is None else {"uncommitted changes": bool(status)}),
    }
    return dump_yaml(json.dumps({"environment": facts}))


@lru_cache(2**12)
def dump_yaml(text: str) -> str:
    """Return a part of a YAML file for a JSON text; most parts are the same in all runs."""
    return yaml.dump(json.loads(text), Dumper=DUMPER, sort_keys=False)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())


@cache
def code_hash() -> str:
    """Return the SHA-256 of the sources that can change a number, wherever the package lies."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for source in sorted(path for pattern in CODE for path in package.glob(pattern)):
        digest.update(f"{source.relative_to(package).as_posix()}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    """Return what git says of this project; None outside a repository."""
    command = ["git", "-C", str(project_root()), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
