"""A part of the grid of benchmarks.grid_search by a plain loop in PyTorch, run by run.

    python -m benchmarks.torch_loop TABLE.csv SETTINGS

Prints, as JSON, how long the runs that were left out would have taken.
"""

# pandas leaves columns untyped.
# pyright: basic

from __future__ import annotations

import itertools
import json
import sys
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn


def main() -> None:
    """Train some of the runs, and print how long the others would have taken."""
    told = json.loads(sys.argv[2])
    frame = pd.read_csv(sys.argv[1])
    numbers = frame.drop(columns=[told["target"], told["part"]])
    is_train = frame[told["part"]] == "train"
    is_val = frame[told["part"]] == "val"
    scaled = (numbers - numbers[is_train].mean()) / numbers[is_train].std(ddof=0)
    inputs = torch.tensor(scaled.to_numpy(), dtype=torch.float32)
    labels = torch.tensor(frame[told["target"]].to_numpy())
    train = torch.tensor(is_train.to_numpy()).nonzero().flatten()
    val = torch.tensor(is_val.to_numpy()).nonzero().flatten()
    runs = list(itertools.product(told["seeds"], told["rates"], told["strengths"]))
    started = time.perf_counter()
    timed = runs[:: len(runs) // told["in_loop"]]
    for seed, rate, strength in timed:
        network = fit(inputs[train], labels[train], seed, rate, strength, told)
        with torch.no_grad():
            (network(inputs[val]).argmax(1) == labels[val]).float().mean().item()
    seconds = time.perf_counter() - started
    not_run = seconds / len(timed) * (len(runs) - len(timed))
    print(json.dumps({"not_run_s": not_run, "accuracies": {}}))


def fit(
    inputs: Tensor, labels: Tensor, seed: int, rate: float, strength: float, told: dict[str, Any]
) -> nn.Module:
    """Train a network as one writes it by hand."""
    torch.manual_seed(seed)
    hidden, num_classes = told["hidden"], int(labels.max()) + 1
    network = nn.Sequential(
        nn.Linear(inputs.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, weight_decay=strength)
    for _ in range(told["epochs"]):
        for rows in torch.randperm(len(inputs)).split(told["batch"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return network


if __name__ == "__main__":
    main()
