"""Progress of groups: a bar on a terminal, a line per epoch otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.training.fit import Epoch

__all__ = ["GroupSize", "Progress", "make_progress"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroupSize:
    """How much there is to do for a group."""

    num_members: int
    num_epochs: int
    num_steps: int
    """Per epoch."""


class Progress:
    """Shows how far groups are that may train side by side, numbered from 0; this one nothing."""

    def __init__(self, groups: Sequence[GroupSize]) -> None:
        """Take all groups, those that start later too."""
        self._groups = list(groups)

    def epoch(self, group: int, epoch: Epoch) -> None:
        """Show what an epoch of a group has brought."""

    def steps(self, group: int, number: int) -> None:
        """Show how many steps a group has taken in all."""

    def end(self, group: int) -> None:
        """Show that a group has ended."""

    def split(self, group: int, parts: Sequence[GroupSize]) -> None:
        """Show that the members of a group go on in others, which have the next numbers."""
        self._groups[group] = replace(self._groups[group], num_members=0)
        self._groups += parts

    def close(self) -> None:
        """Show nothing any more."""

    def _describe(self, group: int, epoch: Epoch) -> str:
        """Return an epoch's results in words: a run's metrics, or the best one of several."""
        reached, size = list(epoch.metrics.values()), self._groups[group]
        if size.num_members > 1:
            key = "val/accuracy" if "val/accuracy" in reached[0] else "train/accuracy"
            best = max(metrics[key] for metrics in reached)
            return f"{len(reached)}/{size.num_members} members  best {key} {best:.4f}"
        (metrics,) = reached
        parts = [f"train/loss {metrics['train/loss']:.4g}"]
        if "val/accuracy" in metrics:
            parts.append(f"val/accuracy {metrics['val/accuracy']:.4f}")
        parts.append(f"test/accuracy {metrics['test/accuracy']:.4f}")
        return "  ".join(parts)


class _Lines(Progress):
    def epoch(self, group: int, epoch: Epoch) -> None:
        if not epoch.metrics:  # it was not evaluated, or every member had diverged
            return
        several = len(self._groups) > 1
        who = f"group {group + 1}/{len(self._groups)}  " if several else ""
        of_all = f"{epoch.number}/{self._groups[group].num_epochs}"
        said = self._describe(group, epoch)
        log.info("%sepoch %s  %s  %.2f s", who, of_all, said, epoch.seconds)


class _Bar(Progress):
    def __init__(self, groups: Sequence[GroupSize]) -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        super().__init__(groups)
        self._done = [0] * len(groups)
        self._ended: set[int] = set()
        self._bar = Bar(
            TextColumn("{task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        total = sum(map(self._work, groups))
        self._task = self._bar.add_task("", total=total, epoch="", count="", metrics="")

    @staticmethod
    def _work(size: GroupSize) -> int:
        return size.num_members * size.num_epochs * size.num_steps

    def steps(self, group: int, number: int) -> None:
        self._done[group] = self._groups[group].num_members * number
        self._update(number)

    def epoch(self, group: int, epoch: Epoch) -> None:
        size = self._groups[group]
        if epoch.metrics:
            metrics = self._describe(group, epoch)
            of_all = f"epoch {epoch.number}/{size.num_epochs}"
            self._bar.update(self._task, epoch=of_all, metrics=metrics)
        self.steps(group, epoch.number * size.num_steps)

    def end(self, group: int) -> None:
        self._ended.add(group)
        self._done[group] = self._work(self._groups[group])
        self._update(self._groups[group].num_epochs * self._groups[group].num_steps)

    def split(self, group: int, parts: Sequence[GroupSize]) -> None:
        super().split(group, parts)
        self._done[group] = 0
        self._done += [0] * len(parts)

    def _update(self, num_steps: int) -> None:
        if len(self._groups) > 1:
            num_runs = sum(size.num_members for size in self._groups)
            ended = sum(self._groups[group].num_members for group in self._ended)
            count = f"{ended}/{num_runs} runs"
        else:
            (size,) = self._groups
            count = f"{num_steps}/{size.num_epochs * size.num_steps}"
        self._bar.update(self._task, completed=sum(self._done), count=count)
        self._bar.start()  # only now: it starts a thread, and workers are forked by now

    def close(self) -> None:
        self._bar.stop()


def make_progress(groups: Sequence[GroupSize]) -> Progress:
    """Return what shows the progress of groups where standard output goes."""
    return _Bar(groups) if sys.stdout.isatty() else _Lines(groups)
