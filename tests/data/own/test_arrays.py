"""An .npz file of one's own as examples."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import memory
from pipeline.config.schema.data import DataConfig
from pipeline.data.layout import Images, Numbers
from pipeline.data.own.arrays import read_npz
from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL, Pool
from pipeline.errors import UserError
from tests import command

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
GOOD = {"x_train": X, "y_train": Y}


def config(path: Path) -> DataConfig:
    return DataConfig(
        "arrays", path=str(path), num_train=None, num_val=None, val_share=0.2, test_share=0.2
    )


def archive(path: Path, **contents: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(f"{name}.npy", content)


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def read(folder: Path, **arrays: np.ndarray) -> Pool:
    archive(folder / "own.npz", **{name: saved(array) for name, array in arrays.items()})
    return read_npz(config(folder / "own.npz"))


def inputs(pool: Pool) -> np.ndarray:
    return np.concatenate(list(pool.blocks()), axis=1)


def test_numbers_of_training_examples_alone_are_left_to_divide(tmp_path: Path):
    pool = read(tmp_path, **GOOD)
    assert np.array_equal(inputs(pool), X)
    assert np.array_equal(pool.labels, Y)
    assert set(pool.parts) == {UNDIVIDED}
    assert (pool.layout, pool.classes) == (Numbers(3), ("0", "1", "2"))
    assert pool.source == str(tmp_path / "own.npz")
    assert pool.num_bytes == X.nbytes + Y.nbytes


def test_parts_that_are_there_say_what_is_left_to_divide(tmp_path: Path):
    test = {"x_test": X[:2] + 9, "y_test": Y[:2]}
    val = {"x_val": X[:4] - 9, "y_val": Y[:4]}
    pool = read(tmp_path, **GOOD, **test)
    assert np.array_equal(pool.parts, [UNDIVIDED] * 6 + [TEST] * 2)
    assert np.array_equal(inputs(pool), np.concatenate([X, X[:2] + 9]))
    pool = read(tmp_path, **GOOD, **val)
    assert np.array_equal(pool.parts, [UNDIVIDED] * 6 + [VAL] * 4)
    pool = read(tmp_path, **test, **val, **GOOD)
    assert np.array_equal(pool.parts, [TRAIN] * 6 + [VAL] * 4 + [TEST] * 2)
    assert np.array_equal(inputs(pool), np.concatenate([X, X[:4] - 9, X[:2] + 9]))
    assert np.array_equal(pool.labels, [*Y, *Y[:4], *Y[:2]])


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((5, 4), Images(5, 4)),
        ((5, 4, 1), Images(5, 4)),
        ((5, 4, 3), Images(5, 4, channels=3)),
        ((5, 4, 2), Numbers(40)),
        ((20,), Numbers(20)),
        ((), Numbers(1)),
    ],
)
def test_bytes_in_rows_and_columns_are_images(tmp_path: Path, shape: tuple[int, ...], layout):
    x = RNG.integers(0, 256, (6, *shape), np.uint8)
    pool = read(tmp_path, x_train=x, y_train=Y)
    assert pool.layout == layout
    assert inputs(pool).dtype == (np.uint8 if isinstance(layout, Images) else np.float64)
    assert np.array_equal(inputs(pool), x.reshape(6, -1))


@pytest.mark.parametrize(
    ("of_file", "kept"),
    [
        ("bool", np.float64),
        ("int16", np.float64),
        ("uint64", np.float64),
        ("float16", np.float64),
        ("float32", np.float32),
        (">f4", np.float32),
        (">f8", np.float64),
        ("longdouble", np.float64),
    ],
)
def test_all_other_numbers_become_floats(tmp_path: Path, of_file: str, kept: type):
    x = np.arange(24).reshape(6, 2, 2).astype(of_file)
    pool = read(tmp_path, x_train=x, y_train=Y)
    assert inputs(pool).dtype == kept
    assert np.array_equal(inputs(pool), x.reshape(6, 4))


@pytest.mark.parametrize(
    ("y", "classes", "labels"),
    [
        (np.array([10, 9, -1, 9, 10, -1]), ("-1", "9", "10"), [2, 1, 0, 1, 2, 0]),
        (np.array([2**64 - 1, 0, 0] * 2, np.uint64), ("0", str(2**64 - 1)), [1, 0, 0] * 2),
        (np.array([["b"], ["a"], ["é"]] * 2), ("a", "b", "é"), [1, 0, 2] * 2),
        (np.array(["10", "9"] * 3), ("9", "10"), [1, 0] * 3),
        (np.array([True, False] * 3), ("False", "True"), [1, 0] * 3),
    ],
)
def test_classes_are_named_by_their_values(
    tmp_path: Path, y: np.ndarray, classes: tuple[str, ...], labels: list[int]
):
    pool = read(tmp_path, x_train=X, y_train=y)
    assert pool.classes == classes
    assert np.array_equal(pool.labels, labels)


def test_test_examples_may_lack_a_class_and_write_it_in_another_type(tmp_path: Path):
    test = {"x_test": X[:2], "y_test": np.array([2, 1], np.uint8)}
    pool = read(tmp_path, **GOOD, **test)
    assert pool.classes == ("0", "1", "2")
    assert np.array_equal(pool.labels[6:], [2, 1])


def test_rows_in_any_order_of_memory_and_compressed_files_are_the_same(tmp_path: Path):
    plain = read(tmp_path, **GOOD)
    assert np.array_equal(inputs(read(tmp_path, x_train=np.asfortranarray(X), y_train=Y)), X)
    np.savez(tmp_path / "moved.npz", x_train=X, y_train=Y)
    moved = read_npz(config(tmp_path / "moved.npz"))
    assert np.array_equal(inputs(moved), X)
    assert moved.digest == plain.digest


def test_the_digest_tells_other_values_types_shapes_and_parts_apart(tmp_path: Path):
    other = X.copy()
    other[5, 2] += 1e-9
    different = [
        GOOD,
        GOOD | {"x_train": other},
        GOOD | {"x_train": X.reshape(6, 3, 1)},
        GOOD | {"x_train": X.view(np.int64)},
        GOOD | {"y_train": Y[::-1]},
        GOOD | {"y_train": Y.astype(str)},
        GOOD | {"x_test": X, "y_test": Y},
        GOOD | {"x_val": X, "y_val": Y},
    ]
    assert len({read(tmp_path, **arrays).digest for arrays in different}) == len(different)


def with_value(value: float, *place: int) -> np.ndarray:
    x = X.reshape(6, 3, 1).copy() if len(place) == 3 else X.copy()
    x[place] = value
    return x


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": None}, "lacks x_train; it has y_train. np.savez(path, x_train=…, y_train=…)"),
        ({"y_train": None}, "lacks y_train; it has x_train."),
        ({"x_test": X}, "lacks y_test; it has x_train, y_train, x_test."),
        ({"y_val": Y}, "lacks x_val; it has"),
        ({"x_tset": X}, "has an array x_tset; those that are read are x_train, y_train, x_val"),
        ({"x_tset": X}, "Did you mean x_test?"),
        ({"x_train": X.astype(object)}, "x_train holds Python objects, which are never read"),
        ({"y_train": Y.astype(object)}, "y_train holds Python objects, which are never read"),
        ({"y_train": Y.astype(object)}, "Write y_train.astype(int), or y_train.astype(str)."),
        ({"x_train": X.astype(str)}, "x_train holds <U32: it must hold numbers."),
        ({"x_train": X.astype(complex)}, "x_train holds complex128: it must hold numbers."),
        ({"y_train": Y.astype(float)}, "y_train holds float64: it must hold whole numbers, texts"),
        ({"y_train": np.eye(3)[Y].astype(int)}, "Of 0 and 1 for each class, write y_train.argmax"),
        ({"y_train": np.array(1)}, "y_train has the shape (): it must hold one class for each"),
        ({"x_train": np.array(1.0)}, "x_train has the shape (): it must hold examples"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train has the shape (0, 3): it must hold"),
        ({"x_train": X[:, :0]}, "x_train has the shape (6, 0): it must hold examples with a"),
        ({"y_train": Y[:5]}, "x_train has 6 examples and y_train has 5. They must agree."),
        ({"x_test": X[:, :2], "y_test": Y}, "x_test holds examples of the shape (2,) and the type"),
        ({"x_test": X.astype("f4"), "y_test": Y}, "type float32, x_train of (3,) and float64."),
        ({"x_train": with_value(np.nan, 4, 1)}, "x_train has nan in row 4, column 1 (counted"),
        ({"x_train": with_value(-np.inf, 0, 2)}, "x_train has -inf in row 0, column 2 (counted"),
        ({"x_train": with_value(1e39, 5, 0)}, "it must hold numbers from -1e+38 to 1e+38."),
        ({"x_train": with_value(np.nan, 4, 1, 0)}, "x_train has nan in row 4, column 1, 0"),
        ({"x_test": with_value(np.nan, 3, 0), "y_test": Y}, "x_test has nan in row 3, column 0"),
        ({"y_train": Y * 0}, "there is one class, 0. Two are needed"),
        ({"y_train": np.array([0, 0, 0, 0, 0, 7])}, "the class 7 has one example; each class"),
        ({"y_train": np.array([0, 0, 0, 5, 6, 7])}, "5 has one example, and so have 2 other"),
        ({"x_test": X, "y_test": Y + 1}, "y_test has the class 3, which y_train lacks."),
        ({"x_val": X, "y_val": Y - 1}, "y_val has the class -1, which y_train lacks."),
        ({"y_train": np.array(["a", "", "b"] * 2)}, "'' is no name of a class."),
        ({"y_train": np.array(["a", "b\n", "c"] * 2)}, "'b\\n' is no name of a class."),
        ({"y_train": np.array(["a", "\udc80", "c"] * 2)}, "'\\udc80' is no name of a class."),
    ],
)
def test_what_is_wrong_with_an_array_is_said(tmp_path: Path, changed: dict[str, Any], message: str):
    arrays = {name: array for name, array in (GOOD | changed).items() if array is not None}
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(tmp_path, **arrays)
    assert str(caught.value).startswith(f"data.path={tmp_path / 'own.npz'}: ")


def test_a_class_with_one_example_is_enough_where_nothing_is_divided(tmp_path: Path):
    rest = {
        f"{kind}_{part}": array
        for part in ("val", "test")
        for kind, array in (("x", X[:1]), ("y", Y[:1]))
    }
    assert read(tmp_path, x_train=X[:2], y_train=Y[:2], **rest).classes == ("0", "1")


def header(shape: str, dtype: str = "'<f8'") -> bytes:
    """What precedes the values of an array that is as it says."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        saved(X)[:-8],
        saved(X) + b"more",
        header("(-6, -3)") + X.tobytes(),
        header("(2, 10**9)"),
        header("[6, 3]") + X.tobytes(),
        header("(6, 3)", "'<q9'"),
        header("(" * 5000 + "6" + ")" * 5000),
        header("(6,)", "[('\\\\d', '<f8')]") + X[:, 0].tobytes(),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 100,
    ],
)
def test_a_damaged_array_is_named(tmp_path: Path, content: bytes):
    archive(tmp_path / "own.npz", x_train=content, y_train=saved(Y))
    with pytest.raises(UserError, match=r"own\.npz: x_train (can't be read|holds)"):
        read_npz(config(tmp_path / "own.npz"))


def test_damaged_values_are_noticed(tmp_path: Path):
    np.savez(tmp_path / "own.npz", x_train=X, y_train=Y)
    content = (tmp_path / "own.npz").read_bytes()
    at = content.index(X.tobytes())
    (tmp_path / "own.npz").write_bytes(content[: at + 3] + b"\0" + content[at + 4 :])
    with pytest.raises(UserError, match=r"x_train can't be read \(Bad CRC-32"):
        read_npz(config(tmp_path / "own.npz"))


def test_a_file_that_is_none_of_arrays_is_refused(tmp_path: Path):
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "empty.npz").write_bytes(b"")
    for name, why in {
        "none.npz": r"there is no such file in .* A container, or a node of a cluster, sees only",
        "one.npy": r"is no .npz file. np.savez\(path, x_train=…, y_train=…\) writes one.",
        "empty.npz": "is no .npz file.",
        ".": "is a folder. Name a file in it.",
    }.items():
        with pytest.raises(UserError, match=why):
            read_npz(config(tmp_path / name))


def test_what_unpacks_to_more_than_memory_holds_is_refused_before_it_is_read(tmp_path: Path):
    num_rows = 2**20 * int(memory.free_mb()) // 8 // 1000
    zeros = bytes(2**20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("y_train.npy", header(f"({num_rows},)", "'|u1'") + bytes(num_rows))
        file.writestr("x_train.npy", header(f"({num_rows}, 1000)") + zeros)
    claim_size(path, "x_train.npy", len(header(f"({num_rows}, 1000)")) + 8000 * num_rows)
    with pytest.raises(UserError, match=r"bomb\.npz: takes some [\d,]+ MB of memory, and"):
        read_npz(config(path))


def claim_size(path: Path, name: str, size: int) -> None:
    """Let a zip file's directory say that one of its files unpacks to so many bytes."""
    with zipfile.ZipFile(path, "a") as file:
        file.getinfo(name).file_size = size
        file.writestr("end", b"")  # writes the directory again


def test_the_command_trains_on_it(tmp_path: Path):
    x = np.concatenate([RNG.normal(-3, 1, (60, 4)), RNG.normal(3, 1, (60, 4))])
    np.savez(tmp_path / "own.npz", x_train=x, y_train=np.repeat(["left", "right"], 60))
    done = command.run(
        tmp_path, "-m", "data=arrays", "data.path=own.npz", "loss=ce,nll", f"root={tmp_path}"
    )
    assert done.code == 0, done.stderr
    assert "Validation chooses loss=" in done.stdout
    assert all(run.data.metrics["test/accuracy"] == 1 for run in command.children(tmp_path))


def test_the_command_says_in_one_line_what_is_wrong_and_tracks_nothing(tmp_path: Path):
    np.savez(tmp_path / "own.npz", x_train=with_value(np.nan, 4, 1), y_train=Y)
    done = command.run(
        tmp_path, "-m", "data=arrays", "data.path=own.npz", "loss=ce,nll", f"root={tmp_path}"
    )
    assert done.code == 1
    assert len(done.errors) == 1, done.stderr
    assert f"data.path={tmp_path / 'own.npz'}: x_train has nan in row 4, column 1" in done.errors[0]
    assert command.nothing_tracked(tmp_path)
