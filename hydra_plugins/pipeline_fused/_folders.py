"""Output folders of the runs of a group, with the files that Hydra keeps there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime
from omegaconf import Container, DictConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import get_omega_conf_dumper

from pipeline.config.compose import without_hydra

__all__ = ["activate", "open_folder", "point_to_the_log", "to_yaml"]


def open_folder(composed: DictConfig) -> JobReturn:
    """Make a job's output folder with its configs; return what is known before it has run."""
    hydra_cfg = _hydra_part(composed)
    activate(hydra_cfg)  # the folder's name may ask for it
    hydra = composed.hydra
    folder = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
    with read_write(hydra.runtime), open_dict(hydra.runtime):
        hydra.runtime.output_dir = str(folder.absolute())
    task_cfg = without_hydra(composed)
    folder.mkdir(parents=True, exist_ok=True)
    if hydra.output_subdir is not None:
        configs = folder / hydra.output_subdir
        configs.mkdir(parents=True, exist_ok=True)
        (configs / "config.yaml").write_text(to_yaml(task_cfg), encoding="utf-8")
        (configs / "hydra.yaml").write_text(to_yaml(hydra_cfg), encoding="utf-8")
        (configs / "overrides.yaml").write_text(to_yaml(hydra.overrides.task), encoding="utf-8")
    return JobReturn(
        overrides=list(hydra.overrides.task),
        cfg=task_cfg,
        hydra_cfg=hydra_cfg,
        working_dir=str(Path.cwd()),
        task_name=JobRuntime.instance().get("name"),
    )


def activate(hydra_cfg: DictConfig | None) -> None:
    """Make it the config that `HydraConfig` and the resolver `hydra:` know."""
    HydraConfig.instance().cfg = cast("Any", hydra_cfg)


def point_to_the_log(name: str, folders: Sequence[Path], runs: str) -> None:
    """Say in every other folder that the group's log lies in the first one."""
    lead, *others = folders
    if (lead / name).is_file():
        for folder in others:
            shared = os.path.relpath(lead / name, folder)
            (folder / name).write_text(f"Runs {runs} share {shared}\n")


def _hydra_part(composed: DictConfig) -> DictConfig:
    """Return what `HydraConfig.set_config` makes of a config, but without a copy of it all."""
    OmegaConf.set_readonly(composed.hydra, True)
    part = OmegaConf.create({}, flags={"no_deepcopy_set_nodes": True})
    part["hydra"] = composed.hydra
    part.hydra._set_parent(composed)  # noqa: SLF001  (as Hydra does: interpolations reach the job)
    return part


_DUMPER: Any = type(
    "_Dumper",
    (getattr(yaml, "CDumper", yaml.Dumper),),
    {"yaml_representers": get_omega_conf_dumper().yaml_representers},
)
"""Writes as OmegaConf does, but by the C library where there is one, four times as fast."""


def to_yaml(config: Container) -> str:
    """Return what `OmegaConf.to_yaml` returns; long texts may be broken elsewhere."""
    content = OmegaConf.to_container(config, enum_to_str=True)
    return yaml.dump(content, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
