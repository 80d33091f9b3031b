from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.compose import register
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.errors import UserError
from pipeline.reproduce import runs
from pipeline.reproduce.runs import StudyRuns, compose_jobs, find_runs, train_missing
from pipeline.sweep.preflight import check_surroundings
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import Record
from pipeline.tracking.run import closing, start_run
from pipeline.tracking.store import Store, open_store
from pipeline.training.group import Job
from tests import command
from tests.reproduce.hand_made import as_printed, jobs, make

GRIDS = {"losses": 15, "penalties": 70, "dropout": 210, "claims": 15, "sgd_network": 24}

SMALL = ("data=digits", "trainer=cpu", "data.num_train=60", "data.num_val=0")


@pytest.mark.parametrize(("study", "num_jobs"), GRIDS.items())
def test_a_study_runs_the_grid_of_its_yaml(study: str, num_jobs: int):
    found = jobs(study)
    assert len(found) == num_jobs
    assert len({config_hash(job.config) for job in found}) == num_jobs
    assert {job.config.tracking.experiment_name for job in found} == {study}


@pytest.mark.parametrize(("study", "num_jobs"), GRIDS.items())
def test_seeds_that_are_typed_take_the_place_of_the_yamls(study: str, num_jobs: int):
    found = jobs(study, "seed=range(0,3)")
    num_seeds = 24 if study == "sgd_network" else 5
    assert {job.config.seed for job in found} == {0, 1, 2}
    assert len(found) == num_jobs * 3 // num_seeds


def test_seeds_that_are_typed_twice_are_run_once():
    assert [job.config.seed for job in jobs("losses", "seed=0,0,1,0")] == [0, 1] * 3


@pytest.mark.parametrize("study", ["losses", "sgd_network"])
def test_what_is_typed_reaches_every_run(study: str):
    found = jobs(study, "seed=7", "trainer.max_epochs=2", "root=/somewhere")
    for job in found:
        assert (job.config.seed, job.config.trainer.max_epochs) == (7, 2)
        assert job.config.root == "/somewhere"


def test_the_grids_hold_what_the_text_compares():
    losses = jobs("losses")
    assert {job.config.loss.name for job in losses} == {"mse", "ce", "nll"}
    for job in losses:
        assert (job.config.data.num_train, job.config.trainer.max_epochs) == (55_000, 5)
    strengths = {job.config.regularizer.strength for job in jobs("penalties")}
    assert strengths == {0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.1}
    places = {(job.config.dropout.name, job.config.dropout.phase) for job in jobs("dropout")}
    assert len(places) == 6
    for job in jobs("sgd_network"):
        assert (job.config.loss.name, job.config.optimizer.lr) == ("quadratic", 3.0)
        assert (job.config.data.batch_size, job.config.trainer.max_epochs) == (10, 30)


@pytest.mark.parametrize(
    ("study", "override"),
    [
        ("losses", "loss=mse"),
        ("losses", "loss=mse,ce"),
        ("losses", "loss.name=mse"),
        ("penalties", "regularizer=l1"),
        ("penalties", "regularizer.name=l1"),
        ("penalties", "regularizer.strength=0.1"),
        ("dropout", "dropout.p_keep=0.5"),
        ("dropout", "dropout.phase=train"),
        ("claims", "++dropout.p_keep=0.5"),
        ("claims", "dropout=input"),
        ("claims", "dropout.p_keep=0.5"),
        ("losses", "experiment=penalties"),
        ("losses", "optimizer.lr=0.1,0.5"),
    ],
)
def test_an_override_of_what_a_study_compares_is_refused_with_what_to_do(study: str, override: str):
    register()
    with pytest.raises(UserError) as raised:
        compose_jobs(study, [override, "seed=0"])
    assert str(raised.value).startswith(override)
    assert "python -m pipeline -m" in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: there is no such key"),
        ("data=digit", "data=digit: must be one of"),
        ("seed=-1", "seed=-1: must be a whole number"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: must be a whole number ≥ 1"),
    ],
)
def test_a_bad_override_is_refused_before_anything_runs(override: str, message: str):
    register()
    with pytest.raises(CONFIG_ERRORS) as raised:
        compose_jobs("losses", [override])
    assert explain(raised.value).startswith(message)


def test_curves_are_those_of_the_runs_with_the_values_by_seed():
    study = make("losses", lambda config: None if config.seed == 2 else as_printed(config))
    found = study.curves({"loss.name": "mse"}, "test/accuracy")
    printed = [0.842, 0.8791, 0.8932, 0.8989, 0.902]
    assert found == {0: printed, 1: printed, 2: None}


def test_values_are_compared_as_numbers():
    study = make("penalties", lambda config: config.regularizer.strength)
    where = {"regularizer.name": "l1", "regularizer.strength": 1e-4}
    assert study.curves(where, "test/accuracy")[0] == [0.0001] * 5
    where = {"regularizer.name": "l2", "regularizer.strength": 0}
    assert len(study.curves(where, "test/accuracy")) == 3


def test_the_missing_ones_are_the_jobs_without_a_run():
    study = make("losses", lambda config: None if config.loss.name == "ce" else 0.9)
    assert [job.config.loss.name for job in study.missing] == ["ce"] * 3
    assert make("losses", lambda _: 0.9).missing == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that the tests share; each has seeds of its own. No figures: they take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.training.group.MAX_FIGURES", 0)
        yield tmp_path_factory.mktemp("runs")


def small_jobs(root: Path, *overrides: str) -> list[Job]:
    register()
    found = compose_jobs("losses", [*SMALL, f"root={root}", *overrides])
    check_surroundings([found[0].config])
    return found


def train(of_study: list[Job]) -> StudyRuns:
    """Train what is missing under a parent of its own; return what is there then."""
    config = of_study[0].config
    store = open_store(config.tracking, Path(config.root))
    record = Record("reproduction", "losses", {})
    with closing(start_run(store, record, offline_is_fine=False)):
        train_missing(find_runs("losses", of_study), record.known_run_id)
    return find_runs("losses", of_study)


def statuses(root: Path, *seeds: int) -> list[str]:
    """How all runs in MLflow with these seeds have ended."""
    wanted = set(map(str, seeds))
    found = [run for run in command.children(root) if run.data.params["seed"] in wanted]
    return sorted(run.info.status for run in found)


def test_only_what_is_missing_is_trained(root: Path):
    first = train(small_jobs(root, "seed=0", "trainer.max_epochs=2"))
    assert first.missing == []
    ids = {result.run_id for result in first.results if result}
    more = small_jobs(root, "seed=0,1", "trainer.max_epochs=2")
    assert [job.config.seed for job in find_runs("losses", more).missing] == [1, 1, 1]
    both = train(more)
    assert both.missing == []
    assert ids < {result.run_id for result in both.results if result}
    assert statuses(root, 0, 1) == ["FINISHED"] * 6
    for job, result in zip(both.jobs, both.results, strict=True):
        assert result is not None
        assert result.params["loss.name"] == job.config.loss.name
        assert result.tags["config_hash"] == config_hash(job.config)
        assert len(result.curves["test/accuracy"]) == 2
    longer = small_jobs(root, "seed=0", "trainer.max_epochs=3")
    assert len(find_runs("losses", longer).missing) == 3


def test_runs_of_other_code_count_with_a_warning_unless_they_are_not_wanted(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    of_study = small_jobs(root, "seed=4", "trainer.max_epochs=1")
    train(of_study)
    assert find_runs("losses", of_study, only_this_code=True).missing == []
    assert caplog.messages == []
    monkeypatch.setattr(runs, "code_hash", lambda: "changed")
    assert find_runs("losses", of_study).missing == []
    assert "losses: 3 runs were made by other code" in caplog.text
    assert len(find_runs("losses", of_study, only_this_code=True).missing) == 3


def test_a_run_that_diverges_is_a_hole_however_often_it_is_tried(root: Path):
    diverging = small_jobs(
        root, "seed=2", "optimizer.lr=1e38", "data.num_train=1242", "trainer.max_epochs=1"
    )
    for _ in range(2):
        missing = train(diverging).missing
        assert [job.config.loss.name for job in missing] == ["ce", "nll"]  # mse is bounded
    assert statuses(root, 2) == [*["FAILED"] * 4, "FINISHED"]


def test_a_run_in_the_spool_is_not_trained_again(root: Path, monkeypatch: pytest.MonkeyPatch):
    of_study = small_jobs(root, "seed=3", "trainer.max_epochs=1")

    def away(*_: object) -> None:
        raise OSError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "send", away)
        train(of_study)
    assert train(of_study).missing == []
    assert statuses(root, 3) == ["FINISHED"] * 3
