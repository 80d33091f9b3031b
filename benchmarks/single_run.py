"""Training one default run, a group of one, against a hand-written loop of the same mathematics.

    python -m benchmarks.single_run [--quick] [--rounds N] [--data FOLDER]

Training only: neither evaluates. On a GPU, if there is one. Claim: at most 1.05 times the
hand-written loop.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own convention)
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import Options, machine, make_parser, measure, ratio, report
from pipeline.config.schema import Config, TrainerConfig
from pipeline.config.schema.data import DataConfig
from pipeline.data.tensors import Data, load
from pipeline.engine.module import GroupModule
from pipeline.engine.threads import num_threads
from pipeline.training.fit import make_trainer

BATCH = 100
LR = 0.5
EPOCHS = 5


def gpu_name() -> str | None:
    """Return the GPU that is measured; None for the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def load_data(options: Options) -> Data:
    """Return MNIST, or digits to be quick; on the GPU, if there is one."""
    if options.quick:
        data = load(DataConfig("digits", num_train=1_242, num_val=200))
    else:
        data = load(DataConfig("mnist", str(options.data)))
    return data.to("cuda" if gpu_name() else "cpu", torch.float32)


def to_the_end(train: Callable[[], object]) -> Callable[[], None]:
    """Return a function that trains and waits until the GPU has done it."""

    def wait() -> None:
        train()
        if gpu_name():
            torch.cuda.synchronize()

    return wait


def hand_written(data: Data, epochs: int) -> None:
    """Train as one would by hand: a permutation, index_select, cross-entropy, SGD."""
    inputs, labels = data.train.inputs, data.train.labels
    linear = nn.Linear(data.num_features, data.num_classes, device=inputs.device)
    optimizer = torch.optim.SGD(linear.parameters(), lr=LR)
    for _ in range(epochs):
        order = torch.randperm(len(labels), device=inputs.device)
        for rows in torch.split(order, BATCH):
            loss = F.cross_entropy(linear(inputs.index_select(0, rows)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def pipeline_run(data: Data, epochs: int) -> None:
    """Train the default config as `python -m pipeline` does, less evaluation and tracking."""
    trainer_config = TrainerConfig("auto", max_epochs=epochs)
    module = GroupModule([Config(trainer=trainer_config)], data)
    with num_threads(1):
        make_trainer(trainer_config).fit(module)


class _Plain(LightningModule):
    """The same network as Lightning's introduction would have it."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.linear = nn.Linear(data.num_features, data.num_classes)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, labels = batch
        return F.cross_entropy(self.linear(inputs), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=LR)


def lightning_dataloader(data: Data, epochs: int) -> None:
    """Train with Lightning over a DataLoader, for comparison."""
    examples = TensorDataset(data.train.inputs.cpu(), data.train.labels.cpu())
    loader = DataLoader(examples, batch_size=BATCH, shuffle=True)
    trainer = Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(_Plain(data), loader)


def main() -> None:
    """Print the table."""
    options = make_parser(__doc__, rounds=7).parse_args(namespace=Options())
    data = load_data(options)
    contestants = {
        "hand-written loop": to_the_end(lambda: hand_written(data, EPOCHS)),
        "python -m pipeline, fit only": to_the_end(lambda: pipeline_run(data, EPOCHS)),
        "Lightning over a DataLoader": to_the_end(lambda: lightning_dataloader(data, EPOCHS)),
    }
    print(machine(), gpu_name() or "")
    print(f"One layer, batch {BATCH}, {EPOCHS} epochs of {len(data.train):,} of {data.name}")
    seconds = measure(contestants, options.num_rounds)
    report(seconds, {"to loop": "hand-written loop"})
    ours, lightning = "python -m pipeline, fit only", "Lightning over a DataLoader"
    options.keep(
        "single_run",
        {
            "to_loop": ratio(seconds, ours, "hand-written loop"),
            "lightning_to_loop": ratio(seconds, lightning, "hand-written loop"),
        },
        gpu_name(),
    )


if __name__ == "__main__":
    main()
