"""The schema behind conf/: every key, its type, its range and the rules that tie keys together.

Nothing heavy is imported here: a bad value must be reported before torch is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import is_store, require, require_p_keep, require_unset
from pipeline.errors import UserError
from pipeline.secrets import without_password

__all__ = [
    "Config",
    "DataConfig",
    "DropoutConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "RegularizerConfig",
    "ResumeConfig",
    "TrackingConfig",
    "TrainerConfig",
]

REDUCTIONS = ("mean", "sum")
RESUME_CODES = ("strict", "warn", "ignore")
PHASES = ("train", "test", "always")
DROPOUTS = ("none", "input", "hidden", "both", "logits")
OUTPUTS = ("softmax", "sigmoid")
INITS = ("normal", "scaled_normal", "zeros", "xavier", "he")
ACCELERATORS = ("cpu", "gpu", "auto")
PRECISIONS = ("float32", "float64")

LARGEST = 1e38
"""The largest rate or strength: what a float32 can hold."""

LARGEST_LR = {"adam": 1e30, "adamw": 1e30}
"""They divide the rate by 1 - β."""


def _either(names: Sequence[str]) -> str:
    """Return the names but for "none" as people list them: "a, b or c"."""
    *others, last = [name for name in names if name != "none"]
    return f"{', '.join(others)} or {last}"


@dataclass
class LossConfig:
    """What is minimised: a function of logits and targets, averaged over the mini-batch."""

    name: str = "nll"
    """A module of pipeline/engine/losses."""
    reduction: str = "mean"
    """How the outputs of one example are combined: mean or sum (nll has only one term)."""
    delta: float | None = None
    """huber only, > 0: the difference up to which it is quadratic; beyond, it is linear."""

    def __post_init__(self) -> None:
        """Check names."""
        one_of("loss.name", self.name, names("loss"))
        one_of("loss.reduction", self.reduction, REDUCTIONS)
        if self.name == "nll" and self.reduction == "sum":
            raise UserError(
                "loss.reduction=sum: nll has one term per example, so there is nothing to sum. "
                "Leave loss.reduction at mean, or choose loss=ce."
            )
        if self.name == "huber":
            in_range = self.delta is not None and 0 < self.delta <= LARGEST
            allowed = f"a number > 0 and ≤ {LARGEST:g}"
            require(in_range, "loss.delta", self.delta, allowed, "Try loss.delta=0.5.")
        else:
            remedy = "Choose loss=huber, or leave the key out."
            require_unset("loss.delta", self.delta, f"loss={self.name}", remedy)


@dataclass
class RegularizerConfig:
    """The term on the weights, not the biases, that is added to the loss of every mini-batch."""

    name: str = "none"
    """A module of pipeline/engine/regularizers."""
    strength: float = 0.0
    """λ ≥ 0; l1 = λΣ|w|, l2 = (λ/2)Σw²."""
    l1_ratio: float | None = None
    """elastic only, in [0, 1]: the share of l1, the rest is l2."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("regularizer.name", self.name, names("regularizer"))
        require(
            0 <= self.strength <= LARGEST,
            "regularizer.strength",
            self.strength,
            f"a number ≥ 0 and ≤ {LARGEST:g}",
            "Try regularizer.strength=0.001.",
        )
        if self.name == "none":
            require(
                self.strength == 0,
                "regularizer.strength",
                self.strength,
                "0 with regularizer=none",
                f"Choose regularizer={_either(names('regularizer'))}.",
            )
        if self.name == "elastic":
            in_range = self.l1_ratio is not None and 0 <= self.l1_ratio <= 1
            require(in_range, "regularizer.l1_ratio", self.l1_ratio, "a number from 0 to 1")
        else:
            remedy = "Choose regularizer=elastic, or leave the key out."
            owner = f"regularizer={self.name}"
            require_unset("regularizer.l1_ratio", self.l1_ratio, owner, remedy)


@dataclass
class DropoutConfig:
    """Inverted dropout: a unit is kept with probability p_keep and then divided by p_keep."""

    name: str = "none"
    """Which units are dropped: none, input, hidden, both (of these) or logits."""
    p_keep: float | None = None
    """0 < p_keep ≤ 1, for input, hidden and logits."""
    p_keep_input: float | None = None
    """The same for the inputs, when both are dropped."""
    p_keep_hidden: float | None = None
    """The same for the hidden units, when both are dropped."""
    phase: str = "train"
    """When units are dropped: train (the ordinary way), test (only at evaluation), always."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("dropout.name", self.name, DROPOUTS)
        one_of("dropout.phase", self.phase, PHASES)
        owner = f"dropout={self.name}"
        if self.name == "none":
            remedy = f"Choose dropout={_either(DROPOUTS)}."
            require_unset("dropout.p_keep", self.p_keep, owner, remedy)
        elif self.name == "both":
            remedy = "It has dropout.p_keep_input and dropout.p_keep_hidden."
            require_unset("dropout.p_keep", self.p_keep, owner, remedy)
            require_p_keep("dropout.p_keep_input", self.p_keep_input)
            require_p_keep("dropout.p_keep_hidden", self.p_keep_hidden)
        else:
            require_p_keep("dropout.p_keep", self.p_keep)
        if self.name != "both":
            remedy = "Choose dropout=both, or set dropout.p_keep."
            require_unset("dropout.p_keep_input", self.p_keep_input, owner, remedy)
            require_unset("dropout.p_keep_hidden", self.p_keep_hidden, owner, remedy)


@dataclass
class OptimizerConfig:
    """How a step follows from the gradients; the same as torch.optim's."""

    name: str = "sgd"
    """A module of pipeline/engine/optimizers."""
    lr: float = 0.5
    """Learning rate η > 0."""
    momentum: float | None = None
    """momentum and nesterov only, 0 ≤ momentum < 1."""
    betas: list[float] | None = None
    """adam and adamw only: decay of the two moments, each 0 ≤ β < 1."""
    eps: float | None = None
    """adam and adamw only: added to the root of the second moment, > 0."""
    weight_decay: float = 0.0
    """≥ 0; acts on weights and biases, as in torch.optim; a regularizer leaves biases alone."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("optimizer.name", self.name, names("optimizer"))
        largest = LARGEST_LR.get(self.name, LARGEST)
        require(
            0 < self.lr <= largest,
            "optimizer.lr",
            self.lr,
            f"a number > 0 and ≤ {largest:g}",
            "Try optimizer.lr=0.1.",
        )
        require(
            0 <= self.weight_decay <= LARGEST,
            "optimizer.weight_decay",
            self.weight_decay,
            f"a number ≥ 0 and ≤ {LARGEST:g}",
        )
        self._check_momentum()
        self._check_moments()

    def _check_momentum(self) -> None:
        if self.name in ("momentum", "nesterov"):
            in_range = self.momentum is not None and 0 <= self.momentum < 1
            allowed = "a number, 0 ≤ momentum < 1"
            require(in_range, "optimizer.momentum", self.momentum, allowed, "The usual one is 0.9.")
        else:
            remedy = "Choose optimizer=momentum or nesterov."
            owner = f"optimizer={self.name}"
            require_unset("optimizer.momentum", self.momentum, owner, remedy)

    def _check_moments(self) -> None:
        if self.name in ("adam", "adamw"):
            remedy = f"optimizer={self.name} brings the usual one."
            betas = self.betas or []
            in_range = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
            require(in_range, "optimizer.betas", self.betas, "two numbers, each 0 ≤ β < 1", remedy)
            positive = self.eps is not None and math.isfinite(self.eps) and self.eps > 0
            require(positive, "optimizer.eps", self.eps, "a finite number > 0", remedy)
        else:
            remedy = "Choose optimizer=adam or adamw."
            owner = f"optimizer={self.name}"
            require_unset("optimizer.betas", self.betas, owner, remedy)
            require_unset("optimizer.eps", self.eps, owner, remedy)


@dataclass
class ModelConfig:
    """A fully connected network."""

    hidden: list[int] = field(default_factory=list[int])
    """Units of each hidden layer; [] for none."""
    activation: str = "sigmoid"
    """Activation function of the hidden layers, a module of pipeline/engine/activations."""
    output: str = "softmax"
    """Output function: softmax or sigmoid."""
    init: str = "normal"
    """normal and scaled_normal (its weights divided by √inputs) draw weights and biases;
    xavier and he draw weights and leave biases 0; zeros draws nothing."""
    init_std: float = 0.1
    """Standard deviation, > 0, of normal and scaled_normal; the others have their own."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        all_positive = all(units > 0 for units in self.hidden)
        require(
            all_positive,
            "model.hidden",
            self.hidden,
            "a list of whole numbers > 0",
            "Say model.hidden=[30], or model.hidden=[] for no hidden layer.",
        )
        one_of("model.activation", self.activation, names("activation"))
        one_of("model.output", self.output, OUTPUTS)
        one_of("model.init", self.init, INITS)
        positive = math.isfinite(self.init_std) and self.init_std > 0
        require(positive, "model.init_std", self.init_std, "a finite number > 0", "Try 0.1.")


@dataclass
class DataConfig:
    """The data set, its split and the mini-batch."""

    name: str = "mnist"
    """An option of conf/data; whether there is such a data set, and enough of it, is checked with
    what else lies around a run, before anything starts."""
    root: str = ""
    """The folder that holds, or will hold, the data files."""
    batch_size: int = 100
    """Examples per mini-batch; the last one of an epoch may be smaller."""
    num_train: int = 55_000
    """The first num_train examples of the training set are trained on."""
    num_val: int = 5_000
    """The last num_val examples of the training set are for validation; 0 for none."""
    download: bool = True
    """Fetch files that are missing."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        require(self.num_train >= 1, "data.num_train", self.num_train, "a whole number ≥ 1")
        require(self.num_val >= 0, "data.num_val", self.num_val, "a whole number ≥ 0")
        require(
            1 <= self.batch_size <= self.num_train,
            "data.batch_size",
            self.batch_size,
            f"a whole number from 1 to data.num_train={self.num_train}",
        )


@dataclass
class TrainerConfig:
    """How long, where and how exactly to train."""

    accelerator: str = "auto"
    """cpu, gpu, or auto: a GPU if there is one."""
    max_epochs: int = 5
    """Passes over the training examples, ≥ 1."""
    precision: str = "float32"
    """float32 or float64."""
    deterministic: bool = False
    """Ask PyTorch for deterministic kernels on a GPU; a CPU run is deterministic anyway."""
    early_stopping: bool = False
    """Stop when val/loss has not improved for `patience` epochs."""
    patience: int = 3
    """Epochs without improvement that early stopping waits, ≥ 1."""
    checkpoint_every_s: float = 60.0
    """Seconds of training, > 0, after which the end of an epoch is kept, to go on from there."""
    checkpoint_every_epochs: int | None = None
    """Keep the end of every so many epochs, ≥ 1; null leaves it to the seconds."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("trainer.accelerator", self.accelerator, ACCELERATORS)
        one_of("trainer.precision", self.precision, PRECISIONS)
        require(self.max_epochs >= 1, "trainer.max_epochs", self.max_epochs, "a whole number ≥ 1")
        require(self.patience >= 1, "trainer.patience", self.patience, "a whole number ≥ 1")
        seconds, epochs = self.checkpoint_every_s, self.checkpoint_every_epochs
        require(seconds > 0, "trainer.checkpoint_every_s", seconds, "a number > 0")
        some = epochs is None or epochs >= 1
        require(some, "trainer.checkpoint_every_epochs", epochs, "a whole number ≥ 1, or null")


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs."""

    uri: str | None = None
    """null: mlflow.db in the project's root; else a server's or a database's address."""
    experiment_name: str = "mnist"
    """The MLflow experiment that the runs belong to."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    """Your own tags, put on every run."""

    def __post_init__(self) -> None:
        """Check the address's form; whether it answers is seen when a run starts."""
        named = bool(self.experiment_name.strip())
        require(named, "tracking.experiment_name", repr(self.experiment_name), "a name")
        if self.uri is None:
            return
        if not is_store(self.uri):
            raise UserError(
                f"tracking.uri={without_password(self.uri)}: is no address of a tracking store. "
                "Say http://host:port for an MLflow server, sqlite:////folder/mlflow.db or "
                "postgresql+psycopg://… for a database, null for mlflow.db in the project's root."
            )


@dataclass
class ResumeConfig:
    """Which earlier runs count, so that a sweep goes on where it stopped."""

    sweep: str | None = None
    """last, a sweep's run id, or any: what is finished of whatever sweep. For short, `resume=…`."""
    code: str = "warn"
    """When code or data have changed since: warn counts what the same sweep finished, not what
    another one did; strict counts neither, ignore both."""

    def __post_init__(self) -> None:
        """Check the names; whether there is such a sweep is seen when one starts."""
        one_of("resume.code", self.code, RESUME_CODES)
        named = self.sweep is None or bool(self.sweep.strip())
        require(named, "resume.sweep", repr(self.sweep), "last, any or a sweep's run id")


@dataclass
class Config:
    """One run. The order of the fields is the order in which people read them."""

    seed: int = 0
    """≥ 0; initial weights, order of the examples and dropout draws all come from it."""
    loss: LossConfig = field(default_factory=LossConfig)
    regularizer: RegularizerConfig = field(default_factory=RegularizerConfig)
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    resume: ResumeConfig = field(default_factory=ResumeConfig)
    dry_run: bool = False
    """Say what would run, and stop."""
    root: str = ""
    """The project's root: mlflow.db, mlruns/ and data/ lie in it."""

    def __post_init__(self) -> None:
        """Check the rules that tie keys of different groups together."""
        require(0 <= self.seed < 2**63, "seed", self.seed, "a whole number ≥ 0")
        if self.loss.name == "nll" and self.model.output != "softmax":
            raise UserError(
                f"loss=nll with model.output={self.model.output}: nll is -ln of the probability "
                "of the right class and needs model.output=softmax. For sigmoid outputs choose "
                "loss=ce, mse or quadratic."
            )
        if self.dropout.name in ("hidden", "both") and not self.model.hidden:
            raise UserError(
                f"dropout={self.dropout.name} with model.hidden=[]: there is no hidden layer to "
                "drop units of. Say model=mlp or model.hidden=[30], or choose dropout=input."
            )
        if self.trainer.early_stopping and self.data.num_val == 0:
            raise UserError(
                "trainer.early_stopping=true with data.num_val=0: it watches the loss on the "
                "validation examples. Set data.num_val, 5000 say."
            )
