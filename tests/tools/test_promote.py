"""A sweep's chosen run, served by MLflow itself: what it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pipeline
from pipeline.data.digits import read_digits
from tests import command
from tests.command import Done
from tests.tools.service import Service, curl_of, serving

NUM_PIXELS = 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("promote")
    done = command.train(root, "-m", "loss=mse,nll", "seed=range(0,2)", "dropout=input")
    assert done.code == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def promoted(root: Path) -> Done:
    return promote(root, "last", "--name", "digits")


def promote(root: Path, *arguments: str) -> Done:
    return command.run(root, *arguments, f"root={root}", module="pipeline.promote")


@pytest.fixture(scope="module")
def service(root: Path, promoted: Done) -> Generator[Service]:
    assert promoted.code == 0, promoted.stderr
    with serving(root, "digits") as started:
        yield started


def test_it_says_which_run_it_is_and_how_to_serve_it(root: Path, promoted: Done):
    assert (promoted.code, promoted.stderr) == (0, "")
    best = max(command.children(root), key=lambda run: run.data.metrics["val/accuracy"])
    assert f"digits version 1 is the champion: run {best.info.run_id}" in promoted.stdout
    assert "mlflow models serve -m models:/digits@champion" in promoted.stdout


def test_the_version_has_its_evidence(root: Path, promoted: Done):
    del promoted
    version = command.client(root).get_model_version_by_alias("digits", "champion")
    run = command.client(root).get_run(str(version.run_id))
    assert version.tags["data_hash"] == run.data.tags["data_hash"]
    assert version.tags["mlflow.parentRunId"] == command.parent(root).info.run_id
    assert "loss=nll" in str(version.description)
    assert "seeds, paired" in str(version.description)
    assert run.info.status == "FINISHED"


def test_a_model_holds_no_pickle(root: Path, promoted: Done):
    del promoted
    files = [path for path in (root / "mlruns").rglob("model/**/*") if path.is_file()]
    assert any(path.name == "network.pt2" for path in files)
    assert {path.suffix for path in files}.isdisjoint({".pkl", ".pickle", ".pth", ".ckpt"})


def test_the_request_that_is_printed_works_as_it_is_typed(promoted: Done, service: Service):
    answer = service.ask(curl_of(promoted))
    assert answer.status == 200
    (digit,) = answer.body["predictions"]
    assert sum(digit) == pytest.approx(1)
    assert "It takes raw pixels from 0 to 16, row by row, 64 for each image" in promoted.stdout


@pytest.mark.parametrize("number", [1, 7, 355])
def test_it_answers_real_digits_as_the_run_does(root: Path, service: Service, number: int):
    (_, _, images, _), _ = read_digits()
    raw = images[:number].reshape(number, NUM_PIXELS)
    answer = service.predict(raw.tolist())
    assert answer.status == 200
    network = pipeline.network("last", root=root)
    expected = network(torch.tensor(raw).to(torch.uint8)).numpy()
    np.testing.assert_allclose(answer.body["predictions"], expected, atol=1e-6)


def test_dropout_is_off(service: Service):
    image = [[8] * NUM_PIXELS]
    assert service.predict(image).body == service.predict(image).body


IMAGE = [8] * NUM_PIXELS


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([IMAGE[1:]], "(-1, 64)"),
        ([["a"] * NUM_PIXELS], "could not convert"),
        ([[*IMAGE[1:], float("nan")]], "NaN or infinite"),
        ([[*IMAGE[1:], float("inf")]], "NaN or infinite"),
        ([[*IMAGE[1:], 17]], "whole numbers from 0 to 16"),
        ([[*IMAGE[1:], -1]], "whole numbers from 0 to 16"),
        ([[pixel / 16 for pixel in IMAGE]], "divided by nothing"),
        ([], "(-1, 64)"),
        ([IMAGE] * 10_001, "1 to 10,000 examples"),
    ],
    ids=["short", "text", "nan", "infinite", "large", "negative", "scaled", "none", "many"],
)
def test_what_is_no_image_is_refused_with_a_reason(service: Service, images: Any, reason: str):
    answer = service.predict(images)
    assert 400 <= answer.status < 500
    assert reason in answer.reason
    assert service.predict([IMAGE]).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"inputs": null}', b'{"foo": 1}', b'{"inputs": "' + b"x" * 2**26 + b'"}'],
    ids=["empty", "cut off", "a list", "null", "another key", "64 MB"],
)
def test_what_is_no_request_is_refused_with_a_reason(service: Service, body: bytes):
    answer = service.ask(body)
    assert 400 <= answer.status < 500
    assert answer.reason
    assert service.predict([IMAGE]).status == 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "nonsense: there is no such run, sweep or experiment"),
        (["last", "--name", "a/b"], "--name a/b: must be letters, digits, dots and dashes."),
    ],
)
def test_what_cannot_be_promoted_is_one_error(root: Path, arguments: list[str], told: str):
    done = promote(root, *arguments)
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {told}")


def test_without_validation_examples_nothing_is_chosen(tmp_path: Path):
    done = command.train(tmp_path, "-m", "loss=mse,nll", "data.num_val=0", "trainer.max_epochs=1")
    assert done.code == 0, done.stderr
    refused = promote(tmp_path)
    assert refused.code == 1
    assert "data.num_val > 0" in refused.stderr


@pytest.mark.parametrize("alias", ["latest", "v1", "of mine"])
def test_an_alias_that_cannot_be_is_refused_before_a_version_is_made(tmp_path: Path, alias: str):
    done = command.run(tmp_path, "--alias", alias, module="pipeline.promote")
    assert done.code == 1
    assert done.stderr.startswith(f"error: --alias {alias}: must be letters, digits and dashes")
