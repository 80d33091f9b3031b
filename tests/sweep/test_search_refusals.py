"""hydra/sweeper=optuna: what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import command

SEARCH = (
    *("-m", "hydra/sweeper=optuna", "trainer.max_epochs=1"),
    *("optimizer.lr=tag(log, interval(1e-3, 1))", "loss=choice(mse,nll)"),
)

ERRORS = {
    "hydra.sweeper.sampler=tbe": "must be one of tpe, random, cmaes. Did you mean tpe?",
    "hydra.sweeper.pruner=medain": "must be one of none, median, halving. Did you mean median?",
    "hydra.sweeper.n_trials=0": "must be a whole number ≥ 1.",
    "hydra.sweeper.n_trials=many": "is of another kind than it must be.",
    "hydra.sweeper.batch_size=0": "must be a whole number ≥ 1.",
    "hydra.sweeper.seed=-1": "must be a whole number ≥ 0.",
    "hydra.sweeper.direction=minimize": "what a run returns is its validation accuracy.",
    "hydra.sweeper.direction=up": "must be one of maximize, minimize.",
    "hydra.sweeper.study_name=''": "must be a name, or null.",
    "data.num_val=0": "a search chooses by validation accuracy, never by the test examples.",
    "seed=0,1": "a search that chooses among seeds finds luck.",
    "optimizer.momentum=interval(1,0)": "there is nothing to choose. Say the lower end first.",
    "optimizer.momentum=tag(log,interval(0,0.9))": "on a log scale the lower end must be > 0.",
    "optimizer.momentum=tag(log,range(0.1,0.9,0.1))": "on a log scale there are no steps.",
    "optimizer.lr=interval(-1,1)": "must be a number > 0",
    "optimizer.momentun=interval(0,0.9)": "there is no such key",
    "optimizer=sgd,adan": "must be one of",
    "hydra.sweeper.storage=foo": "the search can't be kept there (",
    "hydra.sweeper.storage=sqlite:////no/such/folder/a.db": "(unable to open database file)",
    "hydra.sweeper.storage=postgresql://me:secret@127.0.0.1:1/db": "the search can't be kept there",
    "resume=any": "only grids take runs of other sweeps.",
}


def refused(root: Path, *arguments: str) -> str:
    """The error of a command that makes nothing."""
    done = command.train(root, *arguments)
    assert (done.code, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert command.nothing_tracked(root)
    return done.stderr


@pytest.mark.parametrize(("typed", "said"), ERRORS.items())
def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path, typed: str, said: str):
    stderr = refused(tmp_path, *SEARCH, typed)
    key = typed.partition("=")[0]
    assert stderr.startswith(f"error: {key}"), stderr
    assert said in stderr
    assert "secret" not in stderr


def test_a_search_for_nothing_is_refused(tmp_path: Path):
    stderr = refused(tmp_path, "-m", "hydra/sweeper=optuna", "loss=mse")
    assert "there is nothing to search. Say between what" in stderr


def test_an_interval_without_a_search_is_refused(tmp_path: Path):
    stderr = refused(tmp_path, "-m", "optimizer.lr=interval(0.01,1)")
    assert "hydra/sweeper=optuna" in stderr
