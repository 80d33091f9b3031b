"""What a sweep leaves when it ends: its runs and their comparison, in files and in MLflow."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.comparison.answer import answer
from pipeline.comparison.comparison import Answer
from pipeline.comparison.plain import as_json
from pipeline.comparison.subject import Subject
from pipeline.tracking.run import TrackedRun

__all__ = ["Findings"]

NOTE_TAG = "mlflow.note.content"
"""What MLflow's pages show as the run's description."""

MAX_NOTE = 5_000
"""Characters that any of MLflow's stores takes as a tag."""


@dataclass(frozen=True)
class Findings:
    """A sweep's runs and what they say."""

    subject: Subject
    answer: Answer | None
    """None if no run is finished, or nobody planned what to compare (a search)."""

    @classmethod
    def of(cls, subject: Subject) -> Findings:
        """Return the findings of a sweep that ends."""
        any_finished = any(run.status == "FINISHED" for run in subject.runs)
        return cls(subject, answer(subject) if subject.grid and any_finished else None)

    def write(self, run: TrackedRun) -> None:
        """Write results.csv, the comparison as Markdown, JSON, figure and the run's description.

        Args:
            run: the sweep's own, which goes on.

        Raises:
            OSError: the files can't be written.
        """
        from pipeline.report.answer import as_markdown
        from pipeline.report.charts.comparison import comparison_chart, told_runs
        from pipeline.report.charts.spec import save_png
        from pipeline.report.runs_table import write_csv

        write_csv(run.artifacts / "results.csv", self.subject.runs)
        if self.answer is None:
            return
        markdown = as_markdown(self.answer)
        (run.artifacts / "comparison.md").write_text(markdown)
        (run.artifacts / "comparison.json").write_text(as_json(self.answer))
        chart = comparison_chart(self.answer, run.store.with_curves(told_runs(self.answer)))
        save_png(chart, run.artifacts / "comparison.png")
        run.record.tags[NOTE_TAG] = _note(markdown, self.subject)
        run.record.log(0, _summary(self.answer))


def _note(markdown: str, subject: Subject) -> str:
    """Return the description: the comparison and the command, cut where it is too long."""
    command = f"\n```\n{subject.command}\n```\n" if subject.command else ""
    text = command + "\n" + markdown
    return text if len(text) <= MAX_NOTE else text[: MAX_NOTE - 2].rpartition("\n")[0] + "\n…"


def _summary(found: Answer) -> dict[str, float]:
    """Return the numbers that stand for the whole sweep, as metrics."""
    summary: dict[str, float] = {
        "runs/finished": sum(len(row.runs) for row in found.cells.rows),
        "runs/unfinished": len(found.holes),
    }
    if found.chosen:
        summary["chosen/val_accuracy"] = found.chosen.row.mean.value
        summary["chosen/test_accuracy"] = found.chosen.row.test.value
    return summary
