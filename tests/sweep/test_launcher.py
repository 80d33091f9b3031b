from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.sweep.headline import headline, spans
from tests import command
from tests.faults import sweeps as left

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Done

SHORT = "trainer.max_epochs=1"

GRID = ("-m", "loss=mse,ce", "seed=0,1", SHORT)

PROBE = """
import json, os
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback

class Probe(Callback):
    def _note(self, event, config, **more):
        num = HydraConfig.get().job.num
        assert num == config.hydra.job.num and HydraConfig.get().runtime.output_dir
        entry = {"event": event, "num": num, "env": os.environ.get("PROBE"), **more}
        with open(os.environ["PROBE_FILE"], "a") as file:
            print(json.dumps(entry), file=file)

    def on_job_start(self, config, **kwargs):
        self._note("start", config)

    def on_job_end(self, config, job_return, **kwargs):
        value = job_return._return_value
        self._note(
            "end",
            config,
            status=job_return.status.name,
            value=value if isinstance(value, float) else repr(value),
            overrides=list(job_return.overrides),
            seed=job_return.cfg.seed,
            dir=job_return.hydra_cfg.hydra.runtime.output_dir,
            cwd=job_return.working_dir,
            task=job_return.task_name,
        )
"""

ASK = """
from dataclasses import dataclass
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

@dataclass
class AskSweeperConf:
    _target_: str = "hydra_plugins.ask.AskSweeper"

ConfigStore.instance().store(group="hydra/sweeper", name="ask", node=AskSweeperConf)

class AskSweeper(BasicSweeper):
    def __init__(self):
        super().__init__(max_batch_size=None)

    def sweep(self, arguments):
        first = [[*arguments, f"seed={seed}"] for seed in (0, -1, 1)]
        second = [[*arguments, "optimizer.lrr=1"]]
        returns = [*self.launcher.launch(first, 0), *self.launcher.launch(second, 3)]
        for entry in returns:
            print(entry.status.name, entry.overrides[-1], type(entry._return_value).__name__)
"""

PARALLEL = """
from dataclasses import dataclass
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from joblib import Parallel, delayed

@dataclass
class ParallelConf:
    _target_: str = "hydra_plugins.parallel.ParallelLauncher"

ConfigStore.instance().store(group="hydra/launcher", name="parallel", node=ParallelConf)

def run_one(launcher, state, overrides, number):
    Singleton.set_state(state)
    return BasicLauncher.launch(launcher, [overrides], number)[0]

class ParallelLauncher(BasicLauncher):
    def launch(self, job_overrides, initial_job_idx):
        state, one = Singleton.get_state(), delayed(run_one)
        jobs = enumerate(job_overrides, initial_job_idx)
        return Parallel(2)(one(self, state, overrides, number) for number, overrides in jobs)
"""
"""What launchers do that have worker processes: they send themselves there, with the callbacks."""


def sweep(root: Path, launcher: str, *arguments: str) -> tuple[Done, list[dict[str, Any]]]:
    """Run a sweep; return what it says and what a callback sees of it."""
    for name, source in (("ask", ASK), ("parallel", PARALLEL)):
        (root / "hydra_plugins" / name).mkdir(parents=True)
        (root / "hydra_plugins" / name / "__init__.py").write_text(source)
    (root / "probe.py").write_text(PROBE)
    notes = root / "notes.jsonl"
    done = command.run(
        root,
        "data=digits",
        "trainer=cpu",
        f"root={root}",
        f"hydra.sweep.dir={root}/out",
        f"hydra/launcher={launcher}",
        "+hydra.callbacks.probe._target_=probe.Probe",
        "+hydra.job.env_set.PROBE=seen",
        *arguments,
        PROBE_FILE=str(notes),
    )
    seen = notes.read_text().splitlines() if notes.exists() else []
    return done, [json.loads(line) for line in seen]


def statuses(root: Path) -> dict[str, str]:
    return {run.data.tags["mlflow.runName"]: run.info.status for run in command.children(root)}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: tmp_path_factory.mktemp(name) for name in ("fused", "basic")}


@pytest.fixture(scope="module")
def sweeps(roots: dict[str, Path]) -> dict[str, tuple[Done, list[dict[str, Any]]]]:
    return {name: sweep(root, name, *GRID) for name, root in roots.items()}


def test_a_group_is_one_line_and_complains_of_nothing(
    sweeps: dict[str, tuple[Done, list[dict[str, Any]]]],
):
    done, _ = sweeps["fused"]
    assert (done.code, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.startswith("run")]
    assert lines == [
        f"runs 1-4 of 4 train together: data=digits trainer=cpu loss=mse,ce seed=0,1 {SHORT}"
    ]


def test_callbacks_see_what_the_basic_launcher_shows_them(
    sweeps: dict[str, tuple[Done, list[dict[str, Any]]]], roots: dict[str, Path]
):
    seen = {
        name: json.loads(json.dumps(notes).replace(str(roots[name]), "ROOT"))
        for name, (_, notes) in sweeps.items()
    }
    order = [(note["event"], note["num"]) for note in seen["fused"]]
    assert order == [(event, num) for event in ("start", "end") for num in range(4)]
    for name in seen:
        seen[name].sort(key=lambda note: (note["event"], note["num"]))
        for note in seen[name]:
            if "value" in note:
                note["value"] = pytest.approx(note["value"], abs=0.01)
    assert seen["fused"] == seen["basic"]
    assert {note["env"] for note in seen["fused"] if note["event"] == "start"} == {"seen"}


@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_a_sweep_writes_one_log(
    sweeps: dict[str, tuple[Done, list[dict[str, Any]]]], roots: dict[str, Path], launcher: str
):
    assert sweeps[launcher][0].code == 0
    folder = roots[launcher] / "out"
    assert {path.name for path in folder.rglob("*.*")} == {"pipeline.log", "multirun.yaml"}
    log = (folder / "pipeline.log").read_text()
    assert log.count("epoch 1/1") == (1 if launcher == "fused" else 4)


def test_a_group_has_no_folders_for_its_runs(
    sweeps: dict[str, tuple[Done, list[dict[str, Any]]]], roots: dict[str, Path]
):
    assert sweeps["fused"][0].code == 0
    assert [path for path in (roots["fused"] / "out").iterdir() if path.is_dir()] == []


def test_a_run_that_fails_fails_the_command_and_no_other_run(tmp_path: Path):
    done, notes = sweep(tmp_path, "fused", "-m", "optimizer.weight_decay=0,1e30", "seed=0,1", SHORT)
    assert done.code == 1
    assert "2 of 4 runs failed:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "run 3 failed: " in done.stdout
    ends = [note["status"] for note in notes if note["event"] == "end"]
    assert ends == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
    assert sorted(statuses(tmp_path).values()) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]


def test_batches_follow_each_other(tmp_path: Path):
    typed = ("-m", "loss=mse,ce", "seed=0,1", SHORT, "hydra.sweeper.max_batch_size=2")
    done, notes = sweep(tmp_path, "fused", *typed)
    assert (done.code, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.startswith("run")]
    assert [line.partition(" train together")[0] for line in lines] == [
        "runs 1-2 of 4",
        "runs 3-4 of 4",
    ]
    assert [note["num"] for note in notes if note["event"] == "end"] == [0, 1, 2, 3]
    assert list(statuses(tmp_path).values()) == ["FINISHED"] * 4


def test_runs_that_work_in_folders_of_their_own_train_one_by_one_which_is_said(tmp_path: Path):
    typed = ("-m", "seed=0,1", SHORT, "hydra.job.chdir=true", "hydra/job_logging=default")
    done, notes = sweep(tmp_path, "fused", *typed)
    assert (done.code, done.stderr) == (0, "")
    said = "runs 1-2 train one by one: hydra.job.chdir gives each run a folder of its own"
    assert said in done.stdout.splitlines()
    folders = [str(tmp_path / "out" / str(number)) for number in (0, 1)]
    assert [note["cwd"] for note in notes if note["event"] == "end"] == folders
    assert all((tmp_path / "out" / str(number) / "pipeline.log").is_file() for number in (0, 1))
    assert list(statuses(tmp_path).values()) == ["FINISHED"] * 2


def test_jobs_in_worker_processes_find_their_sweep(tmp_path: Path):
    done, notes = sweep(tmp_path, "parallel", "-m", "seed=0,1", SHORT)
    assert done.code == 0, done.stderr
    lines = [line.partition(":")[0] for line in done.stdout.splitlines() if line[:4] == "run "]
    assert sorted(lines) == ["run 1/2", "run 2/2"]
    assert sorted(note["num"] for note in notes if note["event"] == "end") == [0, 1]
    left.check_whole(tmp_path, 2)


def test_a_search_trains_in_worker_processes_but_prunes_nothing_there(tmp_path: Path):
    typed = ("-m", "hydra/sweeper=optuna", "optimizer.lr=interval(0.1,1)", SHORT)
    budget = ("hydra.sweeper.n_trials=4", "hydra.sweeper.batch_size=2")
    done, _ = sweep(tmp_path, "parallel", *typed, *budget)
    assert done.code == 0, done.stderr
    assert [run.info.status for run in command.children(tmp_path)] == ["FINISHED"] * 4
    assert "Best of 4 trials" in done.stdout
    pruned = command.train(
        tmp_path, *typed, "hydra/launcher=parallel", "hydra.sweeper.pruner=median"
    )
    assert (pruned.code, pruned.stdout) == (1, "")
    assert pruned.stderr.startswith("error: hydra.sweeper.pruner=median: only trials of")


def test_a_sweeper_that_asks_as_it_goes_is_told_which_job_is_bad(tmp_path: Path):
    done, _ = sweep(tmp_path, "fused", "-m", "hydra/sweeper=ask", SHORT)
    assert done.code == 0
    lines = [
        line for line in done.stdout.splitlines() if line.startswith(("COMPLETED ", "FAILED "))
    ]
    assert lines == [
        "COMPLETED seed=0 float",
        "FAILED seed=-1 UserError",
        "COMPLETED seed=1 float",
        "FAILED optimizer.lrr=1 ConfigCompositionException",
    ]
    assert "run 2 can't start: seed=-1: must be a whole number ≥ 0." in done.stdout
    assert "runs 1,3 train together: " in done.stdout
    assert list(statuses(tmp_path).values()) == ["FINISHED"] * 2


def test_a_sweeper_that_asks_as_it_goes_is_not_resumed(tmp_path: Path):
    done, _ = sweep(tmp_path, "fused", "-m", "hydra/sweeper=ask", SHORT, "resume=last")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: resume=last: only a grid or hydra/sweeper=optuna can be")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([0], "1"), ([0, 1], "1-2"), ([0, 2], "1,3"), ([0, 1, 2, 5, 7, 8], "1-3,6,8-9")],
)
def test_runs_are_counted_from_one(numbers: list[int], text: str):
    assert spans(numbers) == text


def test_a_headline_names_the_values_of_every_key():
    jobs = [["loss=ce", f"seed={seed}", "hydra.verbose=true"] for seed in range(100)]
    line = "runs 1-100 of 200 train together: loss=ce seed=0,1,2,…,99"
    assert headline(range(100), 200, jobs) == line
    assert headline([0], None, [["seed=1"]], goes_on=True) == "run 1 goes on: seed=1"
    assert headline([2], 4, [["seed=1"]]) == "run 3/4: seed=1"


def test_joblib_trains_run_by_run_and_gives_the_numbers_of_basic(tmp_path: Path):
    """A launcher of Hydra's, in processes that do several runs each."""
    numbers: dict[str, dict[str, float]] = {}
    for launcher in ("basic", "joblib"):
        root = tmp_path / launcher
        root.mkdir()
        more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
        said = ("-m", "loss=mse,ce,nll", "trainer.max_epochs=1", f"hydra/launcher={launcher}")
        done = command.train(root, *said, *more)
        assert done.code == 0, done.stderr
        assert "Validation chooses" in done.stdout
        numbers[launcher] = {
            run.data.tags["config_hash"]: run.data.metrics["val/accuracy"]
            for run in command.children(root)
        }
    assert len(numbers["joblib"]) == 3
    assert numbers["joblib"] == numbers["basic"]
