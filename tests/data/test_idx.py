import numpy as np
import pytest
from tiny_mnist import idx_bytes

from pipeline.data import DataError
from pipeline.data.idx import parse_idx

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_round_trip():
    np.testing.assert_array_equal(parse_idx(idx_bytes(IMAGES), (2, 3, 4)), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes, too few"),
        (idx_bytes(IMAGES)[:15], "has 15 bytes, too few"),
        (idx_bytes(IMAGES)[:-1], "has 23 values, expected 24"),
        (idx_bytes(IMAGES) + b"x", "has 25 values, expected 24"),
        (idx_bytes(IMAGES.reshape(3, 2, 4)), r"has the shape \(3, 2, 4\), expected \(2, 3, 4\)"),
        (idx_bytes(IMAGES.ravel()), "starts with 00000801, expected 00000803"),
        (b"\x00\x00\x0d" + idx_bytes(IMAGES)[3:], "starts with 00000d03, expected 00000803"),
    ],
)
def test_anything_else_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        parse_idx(content, (2, 3, 4))
