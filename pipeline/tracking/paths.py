"""Where things lie below a project's root. No other module knows, but conf/config.yaml for Hydra's.

mlruns/README.md says what each folder holds.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    "checkpoints",
    "damaged",
    "database",
    "database_uri",
    "experiment",
    "grids",
    "jobs",
    "lock",
    "locks",
    "mlruns",
    "root_of_batch",
    "spool",
    "spooled_files",
    "studies",
]

RESERVED = ("checkpoints", "damaged", "hydra", "jobs", "locks", "spool", "sweeps")
"""Folders of mlruns/ that are no experiment's."""


def database(root: Path) -> Path:
    """Return the SQLite file that MLflow keeps a root's runs in, unless a config says otherwise."""
    return root / "mlflow.db"


def database_uri(root: Path) -> str:
    """Return the address of a root's own database."""
    return f"sqlite:///{database(root)}"


def mlruns(root: Path) -> Path:
    """Return the folder of everything else that runs leave."""
    return root / "mlruns"


def experiment(root: Path, name: str) -> Path:
    """Return the folder for an experiment's artifacts, below mlruns/ whatever it is called."""
    folder = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "_"
    return mlruns(root) / (f"{folder}_" if folder in RESERVED else folder)


def spool(root: Path) -> Path:
    """Return the folder of the records that the store doesn't have yet."""
    return mlruns(root) / "spool"


def spooled_files(root: Path, record_id: str) -> Path:
    """Return the folder for files that a run can't write where the store keeps them."""
    return spool(root) / record_id


def root_of_batch(path: Path) -> Path:
    """Return the root in whose spool a file lies."""
    return path.parent.parent.parent


def checkpoints(root: Path) -> Path:
    """Return the folder of all checkpoints, in a folder for each group."""
    return mlruns(root) / "checkpoints"


def grids(root: Path) -> Path:
    """Return the folder of the grids of sweeps."""
    return mlruns(root) / "sweeps"


def jobs(root: Path) -> Path:
    """Return the folder of what was handed to a cluster, in a folder for each sweep."""
    return mlruns(root) / "jobs"


def studies(root: Path) -> Path:
    """Return the SQLite file that Optuna keeps the searches of a root in by default."""
    return mlruns(root) / "optuna.db"


def damaged(root: Path) -> Path:
    """Return the folder of what was put aside."""
    return mlruns(root) / "damaged"


def locks(root: Path) -> Path:
    """Return the folder of the files of locks."""
    return mlruns(root) / "locks"


def lock(root: Path, name: str) -> Path:
    """Return a lock's file."""
    return locks(root) / f"{name}.lock"
