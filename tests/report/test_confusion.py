"""A table of confusions comes back as it was written, whatever its classes are called."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.report import confusion
from pipeline.report.confusion import (
    distinct_labels,
    read_confusion,
    shares_of_true,
    shown_classes,
    write_confusion,
)

ODD = [
    "a, b",
    'said "no"',
    "two\nlines",
    "an old Mac's\rline",
    "and\r\nWindows'",
    " space ",
    "",
    "数字 λ 🙂",
    "=1+1",
    "true\\predicted",
    "7",
    "\0",
]


@pytest.mark.parametrize("classes", [["no", "yes"], ODD, list(map(str, range(300)))])
def test_what_was_written_is_read(tmp_path: Path, classes: list[str]):
    counts = np.random.default_rng(0).integers(0, 2000, (len(classes), len(classes)))
    write_confusion(tmp_path / "confusion.csv", counts, classes)
    found = read_confusion(tmp_path / "confusion.csv")
    assert found.classes == classes
    assert (found.counts == counts).all()


def test_a_table_names_its_classes_in_its_first_line_and_in_each_other(tmp_path: Path):
    write_confusion(tmp_path / "it.csv", np.array([[3, 1], [0, 2]]), ["no, never", "yes"])
    lines = (tmp_path / "it.csv").read_text().splitlines()
    assert lines == ['true\\predicted,"no, never",yes', '"no, never",3,1', "yes,0,2"]


def test_a_name_that_is_no_unicode_text_is_written_too(tmp_path: Path):
    write_confusion(tmp_path / "it.csv", np.array([[3, 1], [0, 2]]), ["caf\udce9", "tea"])
    assert read_confusion(tmp_path / "it.csv").classes == ["caf\\udce9", "tea"]


HEAD = "true\\predicted,no,yes\n"

DAMAGED = {
    "": "doesn't begin with true",
    "3,1\n0,2\n": "doesn't begin with true",
    "true\\predicted\n": "names no class, or one twice",
    "true\\predicted,no,no\nno,3,1\nno,0,2\n": "names no class, or one twice",
    HEAD: "must have 2 lines",
    f"{HEAD}no,3,1\n": "must have 2 lines",
    f"{HEAD}no,3,1\nyes,0,2\nyes,0,2\n": "must have 2 lines",
    f"{HEAD}no,3,1\nyes,0\n": "the class 'yes'",
    f"{HEAD}no,3,1,4\nyes,0,2\n": "the class 'no'",
    f"{HEAD}yes,3,1\nno,0,2\n": "the class 'no'",
    f"{HEAD}no,3,1\n\nyes,0,2\n": "the class 'yes'",
    f"{HEAD}no,3,x\nyes,0,2\n": "'x'",
    f"{HEAD}no,3,1.5\nyes,0,2\n": "'1.5'",
    f"{HEAD}no,3,nan\nyes,0,2\n": "'nan'",
    f"{HEAD}no,3,\nyes,0,2\n": "''",
    f"{HEAD}no,3,-1\nyes,0,2\n": "negative",
    f"{HEAD}no,3,{2**53}\nyes,0,2\n": "more than 9,007,199,254,740,992 examples",
    f"{HEAD}no,3,{'9' * 5000}\nyes,0,2\n": "integer string",
    f'{HEAD}"no,3,1\nyes,0,2\n': "unexpected end of data",
    f"{HEAD}{'n' * 200_000},3,1\nyes,0,2\n": "field larger than field limit",
}


@pytest.mark.parametrize(("content", "why"), DAMAGED.items(), ids=range(len(DAMAGED)))
def test_a_damaged_table_is_an_error_that_says_why(tmp_path: Path, content: str, why: str):
    path = tmp_path / "confusion.csv"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        read_confusion(path)
    told = str(raised.value)
    assert told.startswith("confusion.csv is damaged (")
    assert why in told
    assert "train it again" in told
    assert len(told) < 400


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path):
    (tmp_path / "it.csv").write_bytes(b"true\\predicted,\xff\n\xff,3\n")
    with pytest.raises(UserError, match=r"it\.csv is damaged \('utf-8' codec"):
        read_confusion(tmp_path / "it.csv")


def test_a_huge_file_is_not_read(tmp_path: Path):
    with (tmp_path / "it.csv").open("wb") as file:
        file.truncate(confusion.MAX_BYTES + 1)
    with pytest.raises(UserError, match="more than 67,108,864 bytes"):
        read_confusion(tmp_path / "it.csv")


def test_a_spreadsheet_reads_it_too(tmp_path: Path):
    write_confusion(tmp_path / "it.csv", np.array([[3, 1], [0, 2]]), ["a\nb", "c"])
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"true\\predicted": "a\nb", "a\nb": "3", "c": "1"},
        {"true\\predicted": "c", "a\nb": "0", "c": "2"},
    ]


def test_a_class_without_examples_has_no_shares():
    shares = shares_of_true(np.array([[3, 1], [0, 0]]))
    assert shares.tolist() == [[0.75, 0.25], [0, 0]]


@pytest.mark.parametrize("num_classes", [2, 10, 26, 47, 62, 64])
def test_classes_that_fit_are_all_shown(num_classes: int):
    shown, told = shown_classes(np.eye(num_classes, dtype=np.int64))
    assert (shown, told) == (list(range(num_classes)), "")


def test_of_many_classes_the_most_frequent_confusions_are_shown_in_the_order_of_the_classes():
    counts = 50 * np.eye(1000, dtype=np.int64)
    counts[900, 17] = 9
    counts[3, 555] = 8
    counts[2, 1] = 1
    shown, told = shown_classes(counts)
    assert told == "the 24 most confused of 1,000 classes"
    assert {900, 17, 3, 555, 2, 1} <= set(shown)
    assert shown == sorted(set(shown))
    assert len(shown) == 24


def test_names_that_would_look_alike_begin_with_their_numbers():
    labels = distinct_labels(["ab1", "ab2", "cd3"], lambda name: name[:2])
    assert labels == ["0: ab", "1: ab", "cd"]
