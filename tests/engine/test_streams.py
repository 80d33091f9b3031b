import itertools

import pytest
import torch

from pipeline.engine.streams import example_order, generator


def draws(seed: int, *name: str | int) -> list[float]:
    return torch.rand(5, generator=generator(seed, *name), dtype=torch.float64).tolist()


def test_same_seed_and_name_same_numbers():
    assert draws(3, "dropout", "train", 1, 7) == draws(3, "dropout", "train", 1, 7)
    assert torch.equal(example_order(3, 1, 100), example_order(3, 1, 100))


def test_every_seed_and_every_part_of_the_name_matter():
    streams: list[tuple[int, *tuple[str | int, ...]]] = [
        (0, "weights"),
        (1, "weights"),
        (2**63 - 1, "weights"),
        (0, "order", 1),
        (0, "order", 2),
        (1, "order", 1),
        (1, "order", 2),
        (0, "dropout", "train", 1, 2),
        (0, "dropout", "train", 2, 1),
        (0, "dropout", "train", 12, 1),
        (0, "dropout", "train", 1, 21),
        (0, "dropout", "evaluate", 1, 2),
    ]
    numbers = [draws(*stream) for stream in streams]
    for one, other in itertools.combinations(numbers, 2):
        assert set(one).isdisjoint(other)


def test_one_stream_does_not_shift_another_nor_torchs_own():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    weights = generator(0, "weights")
    undisturbed = draws(0, "order", 1)
    torch.rand(100, generator=weights)
    assert draws(0, "order", 1) == undisturbed
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("num_examples", [1, 2, 1237])
def test_an_epoch_visits_every_example_once(num_examples):
    order = example_order(0, 1, num_examples)
    assert sorted(order.tolist()) == list(range(num_examples))


@pytest.mark.parametrize(("seed", "epoch"), [(0, 2), (1, 1)])
def test_other_epochs_and_seeds_have_other_orders(seed, epoch):
    same_place = example_order(0, 1, 1000) == example_order(seed, epoch, 1000)
    assert same_place.sum() < 10


def test_numbers_never_change():
    """If they do, every result that was recorded before can no longer be reproduced."""
    assert generator(0, "weights").initial_seed() == 133441691874178746
    assert draws(0, "weights")[:3] == [0.5620418884220967, 0.7136598080276033, 0.8223169132139914]
    assert example_order(0, 1, 8).tolist() == [2, 1, 6, 3, 5, 7, 4, 0]
    assert example_order(7, 3, 8).tolist() == [5, 7, 3, 1, 6, 4, 2, 0]
