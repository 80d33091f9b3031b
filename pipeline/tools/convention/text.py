"""Settings as people type them, and the tables of all dialects."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UserError
from pipeline.report.table import Table
from pipeline.tools.convention.dialect import CONCEPTS, Dialect
from pipeline.tools.convention.dialects import DIALECTS, OURS
from pipeline.tools.convention.reading import Settings
from pipeline.tools.convention.writing import nearest_loss, number_text

__all__ = ["LETTERS", "document", "parse", "table", "typed"]

FUNCTIONS = {
    "squares": "Σ(a - y)²",
    "cross-entropy": "Σ-[y ln a + (1 - y) ln(1 - a)]",
    "log-likelihood": "-ln a of the right class",
    "huber": "Σ huber(a - y)",
}
"""What each loss is before its factor; sums are over an example's outputs."""

LETTERS = (
    "a: outputs, y: targets; n: training examples, m: examples of a mini-batch, K: outputs of the "
    "network. Where a number depends on n, m or K they are asked for."
)

DOCUMENT = f"""# How others say it

What a setting of ours is called elsewhere, and by how much its number differs. `python -m \
pipeline.convention` prints these tables, and translates: `--from nielsen lambda=5 n=50000 eta=0.5 \
batch=10` prints overrides of ours, `--to torch loss=mse model.output=sigmoid optimizer.lr=0.5` \
settings of theirs.

Ours: a loss is the mean over the mini-batch of what `loss.reduction` makes of an example's \
outputs; a regularizer is added to it once, on the weights and not the biases, l2 with its ½; \
`optimizer.weight_decay` acts on weights and biases; `p_keep` is the probability to keep. If no \
loss of the other side has the same factor, the translation takes one that differs by a factor c: \
the learning rate is then c times as large and what is added to the loss c times smaller, which \
makes the same steps. Where an option isn't said its own default counts; groups of which nothing \
is said are left out.

{LETTERS}

An attack perturbs the test examples, never those that are trained on. `attack=fgsm` makes \
x' = x + ε sign(∂C/∂x), where ε is `attack.epsilon`, inputs lie in [0, 1] and C is the run's own \
loss of that one example, without the regularizer. As in the paper (Goodfellow, Shlens and \
Szegedy, 2015, section 4) x' isn't clipped; PyTorch's tutorial and torchattacks clip it to [0, 1], \
CleverHans only to the `clip_min` and `clip_max` that it is told. `test/adversarial_accuracy` is \
the share of the perturbed examples that are answered rightly, 1 less the paper's error rate. \
`test/adversarial_confidence` is the mean, over those that are answered wrongly, of the output of \
the class that is answered, with softmax outputs its probability: the paper's average confidence; \
NaN if all are answered rightly. Where units are dropped at evaluation, the same ones are dropped \
for the gradient and for x'.
"""


def parse(arguments: Sequence[str]) -> Settings:
    """Return typed `key=value` by key; [a,b] gives two values, key[0] and key[1].

    Raises:
        UserError: one has no "=", or is there twice.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not value:
            raise UserError(f"{argument}: can't be read. Say key=value.")
        if key in found:
            raise UserError(f"{argument}: {key} is there twice. Leave one out.")
        if value.startswith("[") and value.endswith("]"):
            parts = value[1:-1].split(",")
            found |= {f"{key}[{place}]": part.strip() for place, part in enumerate(parts)}
        else:
            found[key] = value
    return found


def typed(settings: Settings) -> list[str]:
    """Return settings as `key=value`, key[0] and key[1] together again as a list."""
    lists: dict[str, list[str]] = {}
    for key, value in settings.items():
        lists.setdefault(key.partition("[")[0], []).append(value)
    return [
        f"{key}=[{','.join(values)}]" if f"{key}[0]" in settings else f"{key}={values[0]}"
        for key, values in lists.items()
    ]


def table(dialect: Dialect) -> Table:
    """Return what each setting of a dialect means and what ours is."""
    rows = [*_loss_rows(dialect), *_optimizer_rows(dialect), *_number_rows(dialect)]
    return Table(["what", "ours", "theirs"], rows, title=dialect.title)


def _loss_rows(dialect: Dialect) -> list[list[str]]:
    rows: list[list[str]] = []
    for loss in dialect.losses:
        ours = nearest_loss(loss, OURS, None)
        assert ours is not None
        factor = str(loss.scale / ours.scale)
        said = " ".join(typed(ours.settings))
        rows.append(
            [
                f"{loss.scale} {FUNCTIONS[loss.function]}".strip(),
                f"{factor} × {said}" if factor else said,
                " ".join(typed(loss.settings)),
            ]
        )
    return rows


def _optimizer_rows(dialect: Dialect) -> list[list[str]]:
    optimizers = dialect.optimizers
    if optimizers.key is None:
        return []
    rows: list[list[str]] = []
    for ours, theirs in optimizers.names.items():
        said = f"{optimizers.key}={theirs}"
        if optimizers.nesterov and ours in ("sgd", "momentum", "nesterov"):
            flag = {"sgd": "momentum=0", "momentum": f"{optimizers.nesterov}=false"}
            said += " " + flag.get(ours, f"{optimizers.nesterov}=true")
        rows.append(["optimizer", f"optimizer={ours}", said])
    return rows


def _number_rows(dialect: Dialect) -> list[list[str]]:
    fixed = [
        [CONCEPTS[concept].what, CONCEPTS[concept].ours, number_text(value)]
        for concept, value in dialect.fixed.items()
    ]
    numbers = [number for number in dialect.numbers if number.concept not in dialect.only_told]
    return fixed + [
        [
            CONCEPTS[number.concept].what,
            CONCEPTS[number.concept].ours,
            f"{number.key}={number.conversion.formula(CONCEPTS[number.concept].symbol)}",
        ]
        for number in numbers
    ]


def document() -> str:
    """Return docs/conventions.md."""
    parts = [DOCUMENT]
    for name, dialect in DIALECTS.items():
        notes = "\n\n".join(dialect.notes)
        parts.append(f"## {dialect.title}: `{name}`\n\n{table(dialect).markdown()}\n\n{notes}\n")
    return "\n".join(parts)
