"""Hydra's own sweeper, less its check: the sweep's callback has checked every job already."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore

__all__ = ["GridSweeper", "GridSweeperConf"]


@dataclass
class GridSweeperConf(BasicSweeperConf):
    """The settings of the basic sweeper: max_batch_size and params."""

    _target_: str = "hydra_plugins.pipeline_grid.grid_sweeper.GridSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="pipeline_grid"
)


class GridSweeper(BasicSweeper):
    """Runs every combination of the values on the command line."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing: composing all jobs a second time takes 60 ms for each."""
