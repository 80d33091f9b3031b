"""README's promise: a choice from outside is its module, its YAML and a test row, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests import command
from tests.command import Done

LOSS = '''
from pipeline.engine.losses import Loss, is_target

__all__ = ["Tilted"]


class Tilted(Loss):
    """|a - y|, which counts more where the right class is missed."""

    def value(self, logits, targets):
        difference = self.activations(logits) - is_target(logits, targets).to(logits.dtype)
        return self.reduce(difference.abs() + self.config.tilt * (-difference).relu())
'''

REGULARIZER = '''
from pipeline.engine.regularizers import Regularizer

__all__ = ["Fourth"]


class Fourth(Regularizer):
    """The sum of the weights' fourth powers."""

    def value(self, weights):
        return weights.flatten(1).pow(4).sum(1)
'''

ACTIVATION = '''
from pipeline.engine.activations import Activation

__all__ = ["Softplus"]


class Softplus(Activation):
    """ln(1 + e^z)."""

    def __call__(self, z):
        return z.exp().log1p()
'''

OPTIMIZER = '''
from pipeline.engine.optimizers import Optimizer

__all__ = ["SignDescent"]


class SignDescent(Optimizer):
    """A step of η against the sign of the gradient."""

    def step(self, gradients):
        for parameter, gradient, lr in zip(self.parameters, gradients, self.lr):
            parameter.sub_(gradient.sign() * lr)
'''

SCHEDULE = '''
from pipeline.engine.schedules import Schedule

__all__ = ["Hyperbola"]


class Hyperbola(Schedule):
    """η / (1 + epochs)."""

    def factors(self, steps):
        return 1 / (1 + steps / self.steps_per_epoch)
'''

METRIC = '''
from pipeline.engine.metrics import Metric

__all__ = ["ErrorRate"]


class ErrorRate(Metric):
    """Share of wrong answers."""

    def __call__(self, predictions, labels, num_classes):
        return (predictions != labels).double().mean(1)
'''

ATTACK = '''
from pipeline.engine.attacks import Attack

__all__ = ["Helpful"]


class Helpful(Attack):
    """A step against the gradient, which makes examples easier."""

    def __call__(self, inputs, gradient, epsilon):
        return inputs - epsilon * gradient.sign()
'''

ADDED = {
    "pipeline/engine/losses/tilted.py": LOSS,
    "conf/loss/tilted.yaml": "name: tilted\nreduction: sum\n",
    "pipeline/engine/regularizers/fourth.py": REGULARIZER,
    "conf/regularizer/fourth.yaml": "name: fourth\nstrength: 0.001\n",
    "pipeline/engine/activations/softplus.py": ACTIVATION,
    "pipeline/engine/optimizers/sign_descent.py": OPTIMIZER,
    "conf/optimizer/sign_descent.yaml": "name: sign_descent\nlr: 0.001\nweight_decay: 0.0\n",
    "pipeline/engine/schedules/hyperbola.py": SCHEDULE,
    "conf/schedule/hyperbola.yaml": "name: hyperbola\nwarmup_epochs: 0.0\n",
    "pipeline/engine/metrics/error_rate.py": METRIC,
    "pipeline/engine/attacks/helpful.py": ATTACK,
    "conf/attack/helpful.yaml": "name: helpful\nepsilon: 0.2\n",
}

GRID = (
    "-m",
    "loss=tilted",
    "loss.tilt=0.5,20",
    "regularizer=fourth",
    "regularizer.strength=0.001,0.1",
    "optimizer=sign_descent",
    "schedule=hyperbola",
    "model=mlp",
    "model.activation=softplus",
    "attack=helpful",
    "data=digits",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.precision=float64",
)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a loss, a key of its own for it, and one more of each choice."""
    copy = tmp_path_factory.mktemp("extended")
    for folder in ("pipeline", "conf", "hydra_plugins"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(command.CHECKOUT / folder, copy / folder, ignore=ignored)
    for name, content in ADDED.items():
        (copy / name).write_text(content)
    schema = copy / "pipeline" / "config" / "schema" / "loss.py"
    text = schema.read_text()
    key = "    delta: float | None = None\n"
    assert text.count(key) == 1
    schema.write_text(text.replace(key, f"{key}    tilt: float = 1.0\n"))
    return copy


def sweep(extended: Path, root: Path, *arguments: str) -> tuple[Done, list[Run]]:
    done = command.run(root, *GRID, f"root={root}", *arguments, PYTHONPATH=str(extended))
    assert (done.code, done.stderr) == (0, "")
    return done, command.children(root)


def test_what_is_added_from_outside_trains_in_a_group_as_alone(extended: Path, tmp_path: Path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    together.mkdir()
    alone.mkdir()
    done, runs = sweep(extended, together)
    assert "runs 1-4 of 4 train together" in done.stdout
    _, others = sweep(extended, alone, "hydra/launcher=basic")
    losses = [run.data.metrics["train/loss"] for run in runs]
    assert losses == pytest.approx([run.data.metrics["train/loss"] for run in others], rel=1e-9)
    assert len({round(loss, 6) for loss in losses}) == 4  # every key has its effect
    for run in runs:
        metrics = run.data.metrics
        assert metrics["train/lr"] == pytest.approx(0.001 / (1 + 125 / 63))  # the 126th step's
        assert metrics["test/error_rate"] == pytest.approx(1 - metrics["test/accuracy"])
        assert metrics["test/adversarial_accuracy"] > metrics["test/accuracy"]


def test_a_wrong_name_is_answered_with_what_was_added(extended: Path, tmp_path: Path):
    done = command.run(tmp_path, "model.activation=softplas", PYTHONPATH=str(extended))
    assert done.code == 1
    assert done.stderr.strip().endswith("softplus, tanh. Did you mean softplus?")
