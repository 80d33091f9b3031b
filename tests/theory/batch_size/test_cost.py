"""What an update costs: the bytes of its tensors, and its time."""

from __future__ import annotations

import torch

from pipeline.data.tensors import Split
from pipeline.theory.batch_size.cost import PeakMemory, update_bytes, update_seconds
from pipeline.theory.batch_size.softmax_layer import SoftmaxLayer


def layer() -> SoftmaxLayer:
    return SoftmaxLayer(Split(torch.zeros(64, 100), torch.zeros(64, dtype=torch.long)), 10)


def test_memory_counts_what_lives_at_the_same_time():
    old = torch.zeros(1000)
    with PeakMemory() as memory:
        first = old + 1
        assert memory.peak == 4000
        second = first * 2
        assert memory.peak == 8000
        del first, second
        old.mul(3)
    assert memory.peak == 8000


def test_views_and_changes_in_place_take_no_memory():
    old = torch.zeros(1000)
    with PeakMemory() as memory:
        old[:10].add_(1)
        old.view(10, 100).mT.unsqueeze(0).mul_(2)
    assert memory.peak == 0


def test_a_view_keeps_the_memory_that_it_shows():
    old = torch.zeros(1000)
    with PeakMemory() as memory:
        view = (old + 1)[:10]
        later = old + 1
    assert memory.peak == 8000
    assert len(view) + len(later) == 1010


def test_an_update_needs_its_examples_and_what_is_computed_from_them():
    one, many = update_bytes(layer(), 1), update_bytes(layer(), 64)
    examples, logits = 4 * 100, 4 * 10
    assert examples + 2 * logits <= one <= examples + 6 * logits
    assert 60 * one < many < 64 * one


def test_updates_are_timed_in_rounds_for_pairs():
    times = update_seconds(layer(), [1, 64])
    assert list(times) == [1, 64]
    assert times[1].keys() == times[64].keys()
    assert all(0 < seconds < 1 for rounds in times.values() for seconds in rounds.values())
