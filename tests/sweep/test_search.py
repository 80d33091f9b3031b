"""hydra/sweeper=optuna: batches that train as groups, a study that can't be lost, an honest end."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import optuna
import pytest
from mlflow.entities import Run
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from tests import command, postgresql
from tests.faults import moments, sweeps
from tests.faults.moments import Moment

SPACE = ("optimizer.lr=tag(log, interval(1e-3, 1))", "loss=choice(mse,nll)")

SEARCH = ("-m", "hydra/sweeper=optuna", *SPACE, "trainer.max_epochs=1")

SMALL = (*SEARCH, "hydra.sweeper.n_trials=6", "hydra.sweeper.batch_size=3")
"""Two batches of three."""

KILLED_AT = {
    "before there is a study": Moment("sql", r"INSERT INTO studies"),
    "while the first batch is asked for": Moment("sql", r"INSERT INTO trial_params", 3),
    "before a batch is recorded": Moment("os.rename", r"spool/\w+\.json\.tmp", 1),
    "before Optuna is told": Moment("sql", r"INSERT INTO trial_values", 1),
    "while Optuna is told": Moment("sql", r"INSERT INTO trial_values", 2),
    "while the second batch is asked for": Moment("sql", r"INSERT INTO trials", 5),
    "before the second batch is recorded": Moment("os.rename", r"spool/\w+\.json\.tmp", 2),
}


def trials_of(root: Path, *, name: str | None = None, address: str = "") -> list[FrozenTrial]:
    """A search's trials, read as any user of Optuna would."""
    storage = RDBStorage(address or f"sqlite:///{root}/mlruns/optuna.db")
    name = name or command.parent(root).info.run_id
    trials = optuna.load_study(study_name=name, storage=storage).get_trials()
    storage.engine.dispose()
    return trials


def asked(trials: list[FrozenTrial]) -> list[tuple[dict[str, object], float | None]]:
    return [(trial.params, trial.value) for trial in trials]


def told_commands(done: command.Done) -> list[list[str]]:
    """The commands that try what a search has found."""
    return [shlex.split(it) for it in done.stdout.splitlines() if it.startswith("  python -m")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nobody disturbed."""
    root = tmp_path_factory.mktemp("search")
    done = command.train(root, *SMALL)
    assert done.code == 0, done.stderr
    (root / "stdout").write_text(done.stdout)
    return root


# A search that comes to its end.


def test_a_batch_trains_as_one_group(root: Path):
    lines = (root / "stdout").read_text().splitlines()
    headlines = [line.partition(" train together")[0] for line in lines if line[:4] == "runs"]
    assert headlines == ["runs 1-3 of 6", "runs 4-6 of 6"]
    runs = command.children(root)
    assert [run.info.status for run in runs] == ["FINISHED"] * 6
    assert len({run.info.run_id[:8] for run in runs}) == 2, "groups share how their ids begin"


def test_optuna_itself_reads_what_the_runs_reached(root: Path):
    trials = trials_of(root)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    reached = {
        (run.data.params["loss.name"], float(run.data.params["optimizer.lr"])): run.data.metrics[
            "val/accuracy"
        ]
        for run in command.children(root)
    }
    assert {(it.params["loss"], it.params["optimizer.lr"]): it.value for it in trials} == reached
    assert all(1e-3 <= rate <= 1 for _, rate in reached)


def test_the_best_trial_is_told_and_how_far_to_believe_it(root: Path):
    stdout = (root / "stdout").read_text()
    best = max(command.children(root), key=lambda run: run.data.metrics["val/accuracy"])
    accuracy, test = (100 * best.data.metrics[f"{it}/accuracy"] for it in ("val", "test"))
    said = " ".join(stdout.partition("Best of 6 trials by validation accuracy")[2].split())
    assert f"with {accuracy:.2f}% (run {best.info.run_id[:14]})" in said
    assert f"its test accuracy is {test:.2f}%" in said
    flatters = re.search(r"The highest of 6 flatters: on 200 .* up to ([\d.]+) points", said)
    assert flatters is not None
    deviation = (accuracy * (100 - accuracy) / 200) ** 0.5
    assert float(flatters[1]) == pytest.approx(1.2672 * deviation, abs=0.01), "1.2672: of 6 normals"
    assert stdout.count("test accuracy") == 1, "nothing is said of the test examples but of it"


def test_the_commands_at_its_end_compare_the_best_with_the_start(tmp_path: Path):
    search = command.train(tmp_path, *SEARCH, "hydra.sweeper.n_trials=2")
    start, best, compare = told_commands(search)
    for typed in (start, best):
        assert typed[-1] == "seed=range(1,6)", "the search has seen seed 0"
        done = command.run(tmp_path, *typed[3:])
        assert done.code == 0, done.stderr
    done = command.run(tmp_path, *compare[3:], module=compare[2])
    assert done.code == 0, done.stderr
    assert "baseline" in done.stdout
    assert "the best of 2 means" in " ".join(done.stdout.split())


def test_the_same_search_asks_for_the_same_trials_and_another_seed_for_others(
    root: Path, tmp_path: Path
):
    here = f"hydra.sweeper.storage=sqlite:///{tmp_path}/own.db"
    names = {"same": "hydra.sweeper.seed=0", "other": "hydra.sweeper.seed=1"}
    found: dict[str, list[object]] = {}
    for name, seed in names.items():
        typed = (here, f"hydra.sweeper.study_name={name}", seed)
        done = command.train(tmp_path, *SMALL, *typed)
        assert done.code == 0, done.stderr
        found[name] = [
            *asked(trials_of(tmp_path, name=name, address=f"sqlite:///{tmp_path}/own.db"))
        ]
    assert found["same"] == asked(trials_of(root))
    assert all(value not in found["same"] for value in found["other"])
    assert not (tmp_path / "mlruns" / "optuna.db").exists()
    again = command.train(tmp_path, *SMALL, here, "hydra.sweeper.study_name=same")
    assert (again.code, again.stdout) == (1, "")
    assert "hydra.sweeper.study_name=same: there is such a study already" in again.stderr


@pytest.mark.parametrize("sampler", ["random", "cmaes"])
def test_other_samplers_search_numbers_of_every_kind(tmp_path: Path, sampler: str):
    done = command.train(
        tmp_path,
        "-m",
        "hydra/sweeper=optuna",
        f"hydra.sweeper.sampler={sampler}",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.batch_size=3",
        "optimizer.lr=interval(0.1,0.5)",
        "regularizer=l2",
        "regularizer.strength=range(0,0.003,0.001)",
        "data.batch_size=tag(log, int(interval(10, 100)))",
        "trainer.max_epochs=1",
    )
    assert done.code == 0, done.stderr
    runs = [run.data.params for run in command.children(tmp_path)]
    assert all(0.1 <= float(run["optimizer.lr"]) <= 0.5 for run in runs)
    assert {float(run["regularizer.strength"]) for run in runs} <= {0, 0.001, 0.002}
    assert all(10 <= int(run["data.batch_size"]) <= 100 for run in runs)


def test_trials_that_diverge_are_told_and_the_search_goes_on(tmp_path: Path):
    rates = "optimizer.lr=choice(0.1,1e38)"
    done = command.train(tmp_path, *SMALL[:2], rates, "hydra.sweeper.n_trials=9")
    assert done.code == 0, done.stderr
    trials, runs = trials_of(tmp_path), command.children(tmp_path)
    states = {"0.1": (TrialState.COMPLETE, "FINISHED"), "1e+38": (TrialState.FAIL, "FAILED")}
    states_told = {(trial.params["optimizer.lr"], trial.state) for trial in trials}
    assert states_told == {(rate, state) for rate, (state, _) in states.items()}
    found = {(run.data.params["optimizer.lr"], run.info.status) for run in runs}
    assert found == {(rate, status) for rate, (_, status) in states.items()}
    assert len(trials) == len(runs) == 9
    num_diverged = sum(run.info.status == "FAILED" for run in runs)
    assert f"the objective ({num_diverged} diverged): " in " ".join(done.stdout.split())


def test_a_search_without_one_good_trial_has_failed(tmp_path: Path):
    rates = "optimizer.lr=interval(9e37,1e38)"
    done = command.train(tmp_path, *SMALL[:2], rates, "hydra.sweeper.n_trials=2")
    assert done.code == 1
    assert "2 of 2 runs failed:" in done.stderr


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_members_that_do_badly_stop_while_the_others_go_on(tmp_path: Path, pruner: str):
    typed = ("-m", "hydra/sweeper=optuna", SPACE[0], "trainer.max_epochs=8")
    budget = ("hydra.sweeper.n_trials=16", "hydra.sweeper.batch_size=8")
    done = command.train(tmp_path, *typed, *budget, f"hydra.sweeper.pruner={pruner}")
    assert done.code == 0, done.stderr
    trials = {trial.params["optimizer.lr"]: trial for trial in trials_of(tmp_path)}
    runs = {float(run.data.params["optimizer.lr"]): run for run in command.children(tmp_path)}
    assert trials.keys() == runs.keys()
    assert len(trials) == 16
    pruned = {rate for rate, trial in trials.items() if trial.state is TrialState.PRUNED}
    assert 2 <= len(pruned) <= 14
    for rate, run in runs.items():
        accuracies = command.history(tmp_path, run, "val/accuracy")
        last = trials[rate].user_attrs["pruned_at"] if rate in pruned else 8
        assert list(accuracies) == list(range(1, last + 1))
        assert trials[rate].value == accuracies[last]
        assert run.data.tags.get("pruned") == (str(last) if rate in pruned else None)
        assert run.info.status == "FINISHED"
    best = max(runs.keys() - pruned, key=lambda rate: trials[rate].value or 0)
    said = " ".join(done.stdout.split())
    assert f"Best of 16 trials by validation accuracy, the objective ({len(pruned)} pruned)" in said
    assert f"(run {runs[best].info.run_id[:14]})" in said
    check_no_grid_takes_them(tmp_path, runs, pruned)


def check_no_grid_takes_them(root: Path, runs: dict[float, Run], pruned: set[float]) -> None:
    """Of the configs of a search, a grid counts the whole runs and trains those that are pruned."""
    rates = [runs[rate].data.params["optimizer.lr"] for rate in runs]
    grid = ("-m", f"optimizer.lr={','.join(rates)}", "trainer.max_epochs=8", "resume=any")
    done = command.train(root, *grid, "dry_run=true")
    assert done.stdout == f"{len(runs) - len(pruned)} finished, {len(pruned)} to run\n"


def test_groups_side_by_side_are_pruned_as_well(tmp_path: Path):
    wide = ("model=mlp", "model.hidden=[600]", "hydra.launcher.num_workers=2")
    budget = ("hydra.sweeper.n_trials=8", "hydra.sweeper.pruner=halving", "trainer.max_epochs=8")
    done = command.train(tmp_path, *SEARCH[:2], SPACE[0], *wide, *budget)
    assert done.code == 0, done.stderr
    assert "runs 5-8 of 8 train together" in done.stdout
    states = [trial.state for trial in trials_of(tmp_path)]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}


def test_another_launcher_searches_as_well(root: Path, tmp_path: Path):
    done = command.train(tmp_path, *SMALL, "hydra/launcher=basic")
    assert done.code == 0, done.stderr
    assert asked(trials_of(tmp_path)) == asked(trials_of(root))


def test_an_experiment_can_be_a_search(tmp_path: Path):
    small = ("data.num_train=200", "data.num_val=200", "trainer.max_epochs=1")
    done = command.train(tmp_path, "-m", "experiment=search", "hydra.sweeper.n_trials=3", *small)
    assert done.code == 0, done.stderr
    trials = trials_of(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    tuned = {"optimizer.lr", "regularizer.strength", "dropout.p_keep"}
    assert all(trial.params.keys() == tuned for trial in trials)
    assert command.parent(tmp_path).data.params["optimizer.lr"] == "0.01 to 1, log"
    start, best, _ = told_commands(done)
    assert {"optimizer.lr=0.5", "regularizer.strength=0.0001", "dropout.p_keep=0.5"} < set(start)
    done = command.run(tmp_path, *best[3:])
    assert done.code == 0, done.stderr


# A search that was killed.


@pytest.mark.parametrize("moment", KILLED_AT.values(), ids=KILLED_AT.keys())
def test_a_killed_search_goes_on_as_if_nothing_had_happened(
    root: Path, tmp_path: Path, moment: Moment
):
    moments.kill_at(moment, tmp_path, *SMALL)
    done = command.train(tmp_path, *SMALL, "resume=last")
    assert done.code == 0, done.stderr
    trials = trials_of(tmp_path)
    assert asked(trials) == asked(trials_of(root))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    runs = sweeps.cells(tmp_path).values()
    assert [run.info.status for run in runs] == ["FINISHED"] * 6
    assert sweeps.histories(tmp_path) == sweeps.histories(root)
    assert len(sweeps.table(tmp_path)) == 6


def test_a_search_on_postgresql_goes_on_and_its_password_is_written_nowhere(
    root: Path, tmp_path: Path
):
    with postgresql.running_server() as server:
        database = postgresql.make_database(server, "searches")
        address = database.replace("mlflow@", "mlflow:hunter2@")
        typed = (*SMALL, f"hydra.sweeper.storage={address}", "hydra.sweeper.study_name=rates")
        second_batch = KILLED_AT["before the second batch is recorded"]
        killed = moments.kill_at(second_batch, tmp_path, *typed)
        done = command.train(tmp_path, *typed, "resume=last")
        assert done.code == 0, done.stderr
        assert asked(trials_of(tmp_path, name="rates", address=database)) == asked(trials_of(root))
    assert [run.info.status for run in command.children(tmp_path)] == ["FINISHED"] * 6
    assert "hunter2" not in killed.stdout + killed.stderr + done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that is finished, and then goes on up to seven trials."""
    more = tmp_path_factory.mktemp("more")
    assert command.train(more, *SMALL).code == 0
    done = command.train(more, *SEARCH, "hydra.sweeper.n_trials=7", "resume=last")
    assert done.code == 0, done.stderr
    assert "6 of 7 trials finished, 1 to run" in done.stdout
    assert "run 7/7: " in done.stdout
    assert "Best of 7 trials" in done.stdout
    assert len(sweeps.table(more)) == 7
    return more


def test_a_finished_search_goes_on_with_more_trials(root: Path, finished: Path):
    trials = asked(trials_of(finished))
    assert (len(trials), trials[:6]) == (7, asked(trials_of(root)))


def test_what_there_is_to_do_is_said_and_nothing_done(finished: Path, tmp_path: Path):
    sweep = command.parent(finished).info.run_id
    nine = (*SEARCH, "hydra.sweeper.n_trials=9")
    said = sweeps.plan(finished, *nine, f"resume={sweep[:8]}")
    assert said == ["7 of 9 trials finished, 2 to run"]
    assert len(trials_of(finished)) == 7
    done = command.train(tmp_path, *nine, "dry_run=true")
    assert (done.code, done.stdout) == (0, "9 to run\n")
    assert command.nothing_tracked(tmp_path)


def test_ctrl_c_ends_a_search_with_the_command_that_goes_on(tmp_path: Path):
    long = ("-m", "hydra/sweeper=optuna", *SPACE, "trainer.max_epochs=2000")
    typed = ("data=digits", "trainer=cpu", f"root={tmp_path}", *long)
    with command.started(tmp_path, *typed) as process:
        command.read_until(process, "^epoch 2/")
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate()
    assert process.returncode == 130
    (line,) = [line for line in stdout.splitlines() if line.startswith("To go on: ")]
    again = shlex.split(line.removeprefix("To go on: "))
    assert {"hydra/sweeper=optuna", *SPACE} < set(again)
    done = command.run(tmp_path, *again[3:], "dry_run=true")
    assert done.stdout == "0 of 40 trials finished, 40 to run\n", done.stderr


DIFFERENT = {
    "another search": (
        ("optimizer.lr=interval(0.1,1)", "trainer.max_epochs=1"),
        "this is not the search of that sweep",
    ),
    "another config": ((*SPACE, "trainer.max_epochs=2"), "this is not the search of that sweep"),
    "a grid": (("optimizer.lr=0.1,0.2", "hydra/sweeper=grid"), "this is not the grid"),
    "another storage": (
        (*SPACE, "trainer.max_epochs=1", "hydra.sweeper.study_name=foo"),
        "has no study foo",
    ),
    "any": ((*SPACE, "resume=any"), "resume=any: only grids take runs of other sweeps"),
}


@pytest.mark.parametrize(("typed", "said"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_another_search_does_not_go_on_with_it(finished: Path, typed: tuple[str, ...], said: str):
    before = sweeps.states(finished), len(trials_of(finished))
    sweeper = () if "hydra/sweeper=grid" in typed else ("hydra/sweeper=optuna",)
    resume = () if "resume=any" in typed else ("resume=last",)
    done = command.train(finished, "-m", *sweeper, *typed, *resume)
    assert (done.code, done.stdout) == (1, "")
    assert said in done.stderr
    assert (sweeps.states(finished), len(trials_of(finished))) == before
