"""The main job: train a quantized credit model, and show whose recourse quantization breaks.

Fits a full-precision teacher, a uniform 4-bit network (LSQ weights, PACT activations) and CFQ at
the same budget; measures whether the teacher's advice survives; then shows three refused people.

    python examples/main_job.py                    # a generated lending table, no download
    python examples/main_job.py --data german      # or adult, compas, bank, default
    python examples/main_job.py --quiet            # no progress on standard error
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skcfq import CFQClassifier, QATClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)
from skcfq.estimators import Quantizer
from skcfq.metrics import (
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    single_precision_drop,
    validity_drop,
)

DATASETS = {
    "generated": lambda: make_credit(4000, random_state=0),
    "german": fetch_german_credit,
    "adult": fetch_adult,
    "compas": fetch_compas,
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
}


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    data = DATASETS[options.data]()
    train, test = split(data, options.seed)
    X, y = data.data.iloc[train], data.target.iloc[train]
    X_test, y_test = data.data.iloc[test], data.target.iloc[test]
    shared = {
        "action_set": data.action_set,
        "target": data.favorable,
        "quantizer": Quantizer(activation_bits=options.activation_bits),
        "random_state": options.seed,
        "verbose": int(not options.quiet),
    }
    teacher = TeacherClassifier(random_state=options.seed, verbose=shared["verbose"]).fit(X, y)
    frozen = FrozenEstimator(teacher)
    models = {
        "LSQ-QAT": QATClassifier(options.budget, teacher=frozen, **shared).fit(X, y),
        "CFQ": CFQClassifier(options.budget, teacher=frozen, **shared).fit(X, y),
    }
    solver = RecourseSolver(
        data.action_set,
        target=data.favorable,
        random_state=options.seed,
        verbose=shared["verbose"],
    )
    people = sample_refused(teacher, data.favorable, X_test, options)
    results = {
        name: solver.compare(teacher, model, X_test.iloc[people]) for name, model in models.items()
    }
    print_protocol(options, data, results["CFQ"][0], len(train), len(test))
    print_table(teacher, models, results, X_test, y_test, data.favorable)
    print_people(teacher, models, results)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATASETS, default="generated")
    parser.add_argument("--budget", type=float, default=4, help="average weight bits")
    parser.add_argument("--activation-bits", type=int, default=8)
    parser.add_argument("--people", type=int, default=2000, help="refused test rows to solve")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no progress, only the results")
    return parser.parse_args()


def split(data: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if "train_indices" in data:
        return data.train_indices, data.test_indices
    rows = np.arange(len(data.target))
    return train_test_split(rows, test_size=0.3, stratify=data.target, random_state=seed)


def sample_refused(
    teacher: TeacherClassifier, favorable: Any, X: pd.DataFrame, options: argparse.Namespace
) -> np.ndarray:
    """Draw the refused rows that are solved: positions in X, in their order."""
    refused = np.flatnonzero(teacher.predict(X) != favorable)
    return np.sort(np.random.RandomState(options.seed).permutation(refused)[: options.people])


def print_protocol(
    options: argparse.Namespace, data: Any, reference: Any, n_train: int, n_test: int
) -> None:
    print(
        f"\nProtocol: {options.data}, {n_train} training and {n_test} test rows, seed "
        f"{options.seed}; budget {options.budget:g} weight bits, "
        f"activations {options.activation_bits}, inputs 8; "
        f"recourse on {len(reference)} refused test rows: {reference.protocol}"
    )


def print_table(
    teacher: Any, models: dict, results: dict, X: pd.DataFrame, y: pd.Series, favorable: Any
) -> None:
    rows = [
        {
            "model": "teacher",
            "accuracy": teacher.score(X, y),
            "accepted": np.mean(teacher.predict(X) == favorable),
            "bits": 32.0,
            "VD": 0.0,
            "float noise": single_precision_drop(teacher, results["CFQ"][0]),
            "|CRG|": 0.0,
            "CRG": 0.0,
            "DirSim": 1.0,
            "FRR": feasible_recourse_rate(results["CFQ"][0]),
            "FRR deployed": feasible_recourse_rate(results["CFQ"][0]),
        }
    ]
    for name, model in models.items():
        reference, deployed = results[name]
        rows.append(
            {
                "model": name,
                "accuracy": model.score(X, y),
                "accepted": np.mean(model.predict(X) == favorable),
                "bits": model.average_bits_,
                "VD": validity_drop(teacher, model, reference),
                "float noise": single_precision_drop(teacher, reference),
                "|CRG|": counterfactual_recourse_gap(reference, deployed),
                "CRG": counterfactual_recourse_gap(reference, deployed, kind="signed"),
                "DirSim": direction_similarity(reference, deployed),
                # The paper's (Eq. 34): for whom the reference has an action.
                "FRR": feasible_recourse_rate(reference),
                "FRR deployed": feasible_recourse_rate(deployed),
            }
        )
    print(pd.DataFrame(rows).round(3).to_string(index=False))
    for name, model in models.items():
        print(f"bit widths of {name}: {model.bit_widths_.tolist()}")


def print_people(teacher: Any, models: dict, results: dict) -> None:
    """Show three refused people: advice that only CFQ keeps, that CFQ breaks, that both keep."""
    reference = results["CFQ"][0]
    works = {
        name: model.predict(reference.points) == reference.target for name, model in models.items()
    }
    kinds = {
        "only CFQ keeps the advice": works["CFQ"] & ~works["LSQ-QAT"],
        "CFQ breaks the advice": ~works["CFQ"],
        "both keep the advice": works["CFQ"] & works["LSQ-QAT"],
    }
    advice = reference.to_frame()
    for kind, rows in kinds.items():
        rows = np.flatnonzero(rows & reference.reachable)
        print(f"\n{kind}: {len(rows)} of {int(reference.reachable.sum())} people", end="")
        if len(rows) == 0:
            print()
            continue
        person = rows[0]
        label = reference.X.index[person]
        print(f", among them person {label}. The full-precision model advised:")
        for _, change in advice[advice["person"] == label].iterrows():
            print(f"    {change['feature']}: {change['from']} -> {change['to']}")
        print(f"    at a cost of {reference.cost[person]:.2f}")
        for name in models:
            deployed = results[name][1]
            verdict = "still works" if works[name][person] else "NO LONGER WORKS"
            if deployed.status[person] == "already_favorable":
                own = "nothing to change: it says yes already"
            elif deployed.valid[person]:
                own = f"its own cheapest action costs {deployed.cost[person]:.2f}"
            else:
                own = "no action was found that it accepts"
            print(f"  after {name}: the advice {verdict}; {own}")


if __name__ == "__main__":
    main()
