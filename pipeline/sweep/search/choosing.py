"""How a search chooses: Optuna's sampler of the next trial, and what says which stop early."""

from __future__ import annotations

from statistics import median

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from pipeline.sweep.search.search import Settings

__all__ = ["pruner", "sampler"]


def sampler(settings: Settings, number: int) -> BaseSampler:
    """Return the sampler for one trial, with draws of its own."""
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    match settings.sampler:
        case "tpe":
            return TPESampler(seed=seed, multivariate=True, constant_liar=True)
        case "cmaes":
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case _:
            return RandomSampler(seed=seed)


def pruner(settings: Settings, num_epochs: int) -> BasePruner:
    """Return what says which trials stop early, none of them in the first eighth of its epochs."""
    first = max(1, num_epochs // 8)
    match settings.pruner:
        case "median":
            return MedianPruner(n_startup_trials=settings.batch_size, n_warmup_steps=first)
        case "halving":
            return _Halving(first)
        case _:
            return NopPruner()


class _Halving(BasePruner):
    """Stops the worse half of all trials that got to an epoch: `first`, twice that, and so on.

    Optuna's successive halving lets the trial go on that is asked about first, though the others
    of its group stand beside it.
    """

    def __init__(self, first: int) -> None:
        self._first = first

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether a trial stops after the epoch that it has reported last."""
        *earlier, epoch = sorted(trial.intermediate_values)
        if self._rung(epoch) == self._rung(max(earlier, default=0)):
            return False
        beside = study.get_trials(deepcopy=False)
        reached = [it.intermediate_values.get(epoch) for it in beside]
        middle = median(value for value in reached if value is not None)
        return trial.intermediate_values[epoch] < middle

    def _rung(self, epoch: int) -> int:
        """Return how often there has been halving after so many epochs."""
        return (epoch // self._first).bit_length()
