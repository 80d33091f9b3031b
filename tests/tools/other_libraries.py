"""Training by other libraries' own code, from their settings as text and from given weights.

Nielsen's algorithm is written here from his equations; the others train themselves.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from torch import nn

Array = NDArray[np.float64]
Weights = list[tuple[Array, Array]]
"""W (units, inputs) and b of each layer."""
Batches = list[tuple[Array, NDArray[np.int64]]]
Trainer = Callable[[dict[str, str], Weights, Batches], Weights]

CLASSES = 10


def one_hot(labels: NDArray[np.int64]) -> Array:
    return np.eye(CLASSES)[labels]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def train_nielsen(settings: dict[str, str], start: Weights, batches: Batches) -> Weights:
    """SGD with weight decay by BP1 to BP4 and his equations 93 to 95."""
    eta, shrink = float(settings["eta"]), 1.0
    if "lambda" in settings:
        shrink -= eta * float(settings["lambda"]) / int(settings["n"])
    weights = [w.copy() for w, _ in start]
    biases = [b.copy() for _, b in start]
    for inputs, labels in batches:
        activations = [inputs]
        for w, b in zip(weights, biases, strict=True):
            activations.append(sigmoid(activations[-1] @ w.T + b))
        a = activations[-1]
        delta = a - one_hot(labels)
        if settings["cost"] == "QuadraticCost":
            delta = delta * a * (1 - a)
        for layer in reversed(range(len(weights))):
            below = activations[layer]
            step = delta.T @ below, delta.sum(0)
            delta = delta @ weights[layer] * below * (1 - below)
            weights[layer] = shrink * weights[layer] - eta / len(labels) * step[0]
            biases[layer] = biases[layer] - eta / len(labels) * step[1]
    return list(zip(weights, biases, strict=True))


def train_torch(settings: dict[str, str], start: Weights, batches: Batches) -> Weights:
    """torch.nn and torch.optim."""
    layers = [nn.Linear(w.shape[1], w.shape[0], dtype=torch.float64) for w, _ in start]
    with torch.no_grad():
        for layer, (w, b) in zip(layers, start, strict=True):
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b))
    activation = getattr(nn, settings.get("activation", "Sigmoid"))
    network = nn.Sequential(*[part for layer in layers for part in (layer, activation())][:-1])
    takes_logits = settings["loss"] in ("CrossEntropyLoss", "BCEWithLogitsLoss")
    if not takes_logits:
        network.append(nn.Softmax(1) if settings["output"] == "softmax" else nn.Sigmoid())
    options = {"delta": float(settings["delta"])} if "delta" in settings else {}
    loss = getattr(nn, settings["loss"])(reduction=settings.get("reduction", "mean"), **options)
    optimizer = torch_optimizer(settings, layers)
    for inputs, labels in batches:
        y = torch.from_numpy(labels if settings["loss"] == "CrossEntropyLoss" else one_hot(labels))
        optimizer.zero_grad()
        loss(network(torch.from_numpy(inputs)), y).backward()
        optimizer.step()
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]


def torch_optimizer(settings: dict[str, str], layers: list[nn.Linear]) -> torch.optim.Optimizer:
    numbers: dict[str, Any] = {
        key: float(settings[key]) for key in ("lr", "momentum", "eps") if key in settings
    }
    if "betas[0]" in settings:
        numbers["betas"] = float(settings["betas[0]"]), float(settings["betas[1]"])
    if "nesterov" in settings:
        numbers["nesterov"] = settings["nesterov"] == "true"
    kind = getattr(torch.optim, settings.get("optimizer", "SGD"))
    default = str(inspect.signature(kind).parameters["weight_decay"].default)
    decay = float(settings.get("weight_decay", default))
    more = float(settings.get("weights.weight_decay", "0"))
    groups = [
        {"params": [layer.weight for layer in layers], "weight_decay": decay + more},
        {"params": [layer.bias for layer in layers], "weight_decay": decay},
    ]
    return kind(groups, **numbers)


@cache
def keras() -> Any:
    """Keras with torch below, which is chosen, as is its own folder, when it is imported."""
    with TemporaryDirectory() as home, pytest.MonkeyPatch.context() as environment:
        environment.setenv("KERAS_BACKEND", "torch")
        environment.setenv("KERAS_HOME", home)
        return importlib.import_module("keras")


@contextmanager
def float64() -> Generator[None]:
    before = keras().config.floatx()
    keras().config.set_floatx("float64")
    try:
        yield
    finally:
        keras().config.set_floatx(before)


@float64()
def train_keras(settings: dict[str, str], start: Weights, batches: Batches) -> Weights:
    """Keras's own layers, losses and optimizers."""
    k = keras()
    coefficients = {key: float(settings.get(key, "0")) for key in ("l1", "l2")}
    inner = [settings.get("activation", "sigmoid")] * (len(start) - 1)
    model = k.Sequential([k.Input((start[0][0].shape[1],))])
    for (w, _), activation in zip(start, [*inner, settings.get("output", "softmax")], strict=True):
        regularizer = k.regularizers.L1L2(**coefficients)
        layer = k.layers.Dense(len(w), activation=activation, kernel_regularizer=regularizer)
        model.add(layer)
        layer.set_weights([w.T, start[len(model.layers) - 1][1]])
    kinds = {"mse": "MeanSquaredError", "huber": "Huber"}
    kinds["binary_crossentropy"] = "BinaryCrossentropy"
    kinds["categorical_crossentropy"] = "CategoricalCrossentropy"
    options = {"delta": float(settings["delta"])} if "delta" in settings else {}
    reduction = settings.get("reduction", "sum_over_batch_size")
    loss = getattr(k.losses, kinds[settings["loss"]])(reduction=reduction, **options)
    model.compile(optimizer=keras_optimizer(settings), loss=loss)
    for inputs, labels in batches:
        model.train_on_batch(inputs, one_hot(labels))
    arrays = [k.ops.convert_to_numpy(v) for layer in model.layers for v in layer.weights]
    return [(w.T, b) for w, b in zip(arrays[::2], arrays[1::2], strict=True)]


def keras_optimizer(settings: dict[str, str]) -> Any:
    keys = ("learning_rate", "momentum", "beta_1", "beta_2", "epsilon", "weight_decay")
    numbers: dict[str, Any] = {key: float(settings[key]) for key in keys if key in settings}
    if "nesterov" in settings:
        numbers["nesterov"] = settings["nesterov"] == "true"
    return getattr(keras().optimizers, settings.get("optimizer", "SGD"))(**numbers)


def train_sklearn(settings: dict[str, str], start: Weights, batches: Batches) -> Weights:
    """MLPClassifier, whose first call draws weights, which are then replaced."""
    keys = ("learning_rate_init", "momentum", "beta_1", "beta_2", "epsilon", "alpha")
    numbers: dict[str, Any] = {key: float(settings[key]) for key in keys if key in settings}
    numbers["batch_size"] = len(batches[0][1])
    if "nesterovs_momentum" in settings:
        numbers["nesterovs_momentum"] = settings["nesterovs_momentum"] == "true"
    network: Any = MLPClassifier(
        hidden_layer_sizes=[len(w) for w, _ in start[:-1]],
        activation=settings.get("activation", "logistic"),
        solver=settings.get("solver", "adam"),
        shuffle=False,
        **numbers,
    )
    is_indicator = settings["loss"] == "binary_log_loss"
    for number, (inputs, labels) in enumerate(batches):
        y = one_hot(labels).astype(int) if is_indicator else labels
        if number == 0:
            network.partial_fit(inputs, y, classes=range(CLASSES))
            network.coefs_ = [w.T.copy() for w, _ in start]
            network.intercepts_ = [b.copy() for _, b in start]
            del network._optimizer
        network.partial_fit(inputs, y)
    return [(w.T, b) for w, b in zip(network.coefs_, network.intercepts_, strict=True)]


def train_sgd_classifier(settings: dict[str, str], start: Weights, batches: Batches) -> Weights:
    """SGDClassifier, example by example."""
    options: dict[str, Any] = {key: float(settings[key]) for key in ("alpha", "eta0")}
    options |= {"learning_rate": "constant", "shuffle": False, "max_iter": 1, "tol": None}
    classifier: Any = SGDClassifier(loss=settings["loss"], **options)
    ((w, b),) = start
    inputs, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    classifier.fit(inputs, labels, coef_init=w.copy(), intercept_init=b.copy())
    return [(classifier.coef_, classifier.intercept_)]


TRAINERS: dict[str, Trainer] = {
    "nielsen": train_nielsen,
    "torch": train_torch,
    "keras": train_keras,
    "sklearn": train_sklearn,
    "sgdclassifier": train_sgd_classifier,
}
