import pytest
import torch
from torch import Tensor

from pipeline.config.options import options
from pipeline.config.schema import DropoutConfig
from pipeline.config.schema.dropout import DROPOUTS
from pipeline.engine.dropout import Draws, dropout_mask, keep_probabilities

INPUTS, HIDDEN = 0, 1


def masks(draws: Draws, layer: int, p_keep: float, num_batches: int = 2) -> Tensor:
    shape, device = torch.Size((20, 30)), torch.device("cpu")
    drawn = torch.stack([draws.draw(layer, shape, device) for _ in range(num_batches)])
    return dropout_mask(drawn, p_keep, torch.float32)


def started(seed: int = 1, purpose: str = "train", epoch: int = 1) -> Draws:
    draws = Draws(seed, purpose)
    draws.start_epoch(epoch)
    return draws


@pytest.mark.parametrize("p_keep", [0.1, 0.5, 0.8])
def test_units_are_kept_as_often_as_asked_and_their_mean_stays(p_keep):
    mask = masks(started(), INPUTS, p_keep, num_batches=200)
    assert sorted(set(mask.unique().tolist())) == pytest.approx([0, 1 / p_keep])
    five_sigmas = 5 * (p_keep * (1 - p_keep) / mask.numel()) ** 0.5
    assert (mask > 0).float().mean().item() == pytest.approx(p_keep, abs=five_sigmas)
    assert mask.mean().item() == pytest.approx(1, abs=five_sigmas / p_keep)


def test_a_draw_below_p_keep_keeps_the_unit():
    mask = dropout_mask(torch.tensor([0.0, 0.2499, 0.25, 0.9999]), 0.25, torch.float32)
    assert mask.tolist() == [4, 4, 0, 0]
    assert dropout_mask(torch.rand(1000), 1.0, torch.float32).tolist() == [1] * 1000


def test_members_keep_each_by_its_own_p_keep_and_in_both_precisions_the_same_units():
    draws = torch.rand(1, 50, 40)
    p_keep = torch.tensor([0.3, 0.6], dtype=torch.float64).view(-1, 1, 1)
    double = dropout_mask(draws, p_keep, torch.float64)
    for member in range(2):
        single = dropout_mask(draws[0], p_keep[member].item(), torch.float32)
        torch.testing.assert_close(double[member].float(), single)
    kept = double != 0
    assert (kept[1] | ~kept[0]).all()  # whoever is kept with less is kept with more


@pytest.mark.parametrize(
    ("changed", "layer"),
    [(started(seed=2), INPUTS), (started(purpose="evaluate"), INPUTS), (started(), HIDDEN)],
    ids=["seed", "purpose", "layer"],
)
def test_other_streams_drop_other_units(changed, layer):
    differ = masks(started(), INPUTS, 0.5) != masks(changed, layer, 0.5)
    assert differ.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_dropping_the_inputs_as_well_does_not_change_what_is_dropped_in_the_hidden_layer():
    both, hidden = started(), started()
    masks(both, INPUTS, 0.8)
    assert torch.equal(masks(both, HIDDEN, 0.5), masks(hidden, HIDDEN, 0.5))


def test_batches_differ_and_an_epoch_can_be_started_again():
    draws = started(epoch=3)
    third = masks(draws, INPUTS, 0.5)
    assert not torch.equal(third[0], third[1])
    draws.start_epoch(4)
    assert not torch.equal(masks(draws, INPUTS, 0.5), third)
    draws.start_epoch(3)
    assert torch.equal(masks(draws, INPUTS, 0.5), third)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_device_drops_the_same_units(dtype: torch.dtype):
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    draws, shape = started(), torch.Size((20, 30))
    torch.set_default_dtype(dtype)  # as Lightning does while it trains in that precision
    try:
        elsewhere = draws.draw(INPUTS, shape, device)
    finally:
        torch.set_default_dtype(torch.float32)
    assert elsewhere.device.type == device.type
    # The next draws of the stream are those that a CPU makes after the same first ones.
    follow = masks(draws, INPUTS, 0.5, num_batches=1)
    assert torch.equal(follow[0], masks(started(), INPUTS, 0.5)[1])


KEEPS = {
    "none": (DropoutConfig("none"), (1, 1, 1, 1)),
    "input": (DropoutConfig("input", p_keep=0.7), (0.7, 1, 1, 1)),
    "hidden": (DropoutConfig("hidden", p_keep=0.7), (1, 0.7, 0.7, 1)),
    "logits": (DropoutConfig("logits", p_keep=0.7), (1, 1, 1, 0.7)),
    "both": (DropoutConfig("both", p_keep_input=0.8, p_keep_hidden=0.5), (0.8, 0.5, 0.5, 1)),
}


def test_every_dropout_option_has_a_row():
    assert set(KEEPS) == set(options("dropout")) == set(DROPOUTS)


@pytest.mark.parametrize(("config", "p_keeps"), KEEPS.values(), ids=KEEPS)
def test_an_option_drops_in_its_layers_only(config, p_keeps):
    assert keep_probabilities(config, num_layers=3) == p_keeps


def test_a_network_without_hidden_layers_drops_inputs_or_logits():
    assert keep_probabilities(DropoutConfig("input", p_keep=0.7), num_layers=1) == (0.7, 1)
    assert keep_probabilities(DropoutConfig("logits", p_keep=0.7), num_layers=1) == (1, 0.7)
