import pytest
import torch
from torch import Tensor

from pipeline.config.options import options
from pipeline.config.schema import DropoutConfig
from pipeline.engine.dropout import Dropout, dropout_mask, keep_probabilities
from pipeline.engine.network import Network, initial_parameters

INPUTS, HIDDEN, LOGITS = 0, 1, 2
ONES = torch.ones(200, 500)


def masks(dropout: Dropout, layer: int, num_batches: int = 2) -> Tensor:
    return torch.stack([dropout(layer, torch.ones(20, 30)) for _ in range(num_batches)])


@pytest.mark.parametrize("p_keep", [0.1, 0.5, 0.8])
def test_units_are_kept_as_often_as_asked_and_their_mean_stays(p_keep):
    dropped = Dropout([p_keep], seed=1, purpose="train")(INPUTS, ONES)
    assert sorted(set(dropped.unique().tolist())) == pytest.approx([0, 1 / p_keep])
    five_sigmas = 5 * (p_keep * (1 - p_keep) / ONES.numel()) ** 0.5
    assert (dropped > 0).float().mean().item() == pytest.approx(p_keep, abs=five_sigmas)
    assert dropped.mean().item() == pytest.approx(1, abs=five_sigmas / p_keep)


def test_a_draw_below_p_keep_keeps_the_unit():
    mask = dropout_mask(torch.tensor([0.0, 0.2499, 0.25, 0.9999]), 0.25, torch.float32)
    assert mask.tolist() == [4, 4, 0, 0]
    assert dropout_mask(torch.rand(1000), 1.0, torch.float32).tolist() == [1] * 1000


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kept_units_are_divided_by_p_keep_in_their_own_precision(dtype):
    units = torch.full((10, 30), 0.7, dtype=dtype)
    dropped = Dropout([0.3], seed=1, purpose="train")(INPUTS, units)
    kept = dropped[dropped != 0]
    assert dropped.dtype == dtype
    precision = torch.finfo(dtype).eps
    torch.testing.assert_close(kept, torch.full_like(kept, 0.7) / 0.3, rtol=4 * precision, atol=0)


def test_float64_units_are_dropped_where_float32_units_are():
    single = Dropout([0.3], seed=1, purpose="train")(INPUTS, ONES)
    double = Dropout([0.3], seed=1, purpose="train")(INPUTS, ONES.double())
    assert torch.equal(single == 0, double == 0)


def test_p_keep_of_one_changes_nothing_and_draws_nothing():
    dropout = Dropout([1.0, 0.5, 1.0], seed=1, purpose="train")
    units = torch.randn(20, 30)
    assert dropout(INPUTS, units) is units
    assert dropout(LOGITS, units) is units
    undisturbed = Dropout([1.0, 0.5, 1.0], seed=1, purpose="train")
    assert torch.equal(masks(dropout, HIDDEN), masks(undisturbed, HIDDEN))


def test_dropping_the_inputs_as_well_does_not_change_what_is_dropped_in_the_hidden_layer():
    hidden = Dropout([1.0, 0.5, 1.0], seed=1, purpose="train")
    both = Dropout([0.8, 0.5, 1.0], seed=1, purpose="train")
    masks(both, INPUTS)
    assert torch.equal(masks(both, HIDDEN), masks(hidden, HIDDEN))


def test_a_unit_kept_with_a_smaller_p_keep_is_kept_with_a_larger_one():
    few = masks(Dropout([0.3], seed=1, purpose="train"), INPUTS) > 0
    many = masks(Dropout([0.6], seed=1, purpose="train"), INPUTS) > 0
    assert (many | ~few).all()
    assert many.sum() > few.sum()


@pytest.mark.parametrize(
    ("changed", "layer"),
    [
        (Dropout([0.5] * 3, seed=2, purpose="train"), INPUTS),
        (Dropout([0.5] * 3, seed=1, purpose="evaluate"), INPUTS),
        (Dropout([0.5] * 3, seed=1, purpose="train"), HIDDEN),
    ],
    ids=["seed", "purpose", "layer"],
)
def test_other_streams_drop_other_units(changed, layer):
    changed.start_epoch(1)
    one = Dropout([0.5] * 3, seed=1, purpose="train")
    one.start_epoch(1)
    differ = masks(one, INPUTS) != masks(changed, layer)
    assert differ.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_batches_differ_and_an_epoch_can_be_started_again():
    dropout = Dropout([0.5], seed=1, purpose="train")
    dropout.start_epoch(3)
    third = masks(dropout, INPUTS)
    assert not torch.equal(third[0], third[1])
    dropout.start_epoch(4)
    assert not torch.equal(masks(dropout, INPUTS), third)
    dropout.start_epoch(3)
    assert torch.equal(masks(dropout, INPUTS), third)


KEEPS = {
    "none": (DropoutConfig("none"), (1, 1, 1, 1)),
    "input": (DropoutConfig("input", p_keep=0.7), (0.7, 1, 1, 1)),
    "hidden": (DropoutConfig("hidden", p_keep=0.7), (1, 0.7, 0.7, 1)),
    "logits": (DropoutConfig("logits", p_keep=0.7), (1, 1, 1, 0.7)),
    "both": (DropoutConfig("both", p_keep_input=0.8, p_keep_hidden=0.5), (0.8, 0.5, 0.5, 1)),
}


def test_every_dropout_option_has_a_row():
    assert set(KEEPS) == set(options("dropout")), "add a row to KEEPS in tests/test_dropout.py"


@pytest.mark.parametrize(("config", "p_keeps"), KEEPS.values(), ids=KEEPS)
def test_an_option_drops_in_its_layers_only(config, p_keeps):
    assert keep_probabilities(config, num_layers=3) == p_keeps


def test_a_network_without_hidden_layers_drops_inputs_or_logits():
    assert keep_probabilities(DropoutConfig("input", p_keep=0.7), num_layers=1) == (0.7, 1)
    assert keep_probabilities(DropoutConfig("logits", p_keep=0.7), num_layers=1) == (1, 0.7)


def network() -> Network:
    source = torch.Generator().manual_seed(1)
    parameters = initial_parameters([6, 50, 30], init="normal", std=1.0, generator=source)
    return Network(parameters, "sigmoid")


def test_the_network_drops_inputs_activations_and_logits():
    net, inputs = network(), torch.rand(20, 6)
    (w1, w2), (b1, b2) = net.weights, net.biases
    same = Dropout([0.8, 0.5, 0.3], seed=1, purpose="train")
    hidden = torch.sigmoid(same(INPUTS, inputs) @ w1.T + b1)
    expected = same(LOGITS, same(HIDDEN, hidden) @ w2.T + b2)
    logits = net(inputs, Dropout([0.8, 0.5, 0.3], seed=1, purpose="train"))
    torch.testing.assert_close(logits, expected)
    assert (logits == 0).float().mean().item() == pytest.approx(0.7, abs=0.1)


def test_a_network_whose_units_are_all_dropped():
    net, inputs = network(), torch.rand(20, 6)
    nearly_none = 1e-12

    def logits(*p_keeps: float) -> Tensor:
        return net(inputs, Dropout(p_keeps, seed=1, purpose="train"))

    torch.testing.assert_close(logits(nearly_none, 1.0, 1.0), net(torch.zeros(20, 6)))
    torch.testing.assert_close(logits(1.0, nearly_none, 1.0), net.biases[1].expand(20, 30))
    assert torch.equal(logits(1.0, 1.0, nearly_none), torch.zeros(20, 30))
    assert torch.equal(logits(1.0, 1.0, 1.0), net(inputs))
