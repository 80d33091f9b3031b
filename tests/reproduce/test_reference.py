from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline.reproduce.reference import PROBLEM_SET, read_reference

from pipeline.errors import UserError

Content = dict[str, Any]


def remove(*keys: str) -> Callable[[Content], object]:
    def change(content: Content) -> object:
        for key in keys[:-1]:
            content = content[key]
        return content.pop(keys[-1])

    return change


def put(value: object, *keys: str) -> Callable[[Content], object]:
    def change(content: Content) -> object:
        for key in keys[:-1]:
            content = content[key]
        return content.update({keys[-1]: value})

    return change


def write(path: Path, change: Callable[[Content], object]) -> Path:
    content = yaml.safe_load(PROBLEM_SET.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("sgd_network"), "sgd_network is missing."),
        (remove("sgd_network", "test_size"), "sgd_network.test_size is missing."),
        (remove("losses", "nll"), "losses.nll is missing."),
        (remove("losses", "mse", "train_loss"), "losses.mse.train_loss is missing."),
        (remove("penalties", "strength"), "penalties.strength is missing."),
        (remove("dropout", "test_accuracy"), "dropout.test_accuracy is missing."),
        (put({}, "losses", "ce"), "losses.ce.test_accuracy is missing."),
        (put([0.9], "fashion"), "fashion is not an entry that a report uses."),
        (put([0.9] * 7, "penalties", "l3"), "penalties.l3 is not an entry that a report uses."),
        (put({}, "losses", "hinge"), "losses.hinge is not an entry that a report uses."),
        (put([1] * 29, "sgd_network", "correct"), "correct has 29 values; the text prints 30."),
        (put([1] * 31, "sgd_network", "correct"), "correct has 31 values; the text prints 30."),
        (
            put([0.1] * 4, "losses", "ce", "test_accuracy"),
            "losses.ce.test_accuracy has 4 values; the text prints 5.",
        ),
        (put([0.9] * 8, "penalties", "l1"), "penalties.l1 has 8 values; the text prints 7."),
        (put([], "dropout", "p_keep"), "dropout.p_keep has 0 values; the text prints 7."),
    ],
)
def test_an_entry_or_a_value_too_few_or_too_many_is_named(
    change: Callable[[Content], object], message: str, tmp_path: Path
):
    path = write(tmp_path / "damaged.yaml", change)
    with pytest.raises(UserError) as raised:
        read_reference(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert str(raised.value).endswith(message)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (put([0.9, None, 0.9, 0.9, 0.9], "losses", "ce", "test_accuracy"), "losses.ce"),
        (put([0.9] * 6 + ["0.9?"], "penalties", "l2"), "penalties.l2"),
        (put(None, "sgd_network", "test_size"), "sgd_network.test_size"),
        (put(0.9, "dropout", "p_keep"), "dropout.p_keep"),
        (put([0.1] * 5, "losses", "ce"), "losses.ce"),
        (put(None, "dropout"), "dropout"),
    ],
)
def test_an_entry_without_its_numbers_is_named(
    change: Callable[[Content], object], name: str, tmp_path: Path
):
    path = write(tmp_path / "damaged.yaml", change)
    with pytest.raises(UserError, match=f"{path}: {name}"):
        read_reference(path)


def test_an_empty_file_is_an_error_that_names_it(tmp_path: Path):
    path = tmp_path / "empty.yaml"
    path.touch()
    with pytest.raises(UserError, match=f"{path}: .* is missing"):
        read_reference(path)


def test_a_file_that_was_only_written_anew_reads_the_same(tmp_path: Path):
    assert read_reference(write(tmp_path / "same.yaml", lambda _: None)) == read_reference()


def test_the_numbers_are_those_of_the_text():
    reference = read_reference()
    assert reference.sgd_network.correct[:6] == (6714, 7372, 7622, 7660, 7661, 8193)
    assert reference.sgd_network.correct[-1] == 8385
    final = {name: curves.test_accuracy[-1] for name, curves in reference.losses}
    assert final == {"mse": 0.902, "ce": 0.9167, "nll": 0.9191}
    penalties, dropout = reference.penalties, reference.dropout
    by_strength = dict(zip(penalties.strength, penalties.l1, strict=True))
    assert by_strength[0.005] == 0.8549
    assert by_strength[0.01] == by_strength[0.1] == 0.1135
    assert dict(zip(dropout.p_keep, dropout.test_accuracy, strict=True))[0.5] == 0.8225


@pytest.mark.parametrize("what", ["losses", "penalties", "dropout"])
def test_every_published_accuracy_is_one(what: str):
    reference = read_reference()
    printed = {
        "losses": [v for _, curves in reference.losses for v in curves.test_accuracy],
        "penalties": [*reference.penalties.l1, *reference.penalties.l2],
        "dropout": reference.dropout.test_accuracy,
    }[what]
    assert all(0.1 < value < 1 for value in printed)
