"""The run that stands for a sweep: the one that its validation examples choose."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.comparison.answer import answer
from pipeline.comparison.comparison import Answer
from pipeline.comparison.subject import find_subject
from pipeline.errors import UserError
from pipeline.tracking.lookup import find_runs
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

__all__ = ["Choice", "choose_run"]


@dataclass(frozen=True)
class Choice:
    """A run that was named, or chosen."""

    run: RunResult
    answer: Answer | None = None
    """The comparison that it was chosen by; None if it was named."""


def choose_run(store: Store, wanted: str) -> Choice:
    """Return the run that is meant: a run itself, or the one that a sweep's validation chose.

    That is, of the complete cells, the one with the highest mean of val/accuracy over its seeds,
    and in it the run with the highest.

    Args:
        store: where it is.
        wanted: a run, a sweep or an experiment, as `find_runs` takes them.

    Raises:
        UserError: there is no such, or nothing can be chosen.
    """
    found = find_runs(store, [wanted])
    if not found.sweeps and len(found.runs) == 1:
        return Choice(found.runs[0])
    compared = answer(find_subject(store, [wanted]))
    if compared.chosen is None:
        raise UserError(
            f"{wanted}: no run can be chosen, since that takes a combination whose runs are all "
            "finished and have validation examples (data.num_val > 0). Name a run by its id; "
            "`python -m pipeline.compare --runs` lists them."
        )
    return Choice(compared.chosen.best_run, compared)
