"""What is checked before anything starts: the root, the data, the tracking server, the GPU."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline import memory
from pipeline.config.schema import Config
from pipeline.data import missing_files, prepare
from pipeline.data.catalog import DATASETS, find_dataset
from pipeline.data.facts import find_facts
from pipeline.engine.grouping import multiplications, plan_groups
from pipeline.errors import UserError
from pipeline.secrets import without_password

__all__ = ["check_search", "check_surroundings"]

log = logging.getLogger("pipeline")

T = TypeVar("T")

ROOM_MB = 16
"""Free space that a run needs in the root, roughly: the database and one run's artifacts."""

MEMORY_MB = 600
"""What a command uses before its first step: most of it PyTorch and MLflow."""

BYTES_PER_PIXEL = 5
"""What data of images take while they are loaded: a byte as in their files, four as float32."""

SERVER_TIMEOUT_S = 5

WORTH_BF16 = 10_000_000
"""Multiplications in a group's largest product of a step from which a CPU is quicker at them in
bfloat16 than the conversions take (benchmarks/bf16.py)."""

MIN_BF16_BATCH = 32
"""Examples of a mini-batch below which a CPU takes as long to convert the weights as it saves."""

MIN_CAPABILITY = (8, 0)
"""The first kind of GPU with bfloat16 and TF32."""


def check_surroundings(configs: Sequence[Config], *, train_here: bool = True) -> None:
    """Check that runs can start, every place once; fetch the data that are missing.

    Args:
        configs: of all runs.
        train_here: on this machine, so that it must have what they need.

    Raises:
        UserError: naming the key, the value and what to do.
    """
    for root in _distinct(config.root for config in configs):
        _check_folder(Path(root), f"root={root}")
    for uri in _distinct(config.tracking.uri for config in configs):
        _check_store(uri)
    if train_here:
        for accelerator in _distinct(config.trainer.accelerator for config in configs):
            _check_gpu(accelerator)
        _check_bf16([config for config in configs if config.trainer.precision == "bf16"])
        _check_tf32([config for config in configs if config.trainer.precision == "tf32"])
        for name in _distinct(config.data.name for config in configs):
            _check_memory(name)
    is_dry = any(config.dry_run for config in configs)
    for config in {(id(it.data), it.trainer.early_stopping): it for it in configs}.values():
        _check_sizes(config)
    data = [config.data for config in configs if config.data.name in DATASETS]
    for name, root, download in _distinct((it.name, it.root, it.download) for it in data):
        _check_files(name, Path(root), download=download, is_dry=is_dry)


def check_search(sweeper: Mapping[str, Any], base: Config) -> None:
    """Check that a sweeper that optimises has something to optimise, in the right direction.

    Args:
        sweeper: its settings.
        base: the config that its jobs start from.

    Raises:
        UserError: it would minimise the accuracy, or there are no validation examples.
    """
    direction = str(sweeper.get("direction", "maximize")).rpartition(".")[2]
    if direction == "minimize":
        raise UserError(
            "hydra.sweeper.direction=minimize: what a run returns is its validation accuracy. "
            "Say hydra.sweeper.direction=maximize."
        )
    if base.data.without_validation:
        raise UserError(
            f"{base.data.without_validation}: a search chooses by validation accuracy, never by "
            "the test examples. Set another number of validation examples."
        )


def _check_sizes(config: Config) -> None:
    """Check that there are enough examples; a user's own data are read for that."""
    facts = find_facts(config.data)
    if config.trainer.early_stopping and not facts.num_val:
        raise UserError(
            f"trainer.early_stopping=true: {config.data.path} has no validation examples, whose "
            f"loss it watches. Write val into the column {config.data.split_column} of some rows."
        )


def _check_files(name: str, root: Path, *, download: bool, is_dry: bool) -> None:
    """Check the files of a data set; fetch those that are missing, but for a dry run say so."""
    missing = missing_files(name, root) if is_dry and download else []
    if missing:
        log.info("%s of %s would be fetched into %s", ", ".join(missing), name, root)
    else:
        prepare(name, root, download=download)


def _distinct(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))


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


def _check_memory(data: str) -> None:
    """Check that there is more memory than is used before the first step, data included."""
    limit_mb, data_mb = memory.limit_mb(), 0.0
    if data in DATASETS:
        data_mb = BYTES_PER_PIXEL * find_dataset(data).num_bytes / 2**20
    if limit_mb is not None and limit_mb < MEMORY_MB + data_mb:
        raise UserError(
            f"data={data}: this container or job may use {limit_mb:.0f} MB of memory, and some "
            f"{MEMORY_MB + data_mb:.0f} are used before the first step. Give it more "
            "(docker run --memory 2g; sbatch --mem 2G; resources.limits.memory of a pod)."
        )


def _check_bf16(configs: Sequence[Config]) -> None:
    """Refuse bfloat16 where there is none, or where it would be slower than float32."""
    if not configs:
        return
    import torch

    if configs[0].trainer.accelerator != "cpu" and torch.cuda.is_available():
        if _least_capability() < MIN_CAPABILITY:
            raise _no_bf16("this GPU has no bfloat16.")
        return
    known = torch.cpu.get_capabilities()
    if not known.get("avx512_bf16") and not known.get("amx_bf16"):
        raise _no_bf16(
            "this CPU has no instructions for bfloat16 (avx512_bf16 or amx_bf16), so it would be "
            "slower."
        )
    for group in plan_groups(configs):
        _check_worth_bf16(configs[group[0]], len(group))


def _check_worth_bf16(config: Config, num_runs: int) -> None:
    """Refuse bfloat16 for runs that train together on a CPU if float32 is quicker."""
    batch_size, work = config.data.batch_size, num_runs * multiplications(config)
    if batch_size < MIN_BF16_BATCH:
        raise _no_bf16(
            f"with data.batch_size={batch_size} it would be slower than float32, from "
            f"{MIN_BF16_BATCH} on it can be quicker."
        )
    if work < WORTH_BF16:
        raise _no_bf16(
            f"with model.hidden={config.model.hidden}, data.batch_size={batch_size} and "
            f"{num_runs} runs that can train together, the largest product of a step has {work:,} "
            f"multiplications; below {WORTH_BF16:,} it would be slower than float32."
        )


def _least_capability() -> tuple[int, int]:
    """Return the lowest compute capability of the GPUs that there are."""
    import torch

    return min(map(torch.cuda.get_device_capability, range(torch.cuda.device_count())))


def _check_tf32(configs: Sequence[Config]) -> None:
    """Refuse TF32 where there is none: on a CPU, and on older GPUs."""
    if not configs:
        return
    import torch

    if not torch.cuda.is_available() or "cpu" in {it.trainer.accelerator for it in configs}:
        raise _no_tf32("this would train on a CPU, and only a GPU has TF32.")
    if _least_capability() < MIN_CAPABILITY:
        raise _no_tf32("this GPU has no TF32.")


def _no_tf32(why: str) -> UserError:
    return UserError(f"trainer.precision=tf32: {why} Use trainer.precision=float32.")


def _no_bf16(why: str) -> UserError:
    return UserError(f"trainer.precision=bf16: {why} Use trainer.precision=float32.")
