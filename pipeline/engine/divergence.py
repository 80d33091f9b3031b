"""Members whose numbers are no longer finite: which, and at which step that began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.data.tensors import Split
from pipeline.engine.dropout import Draws
from pipeline.engine.members import Members
from pipeline.engine.network import Network, Parameters
from pipeline.engine.optimizers import make_optimizer
from pipeline.engine.schedules import Rates
from pipeline.engine.step import Step

__all__ = ["EpochStart", "find_suspects"]

SAFETY = 1e-3
"""How far below the root is well below: room for the sum of a million weights' squares."""


def find_suspects(parameters: Parameters) -> Bool[Tensor, " members"]:
    """Return which members may have diverged, by one look at their parameters.

    While all parameters of L layers are well below the (L + 1)th root of the largest number, and
    inputs are at most 1, no loss and no regularizer can have overflowed: only a member that has
    larger ones, or some that aren't finite, needs a closer look.
    """
    largest = torch.finfo(parameters[0][0].dtype).max
    limit = SAFETY * largest ** (1 / (len(parameters) + 1))
    sizes = [tensor.flatten(1).abs().amax(1) for layer in parameters for tensor in layer]
    return ~(torch.stack(sizes) < limit).all(0)


class EpochStart:
    """A group's state when an epoch began, from which some members' steps can be taken again."""

    def __init__(self, state: Mapping[str, Tensor], names: Sequence[Sequence[str]]) -> None:
        """Keep the state.

        Args:
            state: parameters and the optimizer's memory by name; members lead in each. It is
                copied.
            names: those of each layer's parameters.
        """
        self._state = {name: tensor.clone() for name, tensor in state.items()}
        self._names = names

    def explain(
        self,
        suspects: Sequence[int],
        configs: Sequence[Config],
        network: Network,
        train: Split,
        order: Mapping[int, Int[Tensor, " examples"]],
        epoch: int,
        num_steps: int,
    ) -> dict[int, tuple[str, int]]:
        """Take the epoch's steps again to see what was no longer finite, and when.

        Args:
            suspects: the members to take them for.
            configs: of all members of the group.
            network: the group's.
            train: the training set, on the device.
            order: of the examples in this epoch, by seed.
            epoch: its number, from 1.
            num_steps: that were taken so far.

        Returns:
            For each member that has diverged ("the loss" or "a weight", the step, from 1).
        """
        own = [configs[member] for member in suspects]
        state = {name: tensor[list(suspects)] for name, tensor in self._state.items()}
        parameters = [[state[name] for name in layer] for layer in self._names]
        members = Members(own, train.inputs.device)
        optimizer = make_optimizer(
            [tensor for layer in parameters for tensor in layer],
            [config.optimizer for config in own],
        )
        for name, tensor in optimizer.state().items():
            tensor.copy_(state[name])
        draws = [Draws(seed, "train") for seed in members.seeds]
        for stream in draws:
            stream.start_epoch(epoch)
        rows = torch.stack([order[seed] for seed in members.seeds])
        whole_epoch = torch.split(rows, own[0].data.batch_size, dim=1)
        batches, before = whole_epoch[:num_steps], (epoch - 1) * len(whole_epoch)
        rates = Rates(own, len(whole_epoch)).at(range(before, before + num_steps))
        steps = {
            size: Step(size, members, network, parameters, optimizer, train)
            for size in {batch.shape[1] for batch in batches}
        }
        first_bad = torch.full((len(own),), num_steps, device=train.inputs.device)
        for number, (batch, own_rates) in enumerate(
            zip(batches, rates.to(optimizer.rates), strict=True)
        ):
            step = steps[batch.shape[1]]
            step.load(batch, draws)
            step.set_rates(own_rates)
            bad = ~step.has_finite_objective()
            first_bad = torch.where(bad & (first_bad == num_steps), number, first_bad)
            step()
        finite = _all_finite(parameters)
        found: dict[int, tuple[str, int]] = {}
        outcomes = zip(suspects, cast("list[int]", first_bad.tolist()), finite, strict=True)
        for member, step_number, is_finite in outcomes:
            if step_number < num_steps:
                found[member] = "the loss", step_number + 1
            elif not is_finite:
                # One that went bad earlier would have shown in the next step's loss.
                found[member] = "a weight", num_steps
        return found


def _all_finite(parameters: Parameters) -> list[bool]:
    tensors: list[Float[Tensor, "members ..."]] = [t for layer in parameters for t in layer]
    finite = torch.stack([tensor.flatten(1).isfinite().all(1) for tensor in tensors]).all(0)
    return cast("list[bool]", finite.tolist())
