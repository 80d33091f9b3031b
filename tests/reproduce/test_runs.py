"""The runs of a study: which there should be, which are there, and training the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.compose import register
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.errors import UserError
from pipeline.reproduce import runs
from pipeline.reproduce.runs import StudyJob, StudyRuns, compose_jobs, find_runs, train_missing
from pipeline.reproduce.study import Where
from pipeline.sweep.preflight import check_surroundings
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import Record
from pipeline.tracking.run import closing, start_run
from pipeline.tracking.store import Store, open_store
from tests import command
from tests.reproduce.hand_made import as_printed, config_of, make, make_shipped, own, shipped

NUM_RUNS = {"losses": 60, "penalties": 400, "overfitting": 140, "sgd_network": 24}

SMALL = ("data=digits", "trainer=cpu", "data.num_train=60", "data.num_val=0")


@pytest.fixture(autouse=True)
def registered():
    register()


def composed(name: str, *overrides: str) -> list[StudyJob]:
    return compose_jobs(name, shipped(name), overrides)


@pytest.mark.parametrize(("name", "num_runs"), NUM_RUNS.items())
def test_a_study_has_the_runs_of_its_grids(name: str, num_runs: int):
    found = composed(name)
    assert len({config_hash(config_of(job)) for job in found}) == num_runs
    assert {config_of(job).tracking.experiment_name for job in found} == {name}
    assert {config_of(job).seed for job in found} == set(range(shipped(name).seeds))


def test_every_reading_has_runs_of_its_own():
    found = composed("dropout", "seed=0")
    assert len(found) == 6 * 7
    places = {
        (job.names["reading"], config_of(job).dropout.name, config_of(job).dropout.phase)
        for job in found
    }
    assert len(places) == 6
    assert ("input, while training", "input", "train") in places
    assert ("logits, at test alone", "logits", "test") in places


def test_seeds_that_are_typed_take_the_place_of_the_studys():
    assert [config_of(job).seed for job in composed("losses", "seed=0,0,1,0")] == [0, 1] * 3


def test_what_is_typed_reaches_every_run():
    for name in ("losses", "sgd_network"):
        for job in composed(name, "seed=7", "trainer.max_epochs=2", "root=/somewhere"):
            assert (config_of(job).seed, config_of(job).trainer.max_epochs) == (7, 2)
            assert config_of(job).root == "/somewhere"


def test_the_grids_hold_what_the_text_compares():
    losses = [config_of(job) for job in composed("losses", "seed=0")]
    assert {config.loss.name for config in losses} == {"mse", "ce", "nll"}
    for config in losses:
        assert (config.data.num_train, config.trainer.max_epochs) == (55_000, 5)
        assert (config.optimizer.lr, config.data.batch_size) == (0.5, 100)
    penalties = [config_of(job) for job in composed("penalties", "seed=0")]
    strengths = {config.regularizer.strength for config in penalties}
    assert strengths == {0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.1, 0.3, 1, 3}
    (network,) = [config_of(job) for job in composed("sgd_network", "seed=0")]
    assert (network.loss.name, network.optimizer.lr) == ("quadratic", 3.0)
    assert (network.data.batch_size, network.trainer.max_epochs) == (10, 30)
    small = [config_of(job) for job in composed("overfitting", "seed=0")]
    assert {config.data.num_train for config in small} == {1000}
    steps = {config.trainer.max_epochs * 1000 / config.data.batch_size for config in small[:4]}
    assert steps == {5 * 55_000 / 100}


def test_a_config_in_two_grids_is_one_run():
    grids = {"a": ["optimizer.lr=0.1,0.2"], "b": ["optimizer.lr=0.2,0.3"]}
    study = make(own(grids=grids), lambda _: None)
    assert (len(study.jobs), study.num_runs, len(study.missing)) == (12, 9, 9)


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("losses", "loss=mse"),
        ("losses", "loss=mse,ce"),
        ("penalties", "regularizer=l1"),
        ("penalties", "regularizer.strength=0.1"),
        ("dropout", "dropout.p_keep=0.5"),
        ("dropout", "dropout.phase=train"),
        ("dropout", "dropout=input"),
        ("overfitting", "++dropout.p_keep=0.5"),
        ("overfitting", "dropout=input"),
        ("overfitting", "data.num_train=5000"),
        ("losses", "experiment=penalties"),
        ("losses", "optimizer.lr=0.1,0.5"),
    ],
)
def test_an_override_of_what_a_study_compares_is_refused_with_what_to_do(name: str, override: str):
    with pytest.raises(UserError) as raised:
        composed(name, override, "seed=0")
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
    with pytest.raises(CONFIG_ERRORS) as raised:
        composed("losses", override)
    assert explain(raised.value).startswith(message)


CLAIM = {"says": "x", "all": [{"higher": {"optimizer.lr": 0.1}, "lower": 0.5}]}


def published(**entries: Any) -> dict[str, Any]:
    return {
        "published": [{"label": "x", "values": [0.9], "where": {"optimizer.lr": 0.1}} | entries]
    }


def claim(**part: Any) -> dict[str, Any]:
    return {"claims": [{"says": "x", "all": [{"lower": 0.5} | part]}]}


def figure(**entries: Any) -> dict[str, Any]:
    return {"figures": [{"title": "x"} | entries]}


BANDS = {"title": "x", "gap": 0.1, "counted": "test/lost_classes", "counts": "digit lost"}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (published(where={"optimizer.lr": 0.7}), "none of its runs has optimizer.lr=0.7"),
        (published(where={"optimizer.rate": 0.1}), "none of its runs has optimizer.rate=0.1"),
        (published(along="optimizer.lr", at=[0.7]), "none of its runs has optimizer.lr=0.7"),
        (published(metric="test/acc"), "test/acc is no metric. There are test/accuracy"),
        (claim(higher={"loss": "mse"}), "none of its runs has loss=mse"),
        (claim(higher={"optimizer.lr": 0.1}, worth={"less": "acc"}), "acc is no metric"),
        (figure(lines={"a": {"optimizer.lr": 0.7}}), "none of its runs has optimizer.lr=0.7"),
        (figure(along="optimizer.lr", at=[0.1, 0.7]), "none of its runs has optimizer.lr=0.7"),
        (figure(metrics=["loss"], lines={"a": {"optimizer.lr": 0.1}}), "loss is no metric"),
        ({"bands": BANDS | {"metric": "acc"}}, "acc is no metric"),
        (published(where={}), "several runs with seed=0 are all runs"),
        (published(where={"loss": "nll"}), "several runs with seed=0 are loss=nll"),
        (claim(higher={}), "several runs with seed=0 are all runs"),
        (figure(), "several runs with seed=0 are all runs"),
        ({"bands": BANDS}, "several runs with seed=0 are all runs"),
        (
            published() | {"readings": {"a": [], "b": ["model.init=zeros"]}} | {"claims": [CLAIM]},
            "several runs with seed=0 are optimizer.lr=0.1",
        ),
    ],
)
def test_what_no_run_or_more_than_one_answers_is_refused_before_anything_runs(
    entries: dict[str, Any], said: str
):
    with pytest.raises(UserError) as raised:
        compose_jobs("rates", own(**entries), [])
    assert str(raised.value).startswith("study rates: ")
    assert said in str(raised.value)


def test_readings_leave_published_numbers_to_be_read_by_each_of_them():
    readings = {"a": [], "b": ["model.init=zeros"]}
    study = own(**published(), readings=readings)
    assert len(compose_jobs("rates", study, ["seed=0"])) == 6


@pytest.mark.parametrize("name", ["my study", "a,b", "1", "x=y", "größe"])
def test_a_study_may_be_called_anything(name: str):
    (first, *_) = compose_jobs(name, own(), ["seed=0"])
    assert config_of(first).tracking.experiment_name == name


def test_curves_are_those_of_the_runs_with_the_values_by_seed():
    printed = as_printed(shipped("losses"))
    study = make_shipped(
        "losses", lambda entry: None if config_of(entry).seed == 2 else printed(entry)
    )
    first = [0.842, 0.8791, 0.8932, 0.8989, 0.902]
    for key in ("loss", "loss.name"):
        assert study.curves({key: "mse"}, "test/accuracy") == {0: first, 1: first, 2: None}


def test_values_are_compared_as_numbers():
    study = make_shipped("penalties", lambda entry: config_of(entry).regularizer.strength / 3)
    where: Where = {"regularizer": "l1", "regularizer.strength": 1e-4}
    assert study.curves(where, "test/accuracy")[0] == [0.0001 / 3] * 5
    assert len(study.curves({"regularizer": "l2", "regularizer.strength": 0}, "test/loss")) == 3


def test_a_grid_and_a_reading_are_named_like_keys():
    lr = "optimizer.lr=0.1"
    study = own(grids={"a": [lr], "b": ["optimizer.lr=0.2"]}, readings={"c": [], "d": ["loss=mse"]})
    of_study = make(study, lambda entry: config_of(entry).optimizer.lr)
    found = of_study.curves({"grid": "b", "reading": "d"}, "test/accuracy")
    assert found == dict.fromkeys(range(3), [0.2] * 5)
    with pytest.raises(UserError, match=r"several runs with seed=0 are grid=a"):
        of_study.curves({"grid": "a"}, "test/accuracy")


def test_the_missing_ones_are_the_jobs_without_a_run():
    study = make_shipped(
        "losses", lambda entry: 0.9 if config_of(entry).loss.name != "ce" else None
    )
    assert [job.config.loss.name for job in study.missing] == ["ce"] * 3
    assert make_shipped("losses", lambda _: 0.9).missing == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that the tests share; each has seeds of its own. No figures: they take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.training.group.MAX_FIGURES", 0)
        yield tmp_path_factory.mktemp("runs")


def small_jobs(root: Path, *overrides: str) -> list[StudyJob]:
    found = composed("losses", *SMALL, f"root={root}", *overrides)
    check_surroundings([config_of(found[0])])
    return found


def train(of_study: list[StudyJob]) -> StudyRuns:
    """Train what is missing under a parent of its own; return what is there then."""
    config = config_of(of_study[0])
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
        assert result.params["loss.name"] == config_of(job).loss.name
        assert result.tags["config_hash"] == config_hash(config_of(job))
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
