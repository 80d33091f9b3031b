"""The members of a group: in what order they lie, what they share, what sets each apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import Config, RegularizerConfig
from pipeline.engine.dropout import active_probabilities
from pipeline.engine.first_layer import Readers
from pipeline.engine.losses import Loss, make_loss
from pipeline.engine.precision import parameter_dtype
from pipeline.engine.regularizers import Regularizer, make_regularizer

__all__ = ["Members", "Regularized", "input_p_keep", "sort_members"]


def sort_members(configs: Sequence[Config]) -> list[int]:
    """Return the positions of the configs in the order in which the members should lie.

    Members that read the same inputs (same seed, same dropout of the inputs) lie together, so
    that they share a product; within those, members with the same regularizer. Matrices of
    different seeds with the same dropout are neighbours: they often have as many members each.
    """
    return sorted(
        range(len(configs)),
        key=lambda position: (
            input_p_keep(configs[position], "train"),
            configs[position].seed,
            repr(_kind(configs[position].regularizer)),
            repr(configs[position].loss),
            position,
        ),
    )


def _kind(config: RegularizerConfig) -> RegularizerConfig:
    """Return all of a regularizer's config but its strength, which members have one by one."""
    return replace(config, strength=0.0)


def input_p_keep(config: Config, purpose: str) -> float:
    """Return p_keep of the inputs for one purpose: "train" or "evaluate"."""
    return active_probabilities(config.dropout, 1, purpose)[0]


@dataclass(frozen=True)
class Regularized:
    """Members that lie together and have the same regularizer, each with its own strength λ."""

    members: slice
    regularizer: Regularizer
    strength: Float[Tensor, "block 1 1"]


class Members:
    """What the members of a group share and what sets each apart, in their order."""

    def __init__(self, configs: Sequence[Config], device: torch.device) -> None:
        """Take the members' configs, already in the order of `sort_members`."""
        self.configs = list(configs)
        self.device = device
        self.dtype = parameter_dtype(configs[0].trainer)
        self.seeds = list(dict.fromkeys(config.seed for config in configs))
        places = {seed: place for place, seed in enumerate(self.seeds)}
        self.seed_of_member = torch.tensor(
            [places[config.seed] for config in configs], device=device
        )
        matrices = [(config.seed, input_p_keep(config, "train")) for config in configs]
        self.input_matrices = list(dict.fromkeys(matrices))
        """(seed, p_keep of the inputs) of every matrix of inputs."""
        self.readers = Readers([matrices.count(matrix) for matrix in self.input_matrices])

    def __len__(self) -> int:
        return len(self.configs)

    @cached_property
    def losses(self) -> list[tuple[Loss, Tensor | slice]]:
        """Each different loss and the members that have it; two differ if any of their keys do."""
        found: dict[str, list[int]] = {}
        for member, config in enumerate(self.configs):
            found.setdefault(repr(config.loss), []).append(member)
        losses = [
            make_loss(self.configs[members[0]].loss, self.configs[members[0]].model.output)
            for members in found.values()
        ]
        if len(losses) == 1:
            return [(losses[0], slice(None))]
        rows = [torch.tensor(members, device=self.device) for members in found.values()]
        return list(zip(losses, rows, strict=True))

    @cached_property
    def regularized(self) -> list[Regularized]:
        """The regularizers, one block for each kind where its members lie together.

        Two are of one kind if they differ in nothing but their strength.
        """
        kinds = [repr(_kind(config.regularizer)) for config in self.configs]
        blocks: list[Regularized] = []
        for kind in dict.fromkeys(kinds):
            mine = [member for member, other in enumerate(kinds) if other == kind]
            together = mine[-1] - mine[0] + 1 == len(mine)
            block = slice(mine[0], mine[-1] + 1) if together else slice(0, len(self))
            strengths = [
                config.regularizer.strength if other == kind else 0.0
                for config, other in zip(self.configs[block], kinds[block], strict=True)
            ]
            if any(strengths):
                regularizer = make_regularizer(self.configs[mine[0]].regularizer)
                blocks.append(Regularized(block, regularizer, self._column(strengths)))
        return blocks

    @cached_property
    def epsilons(self) -> Float[Tensor, "members 1 1"]:
        """ε of each member's attack; 0 without one."""
        epsilons = [config.attack.epsilon for config in self.configs]
        return self._column([0.0 if epsilon is None else epsilon for epsilon in epsilons])

    def _column(self, values: Sequence[float]) -> Float[Tensor, "values 1 1"]:
        return torch.tensor(values, dtype=self.dtype, device=self.device).view(-1, 1, 1)

    def p_keeps(self, purpose: str, num_layers: int) -> dict[int, Float[Tensor, "members 1 1"]]:
        """Return p_keep member by member, for each layer where some member drops units.

        Args:
            purpose: "train" or "evaluate".
            num_layers: of the network; layer 0 is the inputs, the last one the logits.
        """
        members = [active_probabilities(c.dropout, num_layers, purpose) for c in self.configs]
        return {
            layer: self._column(values)
            for layer, values in enumerate(zip(*members, strict=True))
            if min(values) < 1
        }
