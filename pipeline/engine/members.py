"""The members of a fused group: in what order they lie, what they share, what sets each apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import Config, LossConfig
from pipeline.engine.backprop import Sharing
from pipeline.engine.dropout import active_probabilities
from pipeline.engine.regularizers import REGULARIZERS

__all__ = ["Members", "PenaltyBlock", "input_p_keep", "sort_members"]


def sort_members(configs: Sequence[Config]) -> list[int]:
    """Return the positions of the configs in the order in which the members should lie.

    Members that read the same inputs (same seed, same dropout of the inputs) lie together, so
    that they share a product; within those, members with the same penalty. Streams of different
    seeds with the same dropout are neighbours: they often have as many members each.
    """
    return sorted(
        range(len(configs)),
        key=lambda position: (
            input_p_keep(configs[position], "train"),
            configs[position].seed,
            configs[position].regularizer.name,
            configs[position].loss.name,
            configs[position].loss.reduction,
            position,
        ),
    )


def _p_keeps(config: Config, purpose: str) -> tuple[float, ...]:
    return active_probabilities(config.dropout, len(config.model.hidden) + 1, purpose)


def input_p_keep(config: Config, purpose: str) -> float:
    """Return p_keep of the inputs for one purpose: "train" or "evaluate"."""
    return _p_keeps(config, purpose)[0]


@dataclass(frozen=True)
class PenaltyBlock:
    """Members that lie together and have the same kind of penalty."""

    members: slice
    gradient: Callable[[Tensor, Tensor | float | None], Tensor]
    strength: Float[Tensor, "block 1 1"]
    l1_ratio: Float[Tensor, "block 1 1"] | None


class Members:
    """What the members of a group share and what sets each apart, in their order."""

    def __init__(self, configs: Sequence[Config], device: torch.device) -> None:
        """Take the members' configs, already in the order of `sort_members`."""
        self.configs = list(configs)
        self.device = device
        self.dtype: torch.dtype = getattr(torch, configs[0].trainer.precision)
        self.seeds = list(dict.fromkeys(config.seed for config in configs))
        self.seed_of_member = torch.tensor(
            [self.seeds.index(config.seed) for config in configs], device=device
        )
        streams = [(config.seed, input_p_keep(config, "train")) for config in configs]
        self.input_streams = list(dict.fromkeys(streams))
        """(seed, p_keep of the inputs) of every input matrix."""
        self.sharing = Sharing([streams.count(stream) for stream in self.input_streams])

    def __len__(self) -> int:
        return len(self.configs)

    @cached_property
    def losses(self) -> list[tuple[LossConfig, Tensor | slice]]:
        """Each loss and the members that have it."""
        found: dict[tuple[str, str], list[int]] = {}
        for member, config in enumerate(self.configs):
            found.setdefault((config.loss.name, config.loss.reduction), []).append(member)
        if len(found) == 1:
            return [(self.configs[0].loss, slice(None))]
        return [
            (self.configs[members[0]].loss, torch.tensor(members, device=self.device))
            for members in found.values()
        ]

    @cached_property
    def penalties(self) -> list[PenaltyBlock]:
        """The penalties, one block per kind where its members lie together."""
        names = [config.regularizer.name for config in self.configs]
        blocks: list[PenaltyBlock] = []
        for name in dict.fromkeys(names):
            mine = [member for member, other in enumerate(names) if other == name]
            together = mine[-1] - mine[0] + 1 == len(mine)
            block = slice(mine[0], mine[-1] + 1) if together else slice(0, len(self))
            strengths = [
                config.regularizer.strength if config.regularizer.name == name else 0.0
                for config in self.configs[block]
            ]
            if any(strengths):
                blocks.append(self._penalty_block(name, block, strengths))
        return blocks

    def _penalty_block(self, name: str, block: slice, strengths: list[float]) -> PenaltyBlock:
        ratios = [config.regularizer.l1_ratio for config in self.configs[block]]
        has_ratio = any(ratio is not None for ratio in ratios)
        return PenaltyBlock(
            block,
            REGULARIZERS[name].gradient,
            self._column(strengths),
            self._column([ratio or 0.0 for ratio in ratios]) if has_ratio else None,
        )

    def _column(self, values: Sequence[float]) -> Float[Tensor, "values 1 1"]:
        return torch.tensor(values, dtype=self.dtype, device=self.device).view(-1, 1, 1)

    def p_keep(self, layer: int, purpose: str) -> Float[Tensor, "members 1 1"] | None:
        """Return p_keep of a layer member by member, None if no member drops there."""
        values = [_p_keeps(config, purpose)[layer] for config in self.configs]
        return self._column(values) if min(values) < 1 else None
