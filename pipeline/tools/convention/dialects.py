"""The table: how each library says what a run of ours says."""

from __future__ import annotations

from fractions import Fraction

from pipeline.tools.convention.conversion import Complement, Inverse, Proportional, Scale
from pipeline.tools.convention.dialect import Dialect, Loss, Number, Optimizers

__all__ = ["DIALECTS", "OURS"]

HALF = Scale(Fraction(1, 2))
SUM, MEAN = Scale(), Scale(classes=-1)
"""Over an example's outputs."""
EITHER = ("softmax", "sigmoid")
NAMES = {name: name for name in ("sgd", "momentum", "nesterov", "adam", "adamw")}
SGD_ADAM_ADAMW = {
    "sgd": "SGD",
    "momentum": "SGD",
    "nesterov": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
}
SIZES = (Number("n", "n"), Number("classes", "classes"))


def _our_losses(name: str, function: str, number: Scale = SUM) -> tuple[Loss, ...]:
    mean = Scale(number.number, classes=-1)
    return tuple(
        Loss({"loss": name, "loss.reduction": reduction}, function, scale)
        for reduction, scale in (("mean", mean), ("sum", number))
    )


def _torch_losses(
    name: str, function: str, mean: Scale, outputs: tuple[str, ...] = EITHER
) -> tuple[Loss, ...]:
    """Return a loss of torch.nn: "sum" is over the outputs of all examples of a mini-batch."""
    return tuple(
        Loss({"loss": name, "reduction": reduction}, function, scale, outputs)
        for reduction, scale in (("mean", mean), ("sum", Scale(batch=1)))
    )


def _keras_losses(
    name: str, function: str, mean: Scale, outputs: tuple[str, ...] = EITHER
) -> tuple[Loss, ...]:
    """Return a loss of keras.losses: "sum" is over examples alone, outputs stay averaged."""
    total = Scale(batch=1, classes=mean.classes)
    return tuple(
        Loss({"loss": name, "reduction": reduction}, function, scale, outputs)
        for reduction, scale in (("sum_over_batch_size", mean), ("sum", total))
    )


OURS = Dialect(
    title="ours",
    losses=(
        *_our_losses("mse", "squares"),
        *_our_losses("quadratic", "squares", HALF),
        *_our_losses("ce", "cross-entropy"),
        *_our_losses("huber", "huber"),
        Loss({"loss": "nll", "loss.reduction": "mean"}, "log-likelihood", SUM, ("softmax",)),
    ),
    optimizers=Optimizers(NAMES, "optimizer"),
    numbers=(
        Number("n", "data.num_train"),
        Number("batch", "data.batch_size"),
        Number("classes", "classes"),
        Number("epochs", "trainer.max_epochs"),
        Number("delta", "loss.delta"),
        Number("l2", "l2"),
        Number("l1", "l1"),
        Number("drop_input", "drop_input"),
        Number("drop_hidden", "drop_hidden"),
        Number("drop_logits", "drop_logits"),
        Number("lr", "optimizer.lr"),
        Number("momentum", "optimizer.momentum"),
        Number("beta1", "optimizer.betas[0]"),
        Number("beta2", "optimizer.betas[1]"),
        Number("eps", "optimizer.eps"),
        Number("weight_decay", "optimizer.weight_decay"),
    ),
    loss_defaults={"loss.reduction": "mean"},
    output_key="model.output",
    activation_key="model.activation",
    activations={name: name for name in ("sigmoid", "tanh", "relu", "identity")},
)

NIELSEN = Dialect(
    title="Nielsen's network2.py",
    losses=(
        Loss({"cost": "QuadraticCost"}, "squares", HALF, ("sigmoid",)),
        Loss({"cost": "CrossEntropyCost"}, "cross-entropy", SUM, ("sigmoid",)),
    ),
    optimizers=Optimizers({"sgd": "SGD"}),
    numbers=(
        Number("n", "n"),
        Number("batch", "batch"),
        Number("classes", "classes"),
        Number("epochs", "epochs"),
        Number("lr", "eta"),
        Number("l2", "lambda", Proportional(Scale(n=1))),
    ),
    activations={"sigmoid": "sigmoid"},
    instead={
        "l1": "his equation 97 has (λ/n)Σ|w|, λ = n · strength; network2.py has no code for it",
        "weight_decay": "his weights alone decay: choose regularizer=l2",
        **dict.fromkeys(
            ("drop_input", "drop_hidden", "drop_logits"),
            "network2.py drops no units; network3.py's p_dropout is the probability to drop",
        ),
    },
    notes=(
        "Hidden units and outputs are sigmoids. The rate is divided by the mini-batch's size, as "
        "ours is by the mean over the mini-batch, so η is the same.",
        "His initial weights are `model.init=scaled_normal model.init_std=1`; with "
        "large_weight_initializer `model.init=normal model.init_std=1`.",
    ),
)

TORCH = Dialect(
    title="PyTorch",
    losses=(
        *_torch_losses("CrossEntropyLoss", "log-likelihood", SUM, ("softmax",)),
        *_torch_losses("MSELoss", "squares", MEAN),
        *_torch_losses("BCEWithLogitsLoss", "cross-entropy", MEAN, ("sigmoid",)),
        *_torch_losses("BCELoss", "cross-entropy", MEAN),
        *_torch_losses("HuberLoss", "huber", MEAN),
    ),
    optimizers=Optimizers(
        SGD_ADAM_ADAMW,
        "optimizer",
        "nesterov",
        default="SGD",
        defaults={
            "SGD": "lr=0.001 momentum=0 weight_decay=0 nesterov=false",
            "Adam": "lr=0.001 betas[0]=0.9 betas[1]=0.999 eps=1e-8 weight_decay=0",
            "AdamW": "lr=0.001 betas[0]=0.9 betas[1]=0.999 eps=1e-8 weight_decay=0.01",
        },
    ),
    numbers=(
        *SIZES,
        Number("batch", "batch_size"),
        Number("epochs", "epochs"),
        Number("delta", "delta"),
        Number("lr", "lr"),
        Number("momentum", "momentum"),
        Number("beta1", "betas[0]"),
        Number("beta2", "betas[1]"),
        Number("eps", "eps"),
        Number("weight_decay", "weight_decay"),
        Number(
            "l2",
            "weights.weight_decay",
            not_with=("adamw",),
            note="two parameter groups; that of the weights decays by so much more than the biases",
        ),
        Number("drop_hidden", "p", Complement()),
        Number("drop_input", "p_input", Complement()),
        Number("drop_logits", "p_logits", Complement()),
    ),
    loss_defaults={"reduction": "mean"},
    output_key="output",
    activation_key="activation",
    activations={"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU", "identity": "Identity"},
    only_told=("n", "classes"),
    instead={
        "l2": "add ½λΣw² of the weights to the loss: AdamW's own decay acts apart from the moments",
        "l1": "torch.optim has no such term: add λΣ|w| of the weights to the loss",
    },
    notes=(
        "`weight_decay` acts on weights and biases, as `optimizer.weight_decay` does. What acts on "
        "the weights alone, as a regularizer does, is a parameter group of their own: "
        "`SGD([{'params': weights, 'weight_decay': λ}, {'params': biases, 'weight_decay': 0}])`.",
        "`p`, `p_input` and `p_logits` are the p of nn.Dropout after the hidden layers, before the "
        "first layer and after the last. SGD's dampening is 0.",
    ),
)

KERAS = Dialect(
    title="Keras",
    losses=(
        *_keras_losses("categorical_crossentropy", "log-likelihood", SUM, ("softmax",)),
        *_keras_losses("mse", "squares", MEAN),
        *_keras_losses("binary_crossentropy", "cross-entropy", MEAN),
        *_keras_losses("huber", "huber", MEAN),
    ),
    optimizers=Optimizers(
        SGD_ADAM_ADAMW,
        "optimizer",
        "nesterov",
        default="SGD",
        defaults={
            "SGD": "learning_rate=0.01 momentum=0 nesterov=false weight_decay=0",
            "Adam": "learning_rate=0.001 beta_1=0.9 beta_2=0.999 epsilon=1e-7 weight_decay=0",
            "AdamW": "learning_rate=0.001 beta_1=0.9 beta_2=0.999 epsilon=1e-7 weight_decay=0.004",
        },
    ),
    numbers=(
        *SIZES,
        Number("batch", "batch_size"),
        Number("epochs", "epochs"),
        Number("delta", "delta"),
        Number("lr", "learning_rate"),
        Number("momentum", "momentum"),
        Number("beta1", "beta_1"),
        Number("beta2", "beta_2"),
        Number("eps", "epsilon"),
        Number("weight_decay", "weight_decay", not_with=("momentum", "nesterov", "adam")),
        Number("l2", "l2", Proportional(HALF)),
        Number("l1", "l1"),
        Number("drop_hidden", "rate", Complement()),
        Number("drop_input", "rate_input", Complement()),
        Number("drop_logits", "rate_logits", Complement()),
    ),
    loss_defaults={"reduction": "sum_over_batch_size"},
    output_key="output",
    activation_key="activation",
    activations={"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "identity": "linear"},
    only_told=("n", "classes"),
    instead={
        "weight_decay": "Keras decays apart from the gradients, which is our optimizer=adamw; what "
        "goes by way of them is kernel_regularizer and bias_regularizer with l2 = weight_decay/2",
    },
    notes=(
        "`l1` and `l2` are those of `kernel_regularizer=L1L2(l1, l2)`: l2 Σw², without the ½. "
        "`rate`, `rate_input` and `rate_logits` are those of Dropout after the hidden layers, "
        "before the first layer and after the last.",
        "`weight_decay` acts on weights and biases apart from the gradients. That is ours for SGD "
        "without momentum and for AdamW; with Adam it is our `optimizer=adamw`.",
        "Adam's `epsilon` is added to √v before the correction by 1 - β₂ᵗ, ours after it, as in "
        "torch: the same where √v is far above it.",
    ),
)

SKLEARN = Dialect(
    title="scikit-learn's MLPClassifier",
    losses=(
        Loss({"loss": "log_loss"}, "log-likelihood", SUM, ("softmax",)),
        Loss({"loss": "binary_log_loss"}, "cross-entropy", SUM, ("sigmoid",)),
    ),
    optimizers=Optimizers(
        {"sgd": "sgd", "momentum": "sgd", "nesterov": "sgd", "adam": "adam"},
        "solver",
        "nesterovs_momentum",
        default="adam",
        defaults={
            "sgd": "learning_rate_init=0.001 momentum=0.9 nesterovs_momentum=true",
            "adam": "learning_rate_init=0.001 beta_1=0.9 beta_2=0.999 epsilon=1e-8",
        },
    ),
    numbers=(
        *SIZES,
        Number("batch", "batch_size"),
        Number("epochs", "max_iter"),
        Number("lr", "learning_rate_init"),
        Number("momentum", "momentum"),
        Number("beta1", "beta_1"),
        Number("beta2", "beta_2"),
        Number("eps", "epsilon"),
        Number("l2", "alpha", Proportional(Scale(batch=1))),
    ),
    activation_key="activation",
    activations={"sigmoid": "logistic", "tanh": "tanh", "relu": "relu", "identity": "identity"},
    if_unsaid={"l2": "alpha: not said, and its default is 0.0001, not 0. Say alpha=0 for none."},
    only_told=("n", "classes"),
    instead={
        "l1": "it has no such term: PyTorch and Keras can have it",
        "weight_decay": "its weights alone decay: choose regularizer=l2",
    },
    notes=(
        "`alpha` is divided by the examples of each mini-batch, so a last one that is smaller has "
        "more of it: let the size divide n.",
        "What isn't said isn't translated. Left alone, alpha is 0.0001, the solver Adam and the "
        "activation relu.",
        "`loss` follows from the labels: log_loss for a class per example, binary_log_loss, a "
        "sigmoid per class, for rows of 0 and 1.",
        "Adam's `epsilon` is added as Keras's is.",
    ),
)

SGD_CLASSIFIER = Dialect(
    title="scikit-learn's SGDClassifier",
    losses=(Loss({"loss": "log_loss"}, "cross-entropy", SUM, ("sigmoid",)),),
    optimizers=Optimizers({"sgd": "SGD"}),
    numbers=(*SIZES, Number("epochs", "max_iter"), Number("lr", "eta0"), Number("l2", "alpha")),
    fixed={"batch": 1},
    if_unsaid={"l2": "alpha: not said, and its default is 0.0001, not 0. Say alpha=0 for none."},
    only_told=("n", "classes"),
    instead={"l1": "its l1 is made by truncation, which no regularizer of ours is"},
    notes=(
        "With `learning_rate='constant'`, without hidden layers: one class against the others, "
        "which is a sigmoid per class, one example a step.",
    ),
)

LOGISTIC_REGRESSION = Dialect(
    title="scikit-learn's LogisticRegression",
    losses=(Loss({"loss": "log_loss"}, "log-likelihood", SUM, ("softmax",)),),
    optimizers=Optimizers({}),
    numbers=(*SIZES, Number("l2", "C", Inverse(Scale(n=1)))),
    if_unsaid={"l2": "C: not said, and its default is 1, not infinite."},
    only_told=("n", "classes"),
    instead={"l1": "penalty='l1' has C = 1/(n · strength) too"},
    notes=("It finds the minimum, without hidden layers, so it has no rate and no mini-batches.",),
)

DIALECTS = {
    "nielsen": NIELSEN,
    "torch": TORCH,
    "keras": KERAS,
    "sklearn": SKLEARN,
    "sgdclassifier": SGD_CLASSIFIER,
    "logisticregression": LOGISTIC_REGRESSION,
}
"""The libraries, under the names that people type."""
