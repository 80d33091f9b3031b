"""A GPU's numbers are a CPU's: as near as rounding lets them be, precision by precision.

In float64 `test_equivalence.py` holds every pair of choices to 1e-9, on the GPU if there is one.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from pipeline.config.schema import (
    Config,
    DataConfig,
    DropoutConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    TrainerConfig,
)
from pipeline.engine.module import GroupModule
from pipeline.engine.precision import products_of_training
from tests.engine.test_precision import DATA, fit

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="needs a GPU: that its numbers are a CPU's is not checked here",
)

WIDE = ModelConfig([128], "tanh", init="xavier")

CHOICES: dict[str, dict[str, Any]] = {
    "one layer": {},
    "a hidden layer": {"model": WIDE},
    "a regularizer": {"model": WIDE, "regularizer": RegularizerConfig("l2", 0.01)},
    "dropped units": {"model": WIDE, "dropout": DropoutConfig("both", None, 0.9, 0.7)},
    "adam": {"model": WIDE, "optimizer": OptimizerConfig("adam", 0.001, None, [0.9, 0.999], 1e-3)},
}

STEP_TOLERANCE = {"float32": 1e-4, "tf32": 1e-2, "bf16": 5e-2}
"""Of what five steps change in the parameters, relative, between this precision on a GPU and
float32 on a CPU."""


def of_digits(accelerator: str, precision: str, steps: int | None, **groups: Any) -> Config:
    trainer = TrainerConfig(accelerator, 4, steps, precision=precision)
    return Config(data=DataConfig("digits", "", 100, 1000, 200), trainer=trainer, **groups)


@needs_gpu
@pytest.mark.parametrize("precision", STEP_TOLERANCE)
@pytest.mark.parametrize("choice", CHOICES)
def test_a_gpus_steps_are_a_cpus(choice: str, precision: str):
    on_gpu, _ = fit(of_digits("gpu", precision, 5, **CHOICES[choice]))
    on_cpu, _ = fit(of_digits("cpu", "float32", 5, **CHOICES[choice]))
    start = GroupModule([of_digits("cpu", "float32", 5, **CHOICES[choice])], DATA).parameters_of(0)
    for name, parameter in on_gpu.parameters_of(0).items():
        step = on_cpu.parameters_of(0)[name] - start[name]
        difference = (parameter.cpu() - start[name] - step).norm() / step.norm()
        assert difference < STEP_TOLERANCE[precision], name


@needs_gpu
@pytest.mark.parametrize("precision", STEP_TOLERANCE)
@pytest.mark.parametrize("choice", CHOICES)
def test_a_gpu_learns_what_a_cpu_learns(choice: str, precision: str):
    (on_gpu,) = fit(of_digits("gpu", precision, None, **CHOICES[choice]))[1].epochs
    (on_cpu,) = fit(of_digits("cpu", "float32", None, **CHOICES[choice]))[1].epochs
    assert on_gpu[4]["test/accuracy"] == pytest.approx(on_cpu[4]["test/accuracy"], abs=0.02)
    assert on_gpu[4]["train/loss"] == pytest.approx(on_cpu[4]["train/loss"], rel=0.05)


@needs_gpu
def test_tf32_is_what_multiplies_in_training_alone():
    model = ModelConfig([512], "tanh", init="xavier")
    rounded, evaluation = fit(of_digits("gpu", "tf32", 5, model=model))
    exact, _ = fit(of_digits("gpu", "float32", 5, model=model))
    pairs = zip(rounded.parameters_of(0).values(), exact.parameters_of(0).values(), strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)
    parameters = [tensor.cpu() for tensor in rounded.parameters_of(0).values()]
    hidden = torch.tanh(functional.linear(DATA.test.inputs, *parameters[:2]))
    logits = functional.linear(hidden, *parameters[2:])
    loss = functional.cross_entropy(logits, DATA.test.labels).item()
    assert evaluation.epochs[0][1]["test/loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(("precision", "expected"), [("tf32", "high"), ("float32", "highest")])
def test_products_may_be_rounded_in_training_and_nowhere_else(precision: str, expected: str):
    with products_of_training(TrainerConfig(precision=precision)):
        assert torch.get_float32_matmul_precision() == expected
    assert torch.get_float32_matmul_precision() == "highest"
