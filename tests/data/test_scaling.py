"""How raw inputs become what a network reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.config.rules import LARGEST
from pipeline.config.schema.data import DataConfig
from pipeline.data.layout import Images, Layout, Numbers
from pipeline.data.scaling import Scaling, fit_scaling, joined
from pipeline.data.tensors import Data, load

X = np.array([[1.0, -4.0, 7.0], [3.0, 0.0, 7.0], [2.0, 4.0, 7.0]])
NUMBERS = Numbers(3)


def fit(x: np.ndarray, scale: str, layout: Layout = NUMBERS, *, fills: bool = False) -> Scaling:
    """Return the scaling where all examples are trained on."""
    return fit_scaling(x, np.arange(len(x)), scale, layout, fills=fills)


def scaled(x: np.ndarray, scale: str, layout: Layout = NUMBERS) -> np.ndarray:
    return fit(x, scale, layout).apply(x)


def test_each_feature_is_scaled_by_its_own_values():
    assert np.array_equal(scaled(X, "none"), X)
    assert np.array_equal(scaled(X, "unit"), [[0, 0, 0], [1, 0.5, 0], [0.5, 1, 0]])
    root = np.sqrt(1.5)
    standard = [[-root, -root, 0], [root, 0, 0], [0, root, 0]]
    np.testing.assert_allclose(scaled(X, "standard"), standard, atol=1e-15)


@pytest.mark.parametrize("scale", ["unit", "standard"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1 / 3 * 1e30, 1e-300])
def test_a_feature_that_never_changes_becomes_zero(scale: str, value: float):
    constant = np.full((7, 1), value)
    scaling = fit(constant, scale, Numbers(1))
    assert np.abs(scaling.apply(constant)).max() <= abs(value) * 1e-12
    assert scaling.divisor == 1  # so that another value stays what it is, rather than infinite


@pytest.mark.parametrize("max_pixel", [16, 255])
def test_pixels_have_one_unit(max_pixel: int):
    pixels = np.array([[0, 3, 7], [1, 3, 16]], np.uint8)
    layout = Images(1, 3, max_pixel=max_pixel)
    assert np.array_equal(scaled(pixels, "unit", layout), pixels / max_pixel)
    assert np.array_equal(scaled(pixels, "none", layout), pixels)
    np.testing.assert_allclose(scaled(pixels, "standard", layout), [[-1, 0, -1], [1, 0, 1]])


def test_missing_values_become_the_mean_of_those_that_are_known():
    examples = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 2.0], [5.0, np.nan, 4.0]])
    scaling = fit(examples, "unit", fills=True)
    assert scaling.fill is not None
    assert np.array_equal(scaling.fill, [3, 0, 3])
    assert np.array_equal(scaling.apply(examples), [[0, 0, 0.5], [0.5, 0, 0], [1, 0, 1]])
    assert np.array_equal(scaling.apply(np.full((1, 3), np.nan)), [[0.5, 0, 0.5]])


def test_a_missing_value_stays_missing_where_none_may_be():
    scaling = fit(X, "unit")
    assert np.isnan(scaling.apply(np.array([[np.nan, 0, 7]]))[0, 0])


finite = st.floats(-LARGEST, LARGEST, allow_subnormal=False)
examples_of_two = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=finite
)


@given(x=examples_of_two, scale=st.sampled_from(["none", "unit", "standard"]))
def test_training_examples_stay_finite_and_in_their_range(x: np.ndarray, scale: str):
    result = scaled(x, scale, Numbers(2))
    assert np.isfinite(result).all()
    is_constant = fit(x, scale, Numbers(2)).divisor == 1
    moving = result[:, ~is_constant]
    if scale == "unit":
        assert ((moving >= 0) & (moving <= 1)).all()
    if scale == "standard":
        assert (np.abs(moving) <= np.sqrt(len(x)) + 1e-3).all()


@given(x=examples_of_two, scale=st.sampled_from(["none", "unit", "standard"]))
def test_blocks_of_features_are_scaled_as_all_at_once(x: np.ndarray, scale: str):
    whole = fit(x, scale, Numbers(2), fills=True)
    halves = [fit(half, scale, Numbers(2), fills=True) for half in (x[:, :1], x[:, 1:])]
    for name, vector in vars(joined(halves)).items():
        np.testing.assert_allclose(vector, getattr(whole, name), rtol=1e-12)


def test_without_missing_values_there_is_nothing_to_fill():
    scaling = Scaling(np.zeros(1), np.ones(1))
    assert joined([scaling, scaling]).fill is None


def loaded(folder: Path, x: np.ndarray, scale: str) -> Data:
    """Load six examples, two of each part, the first two for training."""
    path, y = folder / "own.npz", np.array([0, 1])
    np.savez(path, x_train=x[:2], x_val=x[2:4], x_test=x[4:], y_train=y, y_val=y, y_test=y)
    data = DataConfig(
        "arrays",
        batch_size=1,
        path=str(path),
        num_train=None,
        num_val=None,
        val_share=0.2,
        test_share=0.2,
        scale=scale,
    )
    return load(data, torch.float64)


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
def test_validation_and_test_examples_have_no_say(tmp_path: Path, scale: str):
    x = np.random.default_rng(0).normal(size=(6, 3))
    changed = x.copy()
    changed[2:] = [[1e30], [-1e30], [7], [1e9]]
    before, after = (loaded(tmp_path, version, scale) for version in (x, changed))
    assert torch.equal(before.train.inputs, after.train.inputs)
    for name, vector in vars(before.scaling).items():
        assert np.array_equal(vector, getattr(after.scaling, name))
    shift, divisor = after.scaling.shift, after.scaling.divisor
    expected = np.sort((changed[4:] - shift) / divisor, axis=0)
    assert np.array_equal(np.sort(after.test.inputs.numpy(), axis=0), expected)


def test_many_features_and_rows_are_scaled_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    x = np.random.default_rng(0).normal(size=(6, 50))
    whole = loaded(tmp_path, x, "standard")
    monkeypatch.setattr("pipeline.data.scaling.FIT_VALUES", 2 * 7)
    monkeypatch.setattr("pipeline.data.tensors.CHUNK_VALUES", 2 * 50)
    blocks = loaded(tmp_path, x, "standard")
    torch.testing.assert_close(blocks.train.inputs, whole.train.inputs, rtol=1e-12, atol=0)
    np.testing.assert_allclose(blocks.scaling.shift, whole.scaling.shift, rtol=1e-12)
