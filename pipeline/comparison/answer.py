"""From runs to an answer: which choice is better, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.comparison import notes
from pipeline.comparison.cells import Cells, find_cells, short_names
from pipeline.comparison.choice import choose
from pipeline.comparison.comparison import Answer, Comparison, Row
from pipeline.comparison.question import (
    VALIDATION,
    Metric,
    Question,
    baseline_values,
    find_keys,
    find_metric,
)
from pipeline.comparison.rows import Level, average, compare
from pipeline.comparison.search import best_trial, more_seeds
from pipeline.comparison.subject import Subject
from pipeline.errors import UserError

__all__ = ["answer"]


def answer(subject: Subject, question: Question | None = None) -> Answer:
    """Compare the cells of runs.

    Raises:
        UserError: no run is finished, or the question asks for what isn't there.
    """
    question = question or Question()
    cells = find_cells(subject.runs, subject.grid)
    finished = [run for cell in cells.cells for run in cell.runs.values()]
    if not finished:
        raise UserError(
            f"{subject.title}: none of its {len(cells.holes)} runs is finished, so there is "
            "nothing to compare yet."
        )
    metric = find_metric(question.metric, finished, cells.keys)
    keys = cells.keys if question.by is None else find_keys(question.by, cells.keys)
    baseline = baseline_values(question.baseline, cells)
    base = baseline or next(cell for cell in cells.cells if cell.runs).values

    def averaged(over: Sequence[str]) -> Comparison | None:
        levels = average(cells, over)
        if not any(level.scores(metric.key) for level in levels):
            return None
        wanted = {key: base[key] for key in over}
        return compare(levels, metric, baseline=wanted, margin=question.margin)

    whole = averaged(keys)
    if whole is None:
        raise UserError(
            f"--by {','.join(keys)}: there is nothing to average, since no combination of the "
            "other keys has finished runs with every value. Leave --by out."
        )
    effects = {key: averaged([key]) for key in keys} if len(keys) > 1 else {}
    names = short_names(cells.keys)
    without = [names[key] for key, effect in effects.items() if effect is None]
    of_validation = Metric(metric.key if metric.split == "val" else VALIDATION)
    return Answer(
        title=subject.title,
        metric=metric.key,
        higher_is_better=metric.higher_is_better,
        margin=whole.margin,
        cells=whole,
        effects=[effect for effect in effects.values() if effect is not None],
        chosen=choose(_by_validation(cells, whole, metric, of_validation), of_validation),
        holes=cells.holes,
        averaged_over=[names[key] for key in cells.keys if key not in keys],
        notes=[*notes.find(cells, whole, metric), *map(notes.without_table, without)],
        commands=_commands(subject, whole, cells),
        seeds=sorted({seed for cell in cells.cells for seed in cell.runs}),
    )


def _commands(subject: Subject, whole: Comparison, cells: Cells) -> dict[str, str]:
    """Return what one can run next."""
    if subject.command is None or subject.sweep_id is None:
        return {}
    if subject.grid:
        return notes.commands(subject.command, subject.sweep_id, whole, cells.holes)
    best = best_trial(subject.runs)
    return {notes.MORE_SEEDS: more_seeds(subject.command, best)} if best else {}


def _by_validation(
    cells: Cells, whole: Comparison, metric: Metric, of_validation: Metric
) -> list[Row]:
    """Return the rows of all cells by the metric that choices are made by."""
    if metric == of_validation and whole.keys == cells.keys:
        return whole.rows
    having = [
        cell
        for cell in cells.cells
        if cell.runs and all(of_validation.key in run.metrics for run in cell.runs.values())
    ]
    if not having:
        return []
    levels = [Level(cell.values, [cell]) for cell in having]
    return compare(levels, of_validation, baseline=None, margin=None).rows
