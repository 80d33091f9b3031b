"""What every loss must hold to. A new loss adds its row to ROWS and passes all of this."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config.options import options
from pipeline.config.schema import LossConfig
from pipeline.engine.losses import LOSSES, make_loss


class Row(NamedTuple):
    terms: Callable[[list[float], int], list[float]]
    """(activations, right class) → the terms of one example, from the textbook."""
    torchs_own: Callable[[Tensor, Tensor, str], Tensor]
    """(logits, targets, output) → the same terms of every example, from torch."""
    outputs: tuple[str, ...] = ("softmax", "sigmoid")
    reductions: tuple[str, ...] = ("mean", "sum")


def activate(logits: Tensor, output: str) -> Tensor:
    return logits.softmax(-1) if output == "softmax" else logits.sigmoid()


def one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    return F.one_hot(targets, logits.shape[-1]).to(logits.dtype)


def squared_errors(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    return F.mse_loss(activate(logits, output), one_hot(logits, targets), reduction="none")


def cross_entropies(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    activations, wanted = activate(logits, output), one_hot(logits, targets)
    return F.binary_cross_entropy(activations, wanted, reduction="none")


ROWS = {
    "mse": Row(
        lambda a, right: [(a_k - (k == right)) ** 2 for k, a_k in enumerate(a)],
        squared_errors,
    ),
    "quadratic": Row(
        lambda a, right: [(a_k - (k == right)) ** 2 / 2 for k, a_k in enumerate(a)],
        lambda *args: squared_errors(*args) / 2,
    ),
    "ce": Row(
        lambda a, right: [-math.log(a_k if k == right else 1 - a_k) for k, a_k in enumerate(a)],
        cross_entropies,
    ),
    "nll": Row(
        lambda a, right: [-math.log(a[right])],
        lambda z, targets, _: F.cross_entropy(z, targets, reduction="none").unsqueeze(-1),
        outputs=("softmax",),
        reductions=("mean",),
    ),
}

every_output = pytest.mark.parametrize(
    ("name", "output"), [(name, output) for name, row in ROWS.items() for output in row.outputs]
)
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

LOGITS = torch.tensor([[0.3, -1.2, 2.0], [-0.5, 0.0, 0.7]], dtype=torch.float64)
TARGETS = torch.tensor([2, 0])
FAR = [[1e4, -1e4, 3.0], [-1e4, -1e4, 1e4], [1e4, 1e4, -1e4]]
TIES = [[0.0, 0.0, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [2.0, 2.0, -1.0]]


def test_every_loss_has_a_row_and_a_yaml():
    for name in LOSSES:
        assert name in ROWS, f"add a row for {name} to ROWS in tests/test_losses.py"
        assert name in options("loss"), f"add conf/loss/{name}.yaml"
    assert set(ROWS) == set(options("loss")) == set(LOSSES)


def by_hand(name: str, output: str, reduction: str, logits: list[float], right: int) -> float:
    exponentials = [math.exp(z) for z in logits]
    softmax = [e / sum(exponentials) for e in exponentials]
    sigmoid = [1 / (1 + math.exp(-z)) for z in logits]
    terms = ROWS[name].terms(softmax if output == "softmax" else sigmoid, right)
    return sum(terms) / (len(terms) if reduction == "mean" else 1)


@every_loss
def test_is_the_textbook_formula(name, output, reduction):
    losses = make_loss(LossConfig(name, reduction), output)(LOGITS, TARGETS)
    assert losses.tolist() == pytest.approx(
        [
            by_hand(name, output, reduction, logits, right)
            for logits, right in zip(LOGITS.tolist(), TARGETS.tolist(), strict=True)
        ],
        rel=1e-14,
    )


@every_loss
def test_agrees_with_torch(name, output, reduction):
    logits = torch.randn(50, 10, dtype=torch.float64)
    targets = torch.randint(10, (50,))
    terms = ROWS[name].torchs_own(logits, targets, output)
    expected = terms.mean(-1) if reduction == "mean" else terms.sum(-1)
    losses = make_loss(LossConfig(name, reduction), output)(logits, targets)
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=0)


@every_loss
@every_dtype
def test_gives_one_value_per_example_also_for_many_members_at_once(name, output, reduction, dtype):
    loss = make_loss(LossConfig(name, reduction), output)
    logits = torch.randn(4, 6, 10, dtype=dtype)
    targets = torch.randint(10, (4, 6))
    losses = loss(logits, targets)
    assert (losses.shape, losses.dtype) == ((4, 6), dtype)
    for member in range(4):
        torch.testing.assert_close(losses[member], loss(logits[member], targets[member]))


@every_loss
def test_gradient_is_that_of_the_value(name, output, reduction):
    loss = make_loss(LossConfig(name, reduction), output)
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, TARGETS), (logits,))


@every_loss
@every_dtype
@pytest.mark.parametrize("values", [FAR, TIES], ids=["far apart", "ties"])
def test_value_and_gradient_stay_finite(name, output, reduction, dtype, values):
    loss = make_loss(LossConfig(name, reduction), output)
    for right in range(3):
        logits = torch.tensor(values, dtype=dtype, requires_grad=True)
        losses = loss(logits, torch.full((len(values),), right))
        losses.sum().backward()
        assert logits.grad is not None
        assert losses.isfinite().all()
        assert (losses >= 0).all()
        assert logits.grad.isfinite().all()


@every_output
@every_dtype
def test_a_wrong_class_taken_for_certain_costs_as_much_as_the_formula_says(name, output, dtype):
    # Logits (-1e4, 1e4), the first is right: a is (0, 1) in either output.
    certain = {"mse": 1.0, "quadratic": 0.5, "ce": 1e4, "nll": 2e4}
    if (name, output) == ("ce", "softmax"):
        certain["ce"] = 2e4
    assert name in certain, f"add the value of {name} here"
    loss = make_loss(LossConfig(name), output)
    value = loss(torch.tensor([[-1e4, 1e4]], dtype=dtype), torch.tensor([0]))
    assert value.item() == pytest.approx(certain[name])


def softplus_ce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return ce on softmax outputs without a difference that cancels.

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
    loss = make_loss(LossConfig("ce", "sum"), "softmax")
    targets = torch.arange(len(values))
    logits = torch.tensor([values] * len(values), dtype=dtype, requires_grad=True)
    exact_logits = logits.detach().double().requires_grad_()
    losses, exact = loss(logits, targets), softplus_ce(exact_logits, targets)
    torch.testing.assert_close(losses.double(), exact, rtol=rel, atol=rel / 100)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    (exact_gradient,) = torch.autograd.grad(exact.sum(), exact_logits)
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=rel, atol=rel)


def test_ce_on_softmax_of_a_lead_of_40():
    loss = make_loss(LossConfig("ce", "sum"), "softmax")
    logits = torch.tensor([[0.0, 40.0]], dtype=torch.float64)
    one_minus_a = math.exp(-40) / (1 + math.exp(-40))
    expected = -2 * math.log(one_minus_a)  # both outputs are wrong by as much
    assert loss(logits, torch.tensor([0])).item() == pytest.approx(expected, rel=1e-15)
    assert expected == pytest.approx(2 * (40 + math.log1p(math.exp(-40))))


def test_nll_of_a_guess_is_the_log_of_the_number_of_classes():
    loss = make_loss(LossConfig("nll"), "softmax")
    assert loss(torch.zeros(1, 10), torch.tensor([3])).item() == pytest.approx(math.log(10))
