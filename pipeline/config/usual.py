"""`conf/usual/DATA_OPTIMIZER.yaml`: values that suit a data set trained by an optimizer.

A group of Hydra's, but nobody chooses from it: which of its files counts follows from `data` and
`optimizer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

from pipeline.errors import UserError

__all__ = ["check_usual", "hide_usual"]

GROUP = "usual"


def check_usual(choices: Mapping[str, Any]) -> None:
    """Check that the usual values are those of the data set and the optimizer.

    Args:
        choices: Hydra's, by group.

    Raises:
        UserError: others were chosen.
    """
    if choices.get(GROUP) != f"{choices['data']}_{choices['optimizer']}":
        raise UserError(
            f"{GROUP}: can't be chosen, it follows from data and optimizer. Type the values "
            "themselves, optimizer.lr=0.1 say."
        )


def hide_usual() -> None:
    """Let Hydra leave the group, from now on, out of --help and of what the shell completes."""
    original = ConfigLoaderImpl.get_group_options

    @wraps(original)
    def get_group_options(
        self: ConfigLoaderImpl, group_name: str, *args: Any, **kwargs: Any
    ) -> list[str]:
        options = original(self, group_name, *args, **kwargs)
        return options if group_name else [name for name in options if name != GROUP]

    ConfigLoaderImpl.get_group_options = get_group_options
