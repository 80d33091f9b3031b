import math

import pytest

from pipeline.engine.early_stopping import has_stopped


@pytest.mark.parametrize(
    ("val_losses", "patience", "stopped"),
    [
        ([], 1, False),
        ([1.0], 1, False),
        ([1.0, 0.9], 1, False),
        ([1.0, 1.0], 1, True),  # no lower one
        ([1.0, 1.1], 2, False),
        ([1.0, 1.1, 1.2], 2, True),
        ([1.0, 1.1, 0.9, 1.0], 2, False),  # waiting began anew
        ([1.0, math.nan], 5, True),
    ],
)
def test_stops_after_so_many_epochs_without_a_new_lowest_loss(val_losses, patience, stopped):
    assert has_stopped(val_losses, patience) == stopped
