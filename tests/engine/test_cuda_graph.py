from __future__ import annotations

import pytest
import torch

from pipeline.engine.cuda_graph import NUM_WARM_UP_CALLS, Replayed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_every_call_takes_effect_once_and_reads_what_lies_in_its_places():
    total, place = torch.zeros(3, device="cuda"), torch.zeros(3, device="cuda")

    def add() -> None:
        total.add_(place)

    replayed = Replayed(add)
    calls = NUM_WARM_UP_CALLS + 4
    for number in range(calls):
        place.fill_(number)
        replayed()
    assert total.tolist() == [sum(range(calls))] * 3
