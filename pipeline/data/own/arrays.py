"""Your own arrays: an .npz file with x_train and y_train; x_val, y_val, x_test, y_test if any."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from pipeline.config.options import did_you_mean
from pipeline.config.rules import LARGEST
from pipeline.config.schema.data import DataConfig
from pipeline.data.layout import Images, Layout, Numbers
from pipeline.data.own.labels import in_order, require_classes, settled
from pipeline.data.own.npz import Header, Npz, opened
from pipeline.data.pool import TEST, UNDIVIDED, VAL, Block, Pool, one_block, require_memory
from pipeline.errors import UserError

__all__ = ["read_npz"]

PARTS = {"train": UNDIVIDED, "val": VAL, "test": TEST}
KNOWN = [f"{kind}_{part}" for part in PARTS for kind in "xy"]

ROWS = 4096
"""So many rows are checked at a time."""

Headers = Mapping[str, Header]


def read_npz(data: DataConfig) -> Pool:
    """Return the examples of an .npz file as NumPy's savez writes it.

    x_train (examples, …) holds numbers, y_train (examples,) whole numbers, texts or booleans that
    name the classes; x_val, y_val, x_test and y_test may be there, too. Bytes in the shape
    (examples, height, width), also with 1 or 3 channels, are images. Python objects are never read.

    Raises:
        UserError: it can't be read, doesn't fit into memory, or doesn't hold such arrays; the
            message names the array, and the row and column of a bad value.
    """
    path = Path(data.path or "")
    setting = f"data.path={path}"
    with opened(setting, path) as file:
        found = _parts_in(file)
        headers = {name: file.header(name) for part in found for name in (f"x_{part}", f"y_{part}")}
        _check_headers(setting, headers, found)
        require_memory(setting, _needed_bytes(headers))
        inputs = _read_inputs(file, [headers[f"x_{part}"] for part in found])
        names = [_read_names(file, f"y_{part}") for part in found]
    classes = in_order(name for unique, _ in names for name in unique)
    position = {name: label for label, name in enumerate(classes)}
    labels = np.concatenate(
        [np.array([position[name] for name in unique], np.int64)[which] for unique, which in names]
    )
    sizes = [headers[f"y_{part}"].shape[0] for part in found]
    parts = settled(np.repeat(np.array([PARTS[part] for part in found], np.int8), sizes))
    require_classes(setting, classes, labels, parts, ("y_train", "y_val", "y_test"))
    return Pool(
        labels=labels,
        parts=parts,
        classes=classes,
        layout=_layout(headers["x_train"]),
        blocks=one_block(inputs),
        num_bytes=inputs.nbytes + labels.nbytes,
        digest=file.digest,
        source=str(path),
    )


def _parts_in(file: Npz) -> list[str]:
    """Return the parts that a file has arrays for, having checked that they come in pairs."""
    for name in file.names:
        if name.startswith(("x_", "y_")) and name not in KNOWN:
            raise UserError(
                f"{file.setting}: has an array {name}; those that are read are {', '.join(KNOWN)}."
                f"{did_you_mean(name, KNOWN)}"
            )
    found = [part for part in PARTS if {f"x_{part}", f"y_{part}"} & {*file.names}]
    for part in {"train": None, **dict.fromkeys(found)}:
        for name in (f"x_{part}", f"y_{part}"):
            if name not in file.names:
                has = f"has {', '.join(file.names)}" if file.names else "has no array"
                raise UserError(
                    f"{file.setting}: lacks {name}; it {has}. "
                    "np.savez(path, x_train=…, y_train=…) writes such a file."
                )
    return found


def _check_headers(setting: str, headers: Headers, parts: list[str]) -> None:
    for part in parts:
        x, y = headers[f"x_{part}"], headers[f"y_{part}"]
        _check_inputs(setting, x, headers["x_train"])
        _check_labels(setting, y)
        if x.shape[0] != y.shape[0]:
            raise UserError(
                f"{setting}: {x.name} has {x.shape[0]:,} examples and {y.name} has "
                f"{y.shape[0]:,}. They must agree."
            )


def _check_inputs(setting: str, x: Header, train: Header) -> None:
    where = f"{setting}: {x.name}"
    if x.dtype.kind not in "buif":
        what = "Python objects, which are never read" if x.dtype.hasobject else str(x.dtype)
        raise UserError(
            f"{where} holds {what}: it must hold numbers. Write {x.name}.astype(float)."
        )
    if not x.shape or 0 in x.shape:
        raise UserError(
            f"{where} has the shape {x.shape}: it must hold examples with a number each, at least."
        )
    if (x.shape[1:], x.dtype) != (train.shape[1:], train.dtype):
        raise UserError(
            f"{where} holds examples of the shape {x.shape[1:]} and the type {x.dtype}, x_train of "
            f"{train.shape[1:]} and {train.dtype}. They must agree."
        )


def _check_labels(setting: str, y: Header) -> None:
    where = f"{setting}: {y.name}"
    if y.dtype.kind not in "biuU":
        what = "Python objects, which are never read" if y.dtype.hasobject else str(y.dtype)
        raise UserError(
            f"{where} holds {what}: it must hold whole numbers, texts or booleans that name the "
            f"classes. Write {y.name}.astype(int), or {y.name}.astype(str)."
        )
    if len(y.shape) not in (1, 2) or y.shape[1:] not in ((), (1,)):
        raise UserError(
            f"{where} has the shape {y.shape}: it must hold one class for each example. Of 0 and 1 "
            f"for each class, write {y.name}.argmax(axis=1)."
        )


def _needed_bytes(headers: Headers) -> float:
    """Return what the examples take: as they are kept, one array as it is read, and as tensors."""
    x = [header for name, header in headers.items() if name.startswith("x")]
    y = [header for name, header in headers.items() if name.startswith("y")]
    num_values = sum(header.num_bytes // header.dtype.itemsize for header in x)
    kept = num_values * _kept_type(x[0]).itemsize
    read = max(header.num_bytes for header in x)
    return float(kept + max(read, 4 * num_values) + 3 * sum(header.num_bytes for header in y))


def _kept_type(x: Header) -> np.dtype[Any]:
    if isinstance(_layout(x), Images):
        return np.dtype(np.uint8)
    is_single = x.dtype.newbyteorder("=") == np.float32
    return np.dtype(np.float32 if is_single else np.float64)


def _layout(x: Header) -> Layout:
    _, *shape = x.shape
    if x.dtype == np.uint8 and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))):
        height, width, channels = (*shape, 1)[:3]
        return Images(height, width, channels)
    return Numbers(math.prod(shape))


def _read_inputs(file: Npz, headers: list[Header]) -> Block:
    """Return the inputs of all parts as one array, a row for each example."""
    num_examples = sum(header.shape[0] for header in headers)
    num_features = _layout(headers[0]).num_features
    inputs: NDArray[Any] = np.empty((num_examples, num_features), _kept_type(headers[0]))
    first = 0
    for header in headers:
        last = first + header.shape[0]
        array = file.array(header.name)
        with np.errstate(over="ignore"):
            inputs[first:last] = array.reshape(len(array), -1)
        del array
        if header.dtype.kind == "f":
            _check_values(file.setting, header, inputs[first:last])
        first = last
    return inputs


def _check_values(setting: str, header: Header, inputs: Block) -> None:
    """Refuse what is no number, infinite or too large for a float32."""
    for start in range(0, len(inputs), ROWS):
        chunk = inputs[start : start + ROWS]
        is_bad = ~(np.abs(chunk) <= LARGEST)
        if is_bad.any():
            row, feature = np.argwhere(is_bad)[0].tolist()
            place = np.argwhere(is_bad[row].reshape(header.shape[1:] or 1))[0]
            column = ", ".join(map(str, place.tolist()))
            raise UserError(
                f"{setting}: {header.name} has {chunk[row, feature]} in row {start + row}, column "
                f"{column} (counted from 0): it must hold numbers from {-LARGEST:g} to "
                f"{LARGEST:g}. Put another value there, or leave that example out."
            )


def _read_names(file: Npz, name: str) -> tuple[list[str], Int[NDArray[np.int64], " examples"]]:
    """Return the names of the classes, and which of them each example has."""
    array = file.array(name).reshape(-1)
    try:
        unique, which = np.unique(array, return_inverse=True)
        return [str(name) for name in unique.tolist()], which
    except ValueError as error:
        raise UserError(f"{file.setting}: {name} holds no text ({error}).") from error
