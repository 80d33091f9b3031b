"""What every loss must hold to. A new loss adds its row to ROWS and passes all of this."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config import registry
from pipeline.config.options import options
from pipeline.config.schema import LossConfig
from pipeline.engine.losses import Loss, make_loss


class Row(NamedTuple):
    terms: Callable[[list[float], int], list[float]]
    """(activations, right class) → the terms of one example, from the textbook."""
    torchs_own: Callable[[Tensor, Tensor, str], Tensor]
    """(logits (batch, classes), targets, output) → the same terms of every example, from torch."""
    certain: dict[str, float]
    """By output, the loss of two outputs of which the wrong one is certain: logits ∓1e4."""
    outputs: tuple[str, ...] = ("softmax", "sigmoid")
    reductions: tuple[str, ...] = ("mean", "sum")
    settings: Mapping[str, float] = MappingProxyType({})
    """The loss's own keys."""


def activate(logits: Tensor, output: str) -> Tensor:
    return logits.softmax(-1) if output == "softmax" else logits.sigmoid()


def one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    return F.one_hot(targets, logits.shape[-1]).to(logits.dtype)


def squared_errors(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    return F.mse_loss(activate(logits, output), one_hot(logits, targets), reduction="none")


def cross_entropies(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    activations, wanted = activate(logits, output), one_hot(logits, targets)
    return F.binary_cross_entropy(activations, wanted, reduction="none")


def huber_losses(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    activations, wanted = activate(logits, output), one_hot(logits, targets)
    return F.huber_loss(activations, wanted, reduction="none", delta=0.3)


def smooth(a: list[float], right: int) -> list[float]:
    return [0.7 * (k == right) + 0.3 / len(a) for k in range(len(a))]


def smoothed_cross_entropies(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    activations, wanted = activate(logits, output), one_hot(logits, targets)
    wanted = 0.7 * wanted + 0.3 / logits.shape[-1]
    return F.binary_cross_entropy(activations, wanted, reduction="none")


def focal_losses(logits: Tensor, targets: Tensor) -> Tensor:
    nll = F.cross_entropy(logits, targets, reduction="none")
    return (1 - torch.exp(-nll)) ** 2 * nll


def huber(difference: float) -> float:
    size = abs(difference)
    return size**2 / 2 if size <= 0.3 else 0.3 * (size - 0.15)


ROWS = {
    "mse": Row(
        lambda a, right: [(a_k - (k == right)) ** 2 for k, a_k in enumerate(a)],
        squared_errors,
        {"softmax": 1.0, "sigmoid": 1.0},
    ),
    "quadratic": Row(
        lambda a, right: [(a_k - (k == right)) ** 2 / 2 for k, a_k in enumerate(a)],
        lambda *args: squared_errors(*args) / 2,
        {"softmax": 0.5, "sigmoid": 0.5},
    ),
    "huber": Row(
        lambda a, right: [huber(a_k - (k == right)) for k, a_k in enumerate(a)],
        huber_losses,
        {"softmax": 0.255, "sigmoid": 0.255},
        settings={"delta": 0.3},
    ),
    "ce": Row(
        lambda a, right: [-math.log(a_k if k == right else 1 - a_k) for k, a_k in enumerate(a)],
        cross_entropies,
        {"softmax": 2e4, "sigmoid": 1e4},
    ),
    "nll": Row(
        lambda a, right: [-math.log(a[right])],
        lambda z, targets, _: F.cross_entropy(z, targets, reduction="none").unsqueeze(-1),
        {"softmax": 2e4},
        outputs=("softmax",),
        reductions=("mean",),
    ),
    "nll, smoothed": Row(
        lambda a, right: [
            -sum(y * math.log(a_k) for y, a_k in zip(smooth(a, right), a, strict=True))
        ],
        lambda z, targets, _: F.cross_entropy(
            z, targets, reduction="none", label_smoothing=0.3
        ).unsqueeze(-1),
        {"softmax": 0.85 * 2e4},
        outputs=("softmax",),
        reductions=("mean",),
        settings={"label_smoothing": 0.3},
    ),
    "ce, smoothed": Row(
        lambda a, right: [
            -y * math.log(a_k) - (1 - y) * math.log(1 - a_k)
            for y, a_k in zip(smooth(a, right), a, strict=True)
        ],
        smoothed_cross_entropies,
        {"softmax": 0.85 * 2e4, "sigmoid": 0.85 * 1e4},
        settings={"label_smoothing": 0.3},
    ),
    "focal": Row(
        lambda a, right: [-((1 - a[right]) ** 2) * math.log(a[right])],
        lambda z, targets, _: focal_losses(z, targets).unsqueeze(-1),
        {"softmax": 2e4},
        outputs=("softmax",),
        reductions=("mean",),
        settings={"gamma": 2.0},
    ),
}
"""By the loss's name and, after a comma, what is special."""

every_loss = pytest.mark.parametrize(
    ("name", "output", "reduction"),
    [
        (name, output, reduction)
        for name, row in ROWS.items()
        for output in row.outputs
        for reduction in row.reductions
    ],
)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])

# One network's logits, (members, classes, batch), of two examples.
LOGITS = torch.tensor([[[0.3, -0.5], [-1.2, 0.0], [2.0, 0.7]]], dtype=torch.float64)
TARGETS = torch.tensor([[2, 0]])
FAR = [[1e4, -1e4, 3.0], [-1e4, -1e4, 1e4], [1e4, 1e4, -1e4]]
TIES = [[0.0, 0.0, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [2.0, 2.0, -1.0]]


def the_loss(name: str, output: str, reduction: str = "mean") -> Loss:
    row = ROWS[name]
    settings: Any = row.settings
    return make_loss(LossConfig(name.split(",")[0], reduction, **settings), output)


def columns(examples: list[list[float]], dtype: torch.dtype) -> Tensor:
    """Examples, one per row, as the logits of one network."""
    return torch.tensor(examples, dtype=dtype).T.unsqueeze(0)


def test_every_loss_has_a_row_and_a_yaml():
    names = {label.split(",")[0] for label in ROWS}
    for name in registry.names("loss"):
        assert name in names, f"add a row for {name} to ROWS in tests/engine/test_losses.py"
        assert name in options("loss"), f"add conf/loss/{name}.yaml"
    assert names == set(options("loss")) == set(registry.names("loss"))


def by_hand(name: str, output: str, reduction: str, logits: list[float], right: int) -> float:
    exponentials = [math.exp(z) for z in logits]
    softmax = [e / sum(exponentials) for e in exponentials]
    sigmoid = [1 / (1 + math.exp(-z)) for z in logits]
    terms = ROWS[name].terms(softmax if output == "softmax" else sigmoid, right)
    return sum(terms) / (len(terms) if reduction == "mean" else 1)


@every_loss
def test_is_the_textbook_formula(name, output, reduction):
    (losses,) = the_loss(name, output, reduction).value(LOGITS, TARGETS).tolist()
    examples = zip(LOGITS[0].T.tolist(), TARGETS[0].tolist(), strict=True)
    expected = [by_hand(name, output, reduction, logits, right) for logits, right in examples]
    assert losses == pytest.approx(expected, rel=1e-14)


@every_loss
def test_agrees_with_torch_for_many_members_at_once(name, output, reduction):
    logits = torch.randn(4, 10, 50, dtype=torch.float64)
    targets = torch.randint(10, (4, 50))
    losses = the_loss(name, output, reduction).value(logits, targets)
    for member in range(4):
        terms = ROWS[name].torchs_own(logits[member].T, targets[member], output)
        expected = terms.mean(-1) if reduction == "mean" else terms.sum(-1)
        torch.testing.assert_close(losses[member], expected, rtol=1e-12, atol=0)


@every_loss
@every_dtype
def test_gives_one_value_per_example_in_the_precision_of_the_logits(name, output, reduction, dtype):
    loss = the_loss(name, output, reduction)
    logits, targets = torch.randn(4, 10, 6, dtype=dtype), torch.randint(10, (1, 6))
    losses = loss.value(logits, targets)
    assert (losses.shape, losses.dtype) == ((4, 6), dtype)
    torch.testing.assert_close(losses, loss.value(logits, targets.expand(4, -1)))
    assert loss.error(logits, targets).dtype == dtype


@every_loss
def test_error_is_the_derivative_of_the_value(name, output, reduction):
    loss = the_loss(name, output, reduction)
    leaf = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss.value(z, TARGETS), (leaf,))
    logits, targets = torch.randn(3, 4, 7, dtype=torch.float64) * 3, torch.randint(4, (1, 7))
    before = logits.clone()
    by_hand = loss.error(logits, targets)
    assert torch.equal(logits, before)
    torch.testing.assert_close(by_hand, Loss.error(loss, logits, targets), rtol=1e-9, atol=1e-14)


@every_loss
@every_dtype
@pytest.mark.parametrize("values", [FAR, TIES], ids=["far apart", "ties"])
def test_value_and_error_stay_finite(name, output, reduction, dtype, values):
    loss = the_loss(name, output, reduction)
    for right in range(3):
        logits, targets = columns(values, dtype), torch.full((1, len(values)), right)
        losses = loss.value(logits, targets)
        assert losses.isfinite().all()
        assert (losses >= 0).all()
        assert loss.error(logits, targets).isfinite().all()
        assert Loss.error(loss, logits, targets).isfinite().all()


@pytest.mark.parametrize(
    ("name", "output"), [(name, output) for name, row in ROWS.items() for output in row.outputs]
)
@every_dtype
def test_a_wrong_class_taken_for_certain_costs_as_much_as_the_formula_says(name, output, dtype):
    value = the_loss(name, output).value(columns([[-1e4, 1e4]], dtype), torch.tensor([[0]]))
    assert value.item() == pytest.approx(ROWS[name].certain[output])


def softplus_ce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return ce on softmax outputs, (batch, classes), without a difference that cancels.

    With r the log-sum-exp of the other logits, a = σ(z - r): -ln a = softplus(r - z) and
    -ln(1 - a) = softplus(z - r).
    """
    terms: list[Tensor] = []
    for k in range(logits.shape[-1]):
        others = [i for i in range(logits.shape[-1]) if i != k]
        lead = logits[:, k] - logits[:, others].logsumexp(-1)
        terms.append(F.softplus(torch.where(targets == k, -lead, lead), threshold=800))
    return torch.stack(terms, dim=-1).sum(-1)


NEARLY_CERTAIN = [[0.0, 40.0], [0.0, 1.0, 200.0], [-50.0, 30.0, 29.0], [17.0, 0.0], [3.0, 3.0, 3.0]]


@pytest.mark.parametrize("values", NEARLY_CERTAIN, ids=str)
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_ce_on_softmax_is_precise_where_one_minus_a_cancels(values, dtype, rel):
    loss = the_loss("ce", "softmax", "sum")
    targets = torch.arange(len(values))
    logits = columns([values] * len(values), dtype)
    exact_logits = logits[0].T.double().requires_grad_()
    losses, exact = loss.value(logits, targets.unsqueeze(0)), softplus_ce(exact_logits, targets)
    torch.testing.assert_close(losses[0].double(), exact.detach(), rtol=rel, atol=rel / 100)
    error = loss.error(logits, targets.unsqueeze(0))[0].T
    (expected,) = torch.autograd.grad(exact.sum(), exact_logits)
    torch.testing.assert_close(error.double(), expected, rtol=rel, atol=rel)


def test_ce_on_softmax_of_a_lead_of_40():
    one_minus_a = math.exp(-40) / (1 + math.exp(-40))
    expected = -2 * math.log(one_minus_a)  # both outputs are wrong by as much
    logits = columns([[0.0, 40.0]], torch.float64)
    value = the_loss("ce", "softmax", "sum").value(logits, torch.tensor([[0]]))
    assert value.item() == pytest.approx(expected, rel=1e-15)
    assert expected == pytest.approx(2 * (40 + math.log1p(math.exp(-40))))


def test_nll_of_a_guess_is_the_log_of_the_number_of_classes():
    value = the_loss("nll", "softmax").value(torch.zeros(1, 10, 1), torch.tensor([[3]]))
    assert value.item() == pytest.approx(math.log(10))


def test_the_smoothed_error_is_precise_where_the_right_class_is_taken_for_certain():
    """Its odds may overflow, and with a smoothed target they count."""
    loss = make_loss(LossConfig("ce", "sum", label_smoothing=0.3), "softmax")
    logits, targets = columns([[0.0, 300.0, 1.0]], torch.float64), torch.tensor([[1]])
    # Only 1 - y = 0.2 of the right class holds it back: ∂/∂z of 0.2 (z₁ - ln(e^z₀ + e^z₂)).
    share = 1 / (1 + math.e)
    pull = [-0.2 * share - 0.1, 0.2 + 0.2, -0.2 * (1 - share) - 0.1]
    assert loss.error(logits, targets).flatten().tolist() == pytest.approx(pull, rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 5.0])
def test_focal_is_nll_for_gamma_0_and_finite_where_the_slope_of_the_power_is_not(gamma: float):
    loss = make_loss(LossConfig("focal", gamma=gamma), "softmax")
    certain = columns([[1e4, 0.0], [20.0, 0.0], [0.0, 1e4], [1.0, 2.0]], torch.float64)
    targets = torch.zeros(1, 4, dtype=torch.int64)
    value, error = loss.value(certain, targets), loss.error(certain, targets)
    assert value.isfinite().all()
    assert error.isfinite().all()
    nll = make_loss(LossConfig("nll"), "softmax")
    if gamma == 0:
        torch.testing.assert_close(value, nll.value(certain, targets))
        torch.testing.assert_close(error, nll.error(certain, targets))
    else:
        assert (value[0, [1, 3]] < nll.value(certain, targets)[0, [1, 3]]).all()
