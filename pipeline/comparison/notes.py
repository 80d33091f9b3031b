"""What one must know beside the numbers of a comparison, and what one can run next."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.comparison.cells import Cells, Hole
from pipeline.comparison.comparison import Comparison, Verdict
from pipeline.comparison.question import Metric
from pipeline.comparison.statistics import mean_interval
from pipeline.tracking.record import COMMONEST_TAG, RunResult

__all__ = [
    "FEW_SEEDS",
    "MAX_SEEDS",
    "MORE_SEEDS",
    "RESUME",
    "commands",
    "count_holes",
    "find",
    "resume_command",
    "without_table",
]

FEW_SEEDS = 5

MAX_SEEDS = 1_000
"""More are not proposed: a difference that needs them hardly matters."""

FEW_EXAMPLES = 2_000
"""So many validation examples leave an accuracy uncertain by half a point, or less."""

MORE_SEEDS = "more seeds"

RESUME = "the missing runs"


def find(cells: Cells, whole: Comparison, metric: Metric) -> list[str]:
    """Return what a reader must know, sentence by sentence."""
    runs = [run for cell in cells.cells for run in cell.runs.values()]
    found: list[str] = []
    if cells.holes:
        found.append(f"{count_holes(cells.holes)}: nothing is said over them.")
    if metric.split == "test" or metric.name.startswith("test_"):
        found.append("Compared by test examples, so don't choose by this what you then report.")
    found += _few_seeds(whole)
    found += _few_examples(runs)
    found += _common_class(runs, metric)
    if cells.num_repeated:
        found.append(
            f"{_runs(cells.num_repeated)} are left out, since newer ones have the same config and "
            "seed."
        )
    found += _differing_sources(runs)
    return found


def without_table(name: str) -> str:
    """Return why a key has no table of its own."""
    return (
        f"{name} has no table of its own, since no combination of the others has finished runs "
        "with each of its values."
    )


def count_holes(holes: Sequence[Hole]) -> str:
    """Return how many runs are not finished, and why, such as "2 runs failed, 1 run is missing"."""
    verbs = {
        "failed": "",
        "diverged": "",
        "interrupted": "was ",
        "running": "is ",
        "pruned": "was ",
        "missing": "is ",
    }
    plural = {"": "", "was ": "were ", "is ": "are "}
    counts = Counter(hole.status for hole in holes)
    return ", ".join(
        f"{_runs(count)} {verbs[status] if count == 1 else plural[verbs[status]]}{status}"
        for status, count in counts.items()
    )


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _few_seeds(whole: Comparison) -> list[str]:
    """Return what so few seeds can tell."""
    fewest = min((len(row.scores) for row in whole.rows if not row.holes), default=FEW_SEEDS)
    if fewest >= FEW_SEEDS:
        return []
    if fewest < 2:
        return [
            "One seed a cell: a run with another seed may turn the order round, and nothing here "
            f"says how easily. Take {FEW_SEEDS} or more."
        ]
    width = mean_interval(_standardised(fewest)).half_width
    enough = mean_interval(_standardised(FEW_SEEDS)).half_width
    return [
        f"{fewest} seeds a cell: an interval reaches {width:.1f} standard deviations to each side "
        f"({enough:.1f} with {FEW_SEEDS} seeds), so only large differences can be told."
    ]


def _few_examples(runs: Sequence[RunResult]) -> list[str]:
    """Return what intervals over seeds leave out where one division of few examples decides."""
    counts = {
        int(row["data.num_val"]) for row in (run.params for run in runs) if _is_divided_once(row)
    }
    fewest = min(counts - {0}, default=FEW_EXAMPLES)
    if fewest >= FEW_EXAMPLES:
        return []
    return [
        f"{fewest} validation examples, one of them {100 / fewest:.1g} points: the intervals say "
        "what other seeds would give on these, not what other examples would. With "
        "data.split_seed=null each seed divides the data anew, and they say both."
    ]


def _common_class(runs: Sequence[RunResult], metric: Metric) -> list[str]:
    """Return what needs no network, where that is much."""
    shares = [float(run.tags[COMMONEST_TAG]) for run in runs if COMMONEST_TAG in run.tags]
    if not shares or metric.key != "val/accuracy":
        return []
    return [
        f"Always answering the commonest class is right for {100 * max(shares):.1f}% of the "
        "validation examples: judge accuracies by what lies above."
    ]


def _is_divided_once(params: Mapping[str, str]) -> bool:
    """Return whether a run's data are divided here, and not by the run's own seed."""
    is_drawn = "data.val_share" in params and "data.split_column" not in params
    return is_drawn and "data.split_seed" in params


def _standardised(count: int) -> list[float]:
    """Return numbers whose mean is 0 and whose standard deviation is 1."""
    side = ((count - 1) / 2) ** 0.5
    return [-side, side, *([0.0] * (count - 2))]


def _differing_sources(runs: Sequence[RunResult]) -> list[str]:
    """Return that runs come of different code or data, where they do."""
    found: list[str] = []
    codes = _distinct(run.tags.get("code_hash", "?")[:8] for run in runs)
    if len(codes) > 1:
        commits = _distinct(run.tags.get("git.commit", "?")[:8] for run in runs)
        found.append(
            f"The runs come of different code: hashes {', '.join(codes)}, commits "
            f"{', '.join(commits)}."
        )
    by_name: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        name, path = run.params.get("data.name", "?"), run.params.get("data.path", "")
        by_name[name, Path(path).name].append(run.tags.get("data_hash", "?")[:8])
    for (name, file), hashes in by_name.items():
        if len(set(hashes)) > 1:
            differing = ", ".join(_distinct(hashes))
            found.append(
                f"The runs come of different data by the name {file or name}: {differing}."
            )
    return found


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def commands(typed: str, sweep_id: str, whole: Comparison, holes: Sequence[Hole]) -> dict[str, str]:
    """Return what one can run next of a grid, by what it is for.

    Args:
        typed: the sweep's own command.
        sweep_id: of that sweep.
        whole: its comparison.
        holes: its runs that are not finished.
    """
    found: dict[str, str] = {}
    if any(hole.status != "running" for hole in holes):
        found[RESUME] = resume_command(typed, sweep_id)
    needed = _seeds_for(whole)
    if needed is not None:
        others = [word for word in shlex.split(typed) if not word.startswith(("resume", "seed="))]
        found[MORE_SEEDS] = shlex.join([*others, f"seed=range(0,{needed})", "resume=any"])
    return found


def resume_command(typed: str, sweep_id: str) -> str:
    """Return the command that goes on with a sweep.

    Args:
        typed: the sweep's own.
        sweep_id: its id.
    """
    words = [word for word in shlex.split(typed) if not word.startswith("resume")]
    return shlex.join([*words, f"resume={sweep_id[:8]}"])


def _seeds_for(whole: Comparison) -> int | None:
    """Return the seeds in all that settle what isn't; None if nothing is open, or too many."""
    open_rows = [row for row in whole.rows if row.verdict is Verdict.UNDECIDED]
    needed = [row.seeds_needed for row in open_rows if row.seeds_needed is not None]
    if needed:
        return max(needed) if max(needed) <= MAX_SEEDS else None
    return FEW_SEEDS if open_rows and len(open_rows[0].scores) < 2 else None
