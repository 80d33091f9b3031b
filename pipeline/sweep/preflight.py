"""What is checked before anything starts: the root, the data, the tracking server, the GPU."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from pipeline.config.schema import Config
from pipeline.data import prepare
from pipeline.errors import UserError
from pipeline.secrets import without_password

__all__ = ["check_surroundings"]

ROOM_MB = 16
"""Free space that a run needs in the root, roughly: the database and one run's artifacts."""

SERVER_TIMEOUT_S = 5


def check_surroundings(config: Config) -> None:
    """Check that a run of this config can start; fetch its data if they are missing.

    Raises:
        UserError: naming the key, the value and what to do.
    """
    _check_folder(Path(config.root), f"root={config.root}")
    _check_store(config.tracking.uri)
    _check_gpu(config.trainer.accelerator)
    prepare(config.data.name, Path(config.data.root), download=config.data.download)


def _check_folder(folder: Path, setting: str) -> None:
    """Check that a folder that a key=value asks for can be written to and has room."""
    key = setting.partition("=")[0]
    remedy = f"Choose another place with {key}=…, or run from a folder that you can write to."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(1024))
    except OSError as error:
        why = f"can't write in {folder} ({error.strerror})"
        raise UserError(f"{setting}: {why}. {remedy}") from error
    free_mb = shutil.disk_usage(folder).free / 2**20
    if free_mb < ROOM_MB:
        raise UserError(
            f"{setting}: the disk is full, {free_mb:.1f} MB are free in {folder} and a run needs "
            f"some {ROOM_MB}. Make room there, or choose another place with {key}=…"
        )


def _check_store(uri: str | None) -> None:
    if uri is not None and uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).absolute().parent
        _check_folder(folder, f"tracking.uri={uri}")
    if uri is not None and uri.startswith("http"):
        _check_server(uri)


def _check_server(uri: str) -> None:
    address = without_password(uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=SERVER_TIMEOUT_S):  # noqa: S310  (the scheme was just checked)
            pass
    except urllib.error.HTTPError:
        return  # it answers; whether it is MLflow is seen when the store is opened
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"tracking.uri={address}: no MLflow server answers there "
            f"({reason}). Start one with `mlflow server`, correct the address, or use "
            "tracking=local."
        ) from error


def _check_gpu(accelerator: str) -> None:
    if accelerator != "gpu":
        return
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch  # costs a second, so only where it is asked for

    if not torch.cuda.is_available():
        raise UserError(
            "trainer.accelerator=gpu: PyTorch finds no GPU on this machine. Use trainer=cpu, or "
            "trainer=auto to take a GPU where there is one."
        )
