"""The state of a training run on disk: written whole or not at all, checked before it is used.

A file is named `epoch-000012-<SHA-256 of its content>.safetensors`, so one that was cut off or
damaged doesn't bear its own name. Tensors lie in it as numbers and everything else as JSON:
nothing that is read can run code.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from pipeline.errors import UserError
from pipeline.files import write_whole

__all__ = ["Checkpoint", "Schedule", "load_newest", "remove", "write"]

NUM_KEPT = 2
"""The newest, and one to fall back on."""

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Checkpoint:
    """What training needs to go on after an epoch as if it had not been interrupted."""

    epoch: int
    """The last one that was trained, from 1."""
    tensors: Mapping[str, Tensor]
    """Weights, biases and the optimizer's state. The random streams restart every epoch."""
    notes: Mapping[str, Any]
    """What is known besides, as JSON has it."""


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove those that are older than the one before it.

    Raises:
        UserError: it can't be written.
    """
    tensors = {name: tensor.contiguous().cpu() for name, tensor in checkpoint.tensors.items()}
    content = save(tensors, metadata={"notes": json.dumps(checkpoint.notes)})
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"epoch-{checkpoint.epoch:06d}-{digest}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        for old in _newest_first(folder)[NUM_KEPT:]:
            old.unlink()
    except OSError as error:
        raise UserError(
            f"{path}: the checkpoint can't be written ({error.strerror}). Make room there and "
            "continue with resume=last."
        ) from error


def load_newest(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; name those that are damaged.

    Returns:
        The checkpoint, None if there is none.
    """
    for path in _newest_first(folder):
        content = path.read_bytes()
        _, epoch, digest = path.stem.split("-")
        problem = "its checksum is another"
        if hashlib.sha256(content).hexdigest() == digest:
            try:
                return _parse(int(epoch), path, content)
            except (SafetensorError, ValueError, KeyError, TypeError) as error:
                problem = f"it is no checkpoint, {error}"
        log.warning("%s: damaged (%s); it isn't used", path, problem)
    return None


def _parse(epoch: int, path: Path, content: bytes) -> Checkpoint:
    opened: Any = safe_open(str(path), framework="pt")
    with opened as file:
        notes = json.loads(file.metadata()["notes"])
    return Checkpoint(epoch, load(content), notes)


def remove(folder: Path) -> None:
    """Remove the checkpoints of a run that has ended well."""
    shutil.rmtree(folder, ignore_errors=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*-*.safetensors"), reverse=True)


class Schedule:
    """When to write: after so many seconds, or epochs. Short runs never do."""

    def __init__(self, every_s: float, every_epochs: int | None) -> None:
        """Start the clock."""
        self._every_s = every_s
        self._every_epochs = every_epochs
        self._last = time.monotonic()

    def is_due(self, epoch: int) -> bool:
        """Return whether to write at the end of an epoch (from 1), and note it if so."""
        if self._every_epochs is not None:
            return epoch % self._every_epochs == 0
        if time.monotonic() - self._last < self._every_s:
            return False
        self._last = time.monotonic()
        return True
