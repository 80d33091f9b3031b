"""The grid of benchmarks.grid_search by scikit-learn: GridSearchCV over MLPClassifier.

    python -m benchmarks.sklearn_search TABLE.csv SETTINGS

Prints, as JSON, the mean validation accuracy of every setting.
"""

# scikit-learn is hardly typed.
# pyright: basic

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    """Search, and print what came out."""
    told = json.loads(sys.argv[2])
    frame = pd.read_csv(sys.argv[1])
    frame = frame[frame[told["part"]] != "test"]
    is_train = (frame[told["part"]] == "train").to_numpy()
    inputs = frame.drop(columns=[told["target"], told["part"]]).to_numpy()
    network = MLPClassifier(
        hidden_layer_sizes=(told["hidden"],),
        solver="sgd",
        momentum=0.0,
        batch_size=told["batch"],
        max_iter=told["epochs"],
        n_iter_no_change=told["epochs"] + 1,
    )
    grid = {
        "mlpclassifier__learning_rate_init": told["rates"],
        # Its penalty is divided by the examples of a batch.
        "mlpclassifier__alpha": [strength * told["batch"] for strength in told["strengths"]],
        "mlpclassifier__random_state": told["seeds"],
    }
    search = GridSearchCV(
        make_pipeline(StandardScaler(), network),
        grid,
        cv=PredefinedSplit(np.where(is_train, -1, 0)),
        refit=False,
        n_jobs=-1,
    )
    search.fit(inputs, frame[told["target"]].to_numpy())
    accuracies: dict[str, list[float]] = {}
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        strength = params["mlpclassifier__alpha"] / told["batch"]
        key = f"{params['mlpclassifier__learning_rate_init']:g} {strength:g}"
        accuracies.setdefault(key, []).append(score)
    means = {key: float(np.mean(scores)) for key, scores in accuracies.items()}
    print(json.dumps({"not_run_s": 0.0, "accuracies": means}))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ten epochs are few
        main()
