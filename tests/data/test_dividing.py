"""Which examples are for training, validation and testing."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.schema.data import DataConfig
from pipeline.data.dividing import Division, divide
from pipeline.data.layout import Numbers
from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL, Pool, one_block
from pipeline.errors import UserError

ABC = np.repeat([0, 1, 2], [100, 40, 20])


def pool_of(labels: np.ndarray | list[int], parts: np.ndarray | list[int] | None = None) -> Pool:
    number = len(labels)
    return Pool(
        labels=np.asarray(labels, np.int64),
        parts=np.full(number, UNDIVIDED, np.int8) if parts is None else np.asarray(parts, np.int8),
        classes=tuple("abcdefgh"[: max(labels) + 1]),
        layout=Numbers(1),
        blocks=one_block(np.zeros((number, 1))),
        num_bytes=0,
        digest="",
        source="",
    )


def config(
    *,
    val: float = 0.15,
    test: float = 0.25,
    seed: int = 0,
    num_train: int | None = None,
    num_val: int | None = None,
    split_column: str | None = None,
) -> DataConfig:
    return DataConfig(
        "table",
        batch_size=1,
        path="own.csv",
        target="class",
        split_column=split_column,
        split_seed=seed,
        val_share=val,
        test_share=test,
        num_train=num_train,
        num_val=num_val,
    )


def parts_of(division: Division) -> list[list[int]]:
    return [rows.tolist() for rows in (division.train, division.val, division.test)]


def counts(labels: np.ndarray, rows: np.ndarray) -> list[int]:
    return np.bincount(labels[rows], minlength=3).tolist()


def test_every_class_gives_its_share_to_each_part():
    division = divide(pool_of(ABC), config())
    assert counts(ABC, division.train) == [60, 24, 12]
    assert counts(ABC, division.val) == [15, 6, 3]
    assert counts(ABC, division.test) == [25, 10, 5]


labels_of_classes = st.lists(st.integers(1, 60), min_size=2, max_size=5).flatmap(
    lambda sizes: st.permutations(np.repeat(np.arange(len(sizes)), sizes).tolist())
)
shares = st.tuples(st.floats(0, 0.4), st.floats(0.01, 0.4))


@settings(deadline=None)
@given(labels=labels_of_classes, shares=shares, seed=st.integers(0, 2**63 - 1))
def test_shares_are_kept_to_the_nearest_example_and_every_example_has_one_part(
    labels: list[int], shares: tuple[float, float], seed: int
):
    val, test = shares
    try:
        division = divide(pool_of(labels), config(val=val, test=test, seed=seed))
    except UserError:
        assert min(Counter(labels).values()) * min(test, val or 1) <= 1  # too few to share
        return
    assert sorted(np.concatenate(parts_of(division))) == list(range(len(labels)))
    for label, size in Counter(labels).items():
        num_train, num_val, num_test = (
            int((np.array(labels)[rows] == label).sum()) for rows in vars(division).values()
        )
        assert abs(num_test - test * size) <= 0.5 + 1e-9
        assert abs(num_train - (1 - val - test) * size) <= 0.5 + 1e-9
        assert abs(num_val - val * size) <= 1 + 1e-9  # what the rounding of both others leaves
        assert num_train > 0


def test_the_split_never_changes():
    division = divide(pool_of(ABC[::16]), config())
    assert parts_of(division) == [[6, 0, 7, 4, 5, 9], [1, 8], [3, 2]]


def test_another_seed_divides_and_orders_otherwise():
    divisions = [parts_of(divide(pool_of(ABC), config(seed=seed))) for seed in (0, 1, 2**63 - 1)]
    for part in range(3):
        orders = {tuple(division[part]) for division in divisions}
        assert len({frozenset(order) for order in orders}) == 3
        assert all(list(order) != sorted(order) for order in orders)


def test_the_order_of_a_part_does_not_follow_the_file():
    """A file that is sorted by class gives mini-batches that mix the classes."""
    train = divide(pool_of(ABC), config()).train
    for start in range(0, len(train) - 32, 32):
        assert len(set(ABC[train[start : start + 32]])) > 1


def test_names_and_order_of_classes_have_no_say():
    renamed = np.array([2, 0, 1])[ABC]
    assert parts_of(divide(pool_of(ABC), config())) == parts_of(divide(pool_of(renamed), config()))


def test_test_examples_stay_the_same_whatever_is_done_with_the_others():
    expected = parts_of(divide(pool_of(ABC), config()))
    for other in (config(val=0), config(val=0.5), config(num_train=5, num_val=3)):
        assert parts_of(divide(pool_of(ABC), other))[2] == expected[2]


def test_a_larger_validation_share_takes_from_training_alone():
    _, small, _ = parts_of(divide(pool_of(ABC), config(val=0.1)))
    _, large, _ = parts_of(divide(pool_of(ABC), config(val=0.3)))
    assert set(small) < set(large)


def test_fewer_examples_are_the_first_of_more():
    train, val, test = parts_of(divide(pool_of(ABC), config()))
    few = divide(pool_of(ABC), config(num_train=30, num_val=10))
    assert parts_of(few) == [train[:30], val[:10], test]
    assert parts_of(divide(pool_of(ABC), config(num_val=0))) == [train, [], test]
    exact = config(num_train=len(train), num_val=len(val))
    assert parts_of(divide(pool_of(ABC), exact)) == [train, val, test]


@pytest.mark.parametrize("split_column", [None, "part"])
def test_the_data_say_which_examples_are_for_what(split_column: str | None):
    labels, parts = [0, 1] * 6, [TRAIN] * 6 + [VAL] * 2 + [TEST] * 4
    train, val, test = parts_of(divide(pool_of(labels, parts), config(split_column=split_column)))
    assert sorted(train) == [0, 1, 2, 3, 4, 5]
    assert sorted(val) == [6, 7]
    assert sorted(test) == [8, 9, 10, 11]


@pytest.mark.parametrize(
    ("given_part", "val", "test"), [(TEST, 20, 10), (VAL, 10, 20)], ids=["test", "val"]
)
def test_a_part_that_the_data_have_takes_no_share_of_the_others(
    given_part: int, val: int, test: int
):
    labels, parts = [0, 1] * 55, [UNDIVIDED] * 100 + [given_part] * 10
    division = divide(pool_of(labels, parts), config(val=0.2, test=0.2))
    assert [len(rows) for rows in vars(division).values()] == [80, val, test]
    assert set(range(100, 110)) <= set(division.test if given_part == TEST else division.val)


def test_data_that_come_divided_train_on_the_first_and_validate_on_the_last():
    pool = pool_of([0, 1] * 10, [TRAIN] * 15 + [TEST] * 5)
    data = DataConfig("mnist", batch_size=1, num_train=10, num_val=3)
    expected = [[*range(10)], [12, 13, 14], [15, 16, 17, 18, 19]]
    assert parts_of(divide(pool, data)) == expected
    none = DataConfig("mnist", batch_size=1, num_train=15, num_val=0)
    assert parts_of(divide(pool, none)) == [[*range(15)], [], expected[2]]


SMALL = [0, 1] * 6


@pytest.mark.parametrize(
    ("pool", "data", "message"),
    [
        (pool_of(SMALL), config(num_train=9), "data.num_train=9: there are 8 examples for that."),
        (pool_of(SMALL), config(num_val=9), "data.num_val=9: there are 2 examples for that. Lower"),
        (pool_of(SMALL), config(test=0.01), "data=table: no example is for testing. Use more"),
        (
            pool_of(SMALL),
            config(val=0.01, test=0.3),
            "data=table: no example is for validation. Use more",
        ),
        (pool_of(SMALL), config(val=0.49, test=0.5), "no example is for training. Use more exam"),
        (
            pool_of(SMALL, [VAL] * 6 + [TEST] * 6),
            config(split_column="part"),
            "no example is for training. Write train, val or test into the column part of every",
        ),
        (
            pool_of(SMALL, [TRAIN] * 12),
            config(split_column="part"),
            "no example is for testing. Write train, val or test into the column part",
        ),
        (
            pool_of([0, 0, 0, 1], [TRAIN, TRAIN, TEST, TEST]),
            config(split_column="part"),
            "data=table: no example of the class b is for training. Add some, or leave that class",
        ),
        (
            pool_of(SMALL, [TRAIN] * 10 + [TEST] * 2),
            DataConfig("mnist", batch_size=1, num_train=60_000, num_val=3),
            "data.num_train=60000 and data.num_val=3: together 60003, but the training set of",
        ),
    ],
)
def test_what_is_missing_is_said(pool: Pool, data: DataConfig, message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        divide(pool, data)


def test_a_split_column_may_have_no_validation_examples():
    pool = pool_of(SMALL, [TRAIN] * 10 + [TEST] * 2)
    assert len(divide(pool, config(split_column="part")).val) == 0


def test_few_examples_to_train_on_may_lack_a_class():
    division = divide(pool_of(ABC), config(num_train=1))
    assert len(division.train) == 1
