import math

import pytest

from pipeline.tracking.record import curve


def test_a_curve_goes_epoch_by_epoch_with_nan_where_there_is_no_value():
    assert curve([(1, 0.5), (2, 0.4)]) == [0.5, 0.4]
    assert curve([(4, 0.4), (2, 0.5)]) == pytest.approx([math.nan, 0.5, math.nan, 0.4], nan_ok=True)
    assert curve([]) == []
