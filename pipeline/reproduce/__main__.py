"""`python -m pipeline.reproduce [STUDY …] [KEY=VALUE …]`: published numbers beside ours.

Trains the runs that are missing, checks the theory, and writes the report: Markdown, one HTML page,
figures. A STUDY is one of the project's own, or a YAML file of yours. Interrupted, it goes on where
it stopped: runs that are finished are not trained again.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.config.compose import register
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.options import did_you_mean
from pipeline.process import exit_on_signals, leave, quick_imports
from pipeline.sweep.preflight import check_surroundings
from pipeline.tracking.provenance import origin_tags

with quick_imports():
    from rich.console import Console

    from pipeline.config.schema import Config, DataConfig
    from pipeline.data.tensors import Data, load
    from pipeline.errors import UserError
    from pipeline.reproduce.expectations import accept, changed, verdicts_of
    from pipeline.reproduce.report import Findings, counted, write_report
    from pipeline.reproduce.runs import StudyJob, StudyRuns, compose_jobs, find_runs, train_missing
    from pipeline.reproduce.search import HEAD, search
    from pipeline.reproduce.section import read_section
    from pipeline.reproduce.study import FOLDER, Study, read_study
    from pipeline.theory.batch_size import NUM_EXAMPLES, compare_batch_sizes
    from pipeline.theory.check import check_all
    from pipeline.theory.claim import Outcome
    from pipeline.tracking.record import Record
    from pipeline.tracking.run import TrackedRun, closing, start_run
    from pipeline.tracking.store import open_store

__all__ = ["main"]

log = logging.getLogger("pipeline")

STUDIES = (
    *("losses", "penalties", "dropout", "overfitting", "sgd_network"),
    *("goodfellow_2015", "nielsen_1", "nielsen_3", "nielsen_100", "lecun_1998"),
)
"""The project's own studies in the order in which they are trained: the problem set's first."""

LONG = ("nielsen_1", "nielsen_3", "nielsen_100", "lecun_1998")
"""Studies that take minutes even with few seeds: --quick leaves them out, unless they are named."""

THEORY = "theory"

SEARCHED = "protocol_search.md"
"""What --search has found, beside the report."""

EXPERIMENT = "reproduction"
"""The MLflow experiment of the reports; every study has one of its own."""

REPORTS = Path("reports")

REPORT = "problem_set.md"
"""The file of the report on the project's own studies; one on a file NAME.yaml is NAME.md."""

QUICK_SEEDS = 3

PLACES = ("root=", "data.root=", "tracking", "trainer=", "trainer.accelerator=")
"""How overrides begin that change no number."""


def main() -> None:
    """Run the command line."""
    exit_on_signals()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    register()
    try:
        problems = _reproduce(_parse(sys.argv[1:]))
    except CONFIG_ERRORS as error:
        problems = [explain(error)]
    except SystemExit as ended:  # by a signal or by argparse
        leave(int(ended.code or 0))
        return
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    leave(int(bool(problems)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.reproduce", description=__doc__)
    add = parser.add_argument
    add(
        "words",
        nargs="*",
        metavar="STUDY | KEY=VALUE",
        help=f"what to reproduce, all by default: {', '.join((*STUDIES, THEORY))}, or a study of "
        "your own, FILE.yaml; and overrides for the runs, such as root=FOLDER",
    )
    add("--seeds", type=int, help="of every study (default: what it says, 20 as a rule)")
    add("--quick", action="store_true", help=f"--seeds {QUICK_SEEDS}, short studies: tells little")
    add("--output", type=Path, metavar="FILE.md", help=f"default: {REPORTS / REPORT} in the root")
    add("--fresh", action="store_true", help="train again what other code has trained")
    add("--accept", action="store_true", help="write down all verdicts, for later reports")
    add("--search", action="store_true", help="try what an underspecified protocol may mean")
    return parser


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options, and of the words the studies' names, overrides and what they change.

    Raises:
        UserError: names a study that there isn't, or an option that can't be meant.
    """
    parsed = _parser().parse_intermixed_args(arguments)
    if parsed.seeds is None and parsed.quick:
        parsed.seeds = QUICK_SEEDS
    seeds = [] if parsed.seeds is None else [f"seed=range(0,{parsed.seeds})"]
    parsed.names = _names([word for word in parsed.words if "=" not in word], quick=parsed.quick)
    parsed.overrides = [word for word in parsed.words if "=" in word] + seeds
    parsed.changes = [item for item in parsed.overrides if not item.startswith(PLACES)]
    if parsed.seeds is not None and parsed.seeds < 1:
        raise UserError(f"--seeds {parsed.seeds}: must be at least 1, for intervals 2.")
    if parsed.output is not None and parsed.output.suffix != ".md":
        raise UserError(f"--output {parsed.output}: must be the name of a Markdown file, FILE.md.")
    if parsed.accept and parsed.changes:
        raise UserError(
            f"--accept with {' '.join(parsed.changes)}: what later reports are held to comes from "
            "the studies as they are."
        )
    return parsed


def _names(typed: Sequence[str], *, quick: bool) -> list[str]:
    """Return what to do in order; files come after the project's own studies."""
    known = (*STUDIES, THEORY)
    files = [name for name in typed if name.endswith((".yaml", ".yml"))]
    for name in typed:
        if name not in known and name not in files:
            raise UserError(
                f"{name}: no such study.{did_you_mean(name, known)} There are {', '.join(known)}; "
                "one of your own is a file, NAME.yaml."
            )
    if quick and not typed:
        log.info("--quick leaves out what takes long unless it is named: %s", ", ".join(LONG))
        return [name for name in known if name not in LONG]
    return [name for name in known if not typed or name in typed] + files


def _read(names: Sequence[str]) -> dict[str, Study]:
    """Read the studies; one's own is called as its file is."""
    paths = [FOLDER / f"{name}.yaml" if name in STUDIES else Path(name) for name in names]
    taken = {*STUDIES, THEORY, EXPERIMENT}
    for path in (path for path in paths if path.parent != FOLDER):
        if path.stem in taken:
            raise UserError(f"{path}: there is a study {path.stem} already. Rename the file.")
        taken.add(path.stem)
    return {path.stem: read_study(path) for path in paths}


def _reproduce(arguments: argparse.Namespace) -> list[str]:
    """Do what the arguments ask for; return what is wrong with the outcome, for people."""
    started = time.perf_counter()
    typed = [name for name in arguments.names if name != THEORY]
    studies = _read(typed)
    if arguments.search and not any(study.search for study in studies.values()):
        return [f"--search: {' '.join(studies)} says nothing to try under the key search."]
    jobs = {name: compose_jobs(name, study, arguments.overrides) for name, study in studies.items()}
    config = _any_config(jobs, arguments.overrides)
    check_surroundings([config])
    output: Path = arguments.output or Path(config.root) / REPORTS / _report_name(studies)
    _check_output(output)
    if arguments.search:
        return _search(studies, arguments.overrides, output)
    with closing(_start_run(config, [*studies, *_theory(arguments)])) as run:
        run_id = run.record.run_id
        assert run_id is not None
        trained = [_train(name, jobs[name], run_id, fresh=arguments.fresh) for name in studies]
        results = [result for runs in trained for result in runs.results if result]
        num_trained = len(
            {it.run_id for it in results if it.tags.get("mlflow.parentRunId") == run_id}
        )
        sections = [
            read_section(studies[runs.name], runs, said)
            for runs, said in zip(trained, typed, strict=True)
        ]
        findings = Findings(sections, num_trained, arguments.changes)
        if THEORY in arguments.names:
            log.info("theory: computing the claims of Problems 1 to 3")
            findings.comparison = compare_batch_sizes(_load_data(config.data))
            findings.theory = check_all(findings.comparison)
        findings.seconds = time.perf_counter() - started
        files = write_report(output, findings)
        for file in files:
            copy = run.artifacts / file.relative_to(output.parent)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)
    if arguments.accept:
        accept(verdicts_of(sections, findings.theory))
    _show(findings, files)
    return _problems(findings, is_whole=not arguments.changes)


def _theory(arguments: argparse.Namespace) -> list[str]:
    return [THEORY] if THEORY in arguments.names else []


def _any_config(jobs: Mapping[str, Sequence[StudyJob]], overrides: Sequence[str]) -> Config:
    """Return a config that says where everything is; the theory alone has no study's."""
    if jobs:
        return next(iter(jobs.values()))[0].job.config
    first = STUDIES[0]
    return compose_jobs(first, _read([first])[first], overrides)[0].job.config


def _report_name(studies: Mapping[str, Study]) -> str:
    own = [name for name in studies if name not in STUDIES]
    return f"{own[0]}.md" if len(own) == len(studies) == 1 else REPORT


def _search(studies: Mapping[str, Study], overrides: Sequence[str], output: Path) -> list[str]:
    """Try the readings of each study; write and print what was found."""
    chosen = {name: study for name, study in studies.items() if study.search}
    found = "\n".join(search(name, study, overrides) for name, study in chosen.items())
    path = output.with_name(SEARCHED)
    path.write_text(HEAD + found, encoding="utf-8")
    print(found)
    print(f"The search: {path}")
    return []


def _check_output(output: Path) -> None:
    """Refuse a place where the report can't be written, before hours are spent on it."""
    try:
        output.with_suffix("").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: can't be written ({error.strerror}).") from error
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a Markdown file in it.")


def _start_run(config: Config, names: Sequence[str]) -> TrackedRun:
    """Start the MLflow run of the report, the parent of all runs that are trained for it."""
    record = Record(
        experiment_name=EXPERIMENT,
        name=" ".join(names),
        tags={**config.tracking.tags, **origin_tags()},
    )
    store = open_store(config.tracking, Path(config.root))
    return start_run(store, record, offline_is_fine=False)


def _train(name: str, jobs: Sequence[StudyJob], parent_run_id: str, *, fresh: bool) -> StudyRuns:
    """Train what is missing of a study; return its runs."""
    runs = find_runs(name, jobs, only_this_code=fresh)
    num_missing = len(runs.missing)
    log.info("%s: %d of %d runs are finished", name, runs.num_runs - num_missing, runs.num_runs)
    if not num_missing:
        return runs
    train_missing(runs, parent_run_id)
    return find_runs(name, jobs)


def _load_data(config: DataConfig) -> Data:
    assert config.num_train is not None
    num_train = min(NUM_EXAMPLES, config.num_train)
    return load(replace(config, num_train=num_train, num_val=0, batch_size=1))


def _show(findings: Findings, files: Sequence[Path]) -> None:
    """Print what came out, and where the report is."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for section in findings.sections:
        for judgement in section.claims:
            console.print(f"{judgement.decision}: {judgement.statement}")
        if found := section.counted():
            verdicts = counted([entry.answer.verdict for entry in found])
            console.print(f"{section.runs.name}: of {len(found)} published numbers {verdicts}")
    console.print(f"The report: {files[0]}, {files[1].name} (as a page)")


def _problems(findings: Findings, *, is_whole: bool) -> list[str]:
    """Return which runs are missing, which verdicts are others and which proofs fail.

    What was expected of the studies as they are says nothing of others.
    """
    missing = [
        f"{runs.name}: {len(runs.missing)} of {runs.num_runs} runs are missing"
        for runs in (section.runs for section in findings.sections)
        if runs.missing
    ]
    found = verdicts_of(findings.sections, findings.theory)
    others = [f"no longer as it was: {it}" for it in changed(found)] if is_whole else []
    failed = [
        f"theory {claim.problem} fails: {claim.statement}"
        for claim in findings.theory
        if claim.outcome is Outcome.FAILS
    ]
    return missing + others + failed


if __name__ == "__main__":
    main()
