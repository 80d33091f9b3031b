"""What a resumed sweep has to do: which of its cells are finished, which run, which are to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.schema import Config
from pipeline.data.facts import find_facts
from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.tracking import paths
from pipeline.tracking.locks import Heartbeats, is_alive
from pipeline.tracking.provenance import code_hash
from pipeline.tracking.record import RunResult

__all__ = [
    "ANY",
    "LAST",
    "Plan",
    "check_same_data",
    "check_same_grid",
    "make_plan",
    "take_finished",
]

LAST, ANY = "last", "any"

MAX_LISTED = 8


@dataclass
class Plan:
    """The cells of a grid by their config_hash, and what becomes of each."""

    finished: dict[str, RunResult] = field(default_factory=dict[str, RunResult])
    """Not trained: their stored results count."""
    running: set[str] = field(default_factory=set[str])
    """Left alone: another process is working on them."""
    continued: dict[str, RunResult] = field(default_factory=dict[str, RunResult])
    """Interrupted runs that left a checkpoint, from which they go on."""
    dead: list[str] = field(default_factory=list[str])
    """MLflow runs that were interrupted or failed; their cells are trained anew."""
    checkpoints: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Folders of checkpoints, by name, and the cells whose runs left them."""
    replaced: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Finished MLflow runs of the sweep that don't count; kept until their cell is finished."""
    num_left: int = 0
    """Runs that were still going on when their process was killed, so that it could say nothing."""
    num_cells: int = 0
    warnings: list[str] = field(default_factory=list[str])
    """What has changed since the runs were made."""

    def start_anew(self) -> None:
        """Let no run go on from a checkpoint: those that left one are trained anew."""
        self.dead += [run.run_id for run in self.continued.values()]
        self.continued = {}

    @property
    def num_to_run(self) -> int:
        """Cells that are trained."""
        return self.num_cells - len(self.finished) - len(self.running)

    def __str__(self) -> str:
        running = f"{len(self.running)} running elsewhere, " if self.running else ""
        continued = f", {len(self.continued)} of them from a checkpoint" if self.continued else ""
        return f"{len(self.finished)} finished, {running}{self.num_to_run} to run{continued}"


def make_plan(
    cells: Mapping[str, Config],
    runs: Sequence[RunResult],
    *,
    owned: bool,
    queued: Collection[str] = (),
    heartbeats: Heartbeats | None = None,
) -> Plan:
    """Compare the cells of a grid with the runs that may answer them.

    Args:
        cells: every cell's config by its config_hash.
        runs: of the sweep that is resumed, or of any, in the order in which they started.
        owned: whether this process is the only one that works on the sweep; otherwise the cells
            that are not finished are somebody else's.
        queued: the cells that jobs of a cluster wait for or work on.
        heartbeats: see `is_alive`.
    """
    config = next(iter(cells.values()))
    plan = Plan(num_cells=len(cells))
    changed: Counter[str] = Counter()
    for run in runs:
        key = run.tags.get("config_hash", "")
        checkpoint = _checkpoint(run, Path(config.root))
        if checkpoint:
            plan.checkpoints.setdefault(checkpoint, set()).add(key)
        if key not in cells:
            continue
        changes = _changes(run, cells[key])
        if key in queued and run.status != "FINISHED":
            continue
        is_under_way = run.status == "RUNNING"
        if is_under_way and is_alive(Path(config.root), run.tags, heartbeats) is not False:
            plan.running.add(key)
        elif run.status == "FINISHED":
            changed[f"finished runs were made with other {changes}"] += bool(changes)
            _add_finished(plan, key, run, counts=not changes or _counts(config))
        else:
            plan.num_left += run.status == "RUNNING"
            goes_on = bool(checkpoint) and (not changes or _counts(config))
            changed[f"interrupted runs were begun with other {changes}"] += goes_on and bool(
                changes
            )
            _add_interrupted(plan, key, run, goes_on=goes_on)
    plan.running |= cells.keys() & set(queued)
    plan.running -= plan.finished.keys()
    for key in plan.finished.keys() & plan.continued.keys():
        plan.dead.append(plan.continued.pop(key).run_id)
    if config.resume.sweep == ANY or not owned:
        plan.replaced = {}
    if not owned:
        plan.running = cells.keys() - plan.finished.keys()
        plan.dead, plan.continued = [], {}
    if config.resume.code != "ignore":
        plan.warnings = [_warning(what, count, config) for what, count in changed.items() if count]
    return plan


def take_finished(plan: Plan, cells: Mapping[str, Config], runs: Sequence[RunResult]) -> None:
    """Let finished runs of other sweeps answer cells that have none: they are not trained again.

    Args:
        plan: of a sweep that took such runs when it started.
        cells: every cell's config by its config_hash.
        runs: finished ones, in the order in which they started.
    """
    for run in runs:
        key = run.tags.get("config_hash", "")
        is_open = key in cells and key not in plan.running and key not in plan.continued
        if is_open and not _changes(run, cells[key]):
            plan.finished.setdefault(key, run)


def _add_finished(plan: Plan, key: str, run: RunResult, *, counts: bool) -> None:
    """Let a finished run count, in place of an earlier one, or note that another will."""
    if counts:
        earlier = plan.finished.get(key)
        plan.finished[key] = run
        run_id = earlier.run_id if earlier else None
    else:
        run_id = run.run_id
    if run_id is not None:
        plan.replaced.setdefault(key, []).append(run_id)


def _checkpoint(run: RunResult, root: Path) -> str:
    """Return the name of the folder that a run left its checkpoints in, "" if there are none."""
    name = run.tags.get("checkpoint", "")
    if run.status == "FINISHED" or not is_plain_name(name):
        return ""
    return name if any((paths.checkpoints(root) / name).glob("*.safetensors")) else ""


def _add_interrupted(plan: Plan, key: str, run: RunResult, *, goes_on: bool) -> None:
    """Go on with a run from its checkpoint, with the newest one if there are several."""
    if not goes_on:
        plan.dead.append(run.run_id)
        return
    if key in plan.continued:
        plan.dead.append(plan.continued[key].run_id)
    plan.continued[key] = run


def _changes(run: RunResult, config: Config) -> str:
    """Return what was different when a run was made: "code", "data", both or nothing."""
    changes: list[str] = []
    if run.tags.get("code_hash") != code_hash():
        changes.append("code")
    digest = find_facts(config.data).digest
    if digest and run.tags.get("data_hash") != digest:
        changes.append("data")
    return " and ".join(changes)


def _counts(config: Config) -> bool:
    """Return whether a finished run counts though code or data have changed since."""
    if config.resume.code == "warn":
        return config.resume.sweep != ANY
    return config.resume.code == "ignore"


def _warning(what: str, count: int, config: Config) -> str:
    fate = "count all the same" if _counts(config) else "don't count"
    return f"{count} {what}; they {fate} (resume.code={config.resume.code})."


def check_same_grid(
    now: Mapping[str, Sequence[str]], then: Mapping[str, Sequence[str]], sweep_id: str
) -> None:
    """Refuse to continue a sweep with another grid.

    Args:
        now: overrides of every cell by its config_hash.
        then: those of the sweep that is resumed.
        sweep_id: its run id.

    Raises:
        UserError: listing the differences.
    """
    only_now = [" ".join(now[key]) for key in now.keys() - then.keys()]
    only_then = [" ".join(then[key]) for key in then.keys() - now.keys()]
    if not only_now and not only_then:
        return
    lines = [f"resume.sweep={sweep_id}: this is not the grid of that sweep."]
    lines += _listed("only in this command", only_now)
    lines += _listed("only in that sweep", only_then)
    lines.append("Type that sweep's grid, or resume=any to use what is finished of any sweep.")
    raise UserError("\n".join(lines))


def check_same_data(cells: Mapping[str, Config], runs: Sequence[RunResult], sweep_id: str) -> None:
    """Refuse to mix runs on data that have changed since, unless the user says what counts.

    Args:
        cells: every cell's config by its config_hash.
        runs: of the sweep that is resumed.
        sweep_id: its run id.

    Raises:
        UserError: with how many runs were made with other data.
    """
    config = next(iter(cells.values()))
    others = [
        run
        for run in runs
        if (key := run.tags.get("config_hash", "")) in cells and "data" in _changes(run, cells[key])
    ]
    if not others or config.resume.code != "warn":
        return
    raise UserError(
        f"resume.sweep={sweep_id}: {len(others)} of its runs were made with other data: "
        f"{config.data.path or config.data.root} has changed since. Leave resume out for a sweep "
        "of its own, or say what counts: resume.code=strict trains them anew in their place, "
        "resume.code=ignore takes them as they are."
    )


def _listed(what: str, cells: Collection[str]) -> list[str]:
    shown = sorted(cells)[:MAX_LISTED]
    more = [f"    … and {len(cells) - MAX_LISTED} more"] if len(cells) > MAX_LISTED else []
    return [f"  {what}:", *[f"    {cell}" for cell in shown], *more] if cells else []
