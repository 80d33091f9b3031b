"""`python -m pipeline.reproduce [NAME …] [KEY=VALUE …]`: the problem set's numbers beside ours.

Trains the runs that are missing, checks the theory, and writes the report: Markdown, one HTML page,
figures. Interrupted, it goes on where it stopped: runs that are finished are not trained again.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.config.compose import register
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.options import did_you_mean
from pipeline.process import exit_on_signals, leave, quick_imports
from pipeline.sweep.preflight import check_surroundings
from pipeline.tracking.provenance import environment_tags

with quick_imports():
    from rich.console import Console

    from pipeline.data.tensors import Data, load
    from pipeline.errors import UserError
    from pipeline.reproduce.expectations import accept, lost_agreements
    from pipeline.reproduce.reference import read_reference
    from pipeline.reproduce.report import Findings, write_report
    from pipeline.reproduce.runs import StudyRuns, compose_jobs, find_runs, store_of, train_missing
    from pipeline.theory.batch_size import NUM_EXAMPLES, compare_batch_sizes
    from pipeline.theory.check import check_all
    from pipeline.tracking.run import TrackedRun, closing, start_run
    from pipeline.training.group import Job

__all__ = ["main"]

log = logging.getLogger("pipeline")

STUDIES = ("losses", "penalties", "dropout", "claims", "sgd_network")
"""In the order in which they are trained: the longest one last."""

THEORY = "theory"

NEEDED = {"claims": ("losses", "penalties", "dropout")}
"""Studies whose runs another one's verdicts need too."""

EXPERIMENT = "reproduction"
"""The MLflow experiment of the reports; every study has one of its own."""

QUICK_SEEDS = 2

PLACES = ("root=", "data.root=", "tracking", "trainer=", "trainer.accelerator=")
"""Overrides that change no number."""


def main() -> None:
    """Run the command line."""
    exit_on_signals()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    register()
    code: int | str | None = 0
    try:
        code = _reproduce(_parse(sys.argv[1:]))
    except CONFIG_ERRORS as error:
        code = f"error: {explain(error)}"
    except SystemExit as error:
        code = error.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    leave(code or 0)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.reproduce", description=__doc__)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME | KEY=VALUE",
        help=f"what to reproduce, all by default: {', '.join((*STUDIES, THEORY))}; "
        "and overrides for the runs, such as root=FOLDER",
    )
    parser.add_argument("--seeds", type=int, help="of every study (default: 5; sgd_network 24)")
    parser.add_argument("--quick", action="store_true", help=f"the same as --seeds {QUICK_SEEDS}")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.md",
        help="default: reports/problem_set.md in the root",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="train again what other code has trained"
    )
    parser.add_argument(
        "--accept", action="store_true", help="write down which cells agree, for later reports"
    )
    parsed = parser.parse_intermixed_args(arguments)
    parsed.names = _names([word for word in parsed.words if "=" not in word])
    parsed.overrides = [word for word in parsed.words if "=" in word]
    seeds = QUICK_SEEDS if parsed.quick and parsed.seeds is None else parsed.seeds
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds {seeds}: must be at least 1, for intervals 2.")
    if parsed.output is not None and parsed.output.suffix != ".md":
        raise UserError(f"--output {parsed.output}: must be the name of a Markdown file, FILE.md.")
    parsed.overrides += [f"seed=range(0,{seeds})"] if seeds else []
    parsed.changes = [item for item in parsed.overrides if not item.startswith(PLACES)]
    if parsed.accept and parsed.changes:
        raise UserError(
            f"--accept with {' '.join(parsed.changes)}: what later reports are held to comes from "
            "the studies as they are."
        )
    return parsed


def _names(typed: Sequence[str]) -> list[str]:
    """Return the studies to do, with those that they need, in order."""
    known = (*STUDIES, THEORY)
    for name in typed:
        if name not in known:
            raise UserError(
                f"{name}: no such study.{did_you_mean(name, known)} There are {', '.join(known)}."
            )
    wanted = set(typed or known)
    wanted |= {other for name in typed for other in NEEDED.get(name, ())}
    return [name for name in known if name in wanted]


def _reproduce(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; return the exit code."""
    started = time.perf_counter()
    reference = read_reference()
    jobs = {
        name: compose_jobs(name, arguments.overrides) for name in arguments.names if name != THEORY
    }
    base = next(iter(jobs.values()), None) or compose_jobs(STUDIES[0], arguments.overrides)
    config = base[0].config
    check_surroundings([config])
    output: Path = arguments.output or Path(config.root) / "reports" / "problem_set.md"
    _check_output(output)
    tags = {**config.tracking.tags, **environment_tags()}
    parent = start_run(
        store_of(config),
        experiment_name=EXPERIMENT,
        name=" ".join(arguments.names),
        tags=tags,
        offline_is_fine=False,
    )
    with closing(parent):
        studies, num_trained = _run_studies(jobs, parent, fresh=arguments.fresh)
        findings = Findings(
            reference, studies, num_trained=num_trained, overrides=arguments.changes
        )
        if THEORY in arguments.names:
            log.info("theory: computing the claims of Problems 1 to 3")
            findings.comparison = compare_batch_sizes(_theory_data(base[0]))
            findings.theory = check_all(findings.comparison)
        findings.seconds = time.perf_counter() - started
        files = write_report(output, findings)
        for file in files:
            shutil.copy(file, _artifact_folder(parent, file, output))
    if arguments.accept:
        accept(findings.answers)
    return _conclude(findings, files)


def _check_output(output: Path) -> None:
    """Refuse a place where the report can't be written, before hours are spent on it."""
    try:
        output.with_suffix("").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: can't be written ({error.strerror}).") from error
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a Markdown file in it.")


def _run_studies(
    jobs: dict[str, list[Job]], parent: TrackedRun, *, fresh: bool
) -> tuple[dict[str, StudyRuns], int]:
    """Train what is missing, study by study; return the runs and how many were trained."""
    parent_run_id = parent.record.run_id
    assert parent_run_id is not None
    studies: dict[str, StudyRuns] = {}
    num_trained = 0
    for name, of_study in jobs.items():
        runs = find_runs(name, of_study, only_this_code=fresh)
        num_missing = len(runs.missing)
        log.info("%s: %d of %d runs are finished", name, len(of_study) - num_missing, len(of_study))
        if num_missing:
            train_missing(runs, parent_run_id)
            runs = find_runs(name, of_study)
            num_trained += num_missing - len(runs.missing)
        studies[name] = runs
    return studies, num_trained


def _theory_data(job: Job) -> Data:
    data = job.config.data
    num_train = min(NUM_EXAMPLES, data.num_train)
    return load(data.name, Path(data.root), num_train=num_train, num_val=0, download=True)


def _artifact_folder(parent: TrackedRun, file: Path, output: Path) -> Path:
    """Return where a file of the report goes among the artifacts: as it lies in its folder."""
    folder = parent.artifacts / file.parent.relative_to(output.parent)
    folder.mkdir(exist_ok=True)
    return folder


def _conclude(findings: Findings, files: Sequence[Path]) -> int:
    """Say what came out; return 1 if runs are missing, a proof fails or an agreement is lost."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for claim in findings.claims:
        console.print(f"{claim.decision}: {claim.statement}")
    for name, found in findings.answers.items():
        if found:
            counts = Counter(entry.verdict.value for entry in found)
            listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            console.print(f"{name}: of {len(found)} published numbers {listed}")
    console.print(f"The report: {files[0]}, {files[1].name} (as a page)")
    problems = [
        f"{name}: {len(runs.missing)} of {len(runs.jobs)} runs are missing"
        for name, runs in findings.studies.items()
        if runs.missing
    ]
    problems += [f"no longer as published: {cell}" for cell in lost_agreements(findings.answers)]
    problems += [
        f"theory {claim.problem} fails: {claim.statement}"
        for claim in findings.theory
        if claim.verdict == "fails"
    ]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    main()
