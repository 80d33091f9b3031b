"""hydra/sweeper=optuna: its settings, and the class that Hydra looks for at every start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from pipeline.sweep.search.search import Settings

__all__ = ["SearchSweeper", "SearchSweeperConf"]


@dataclass
class SearchSweeperConf(Settings):
    """The settings of a search."""

    _target_: str = "hydra_plugins.pipeline_search.search_sweeper.SearchSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="optuna", node=SearchSweeperConf, provider="pipeline_search"
)


class SearchSweeper(Sweeper):
    """Asks Optuna for trials, batch by batch, and tells it what they reached."""

    def __init__(self, **settings: Any) -> None:
        """Take nothing: the sweep's callback has checked the settings and opened the study."""
        del settings
        self._launcher: Launcher | None = None
        self._config: DictConfig | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows."""
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        """Train all trials that are left; return what each reached, None where it failed."""
        from hydra_plugins.pipeline_search import _core  # Hydra imports this module at every start

        del arguments
        assert self._launcher is not None
        assert self._config is not None
        return _core.search(self._launcher, self._config)
