"""The main job: train a quantized credit model, and show whose recourse quantization breaks.

Fits CFQ and its full-precision teacher, and a uniform 4-bit network (LSQ weights, PACT activations)
of the same teacher at the same budget, as it is and with one bias that loses as little advice as
CFQ does; measures whether the teacher's advice survives, and at what price; then shows three
refused people.

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

from skcfq import CFQClassifier, QATClassifier, RecourseSolver
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)
from skcfq.estimators import Quantizer, bias_for_validity_drop, with_logit_bias
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

BIASED = "LSQ-QAT + bias"


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
    cfq = CFQClassifier(options.budget, **shared).fit(X, y)
    teacher = cfq.teacher_
    qat = QATClassifier(options.budget, teacher=FrozenEstimator(teacher), **shared).fit(X, y)
    solver = RecourseSolver(
        data.action_set,
        target=data.favorable,
        random_state=options.seed,
        verbose=shared["verbose"],
    )
    people = X_test.iloc[sample_refused(teacher, data.favorable, X_test, options)]
    results = {
        name: solver.compare(teacher, model, people)
        for name, model in {"LSQ-QAT": qat, "CFQ": cfq}.items()
    }
    # The bias that does best on these very people: nobody knows it beforehand.
    advice = results["CFQ"][0]
    bias = bias_for_validity_drop(qat, advice, validity_drop(teacher, cfq, advice))
    models = {"LSQ-QAT": qat, BIASED: with_logit_bias(qat, data.favorable, bias), "CFQ": cfq}
    results[BIASED] = solver.compare(teacher, models[BIASED], people)
    print_protocol(options, data, advice, len(train), len(test))
    rows = table_of(teacher, models, results, X_test, y_test, data.favorable)
    print(rows.round(3).to_string())
    print_what_is_seen(rows)
    for name, model in models.items():
        print(f"bit widths of {name}: {model.bit_widths_.tolist()}")
    print_people(models, results)


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
    teacher: Any, favorable: Any, X: pd.DataFrame, options: argparse.Namespace
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
        f"activations {options.activation_bits}, inputs {Quantizer().input_bits}; "
        f"recourse on {len(reference)} refused test rows: {reference.protocol}"
    )


def table_of(
    teacher: Any, models: dict, results: dict, X: pd.DataFrame, y: pd.Series, favorable: Any
) -> pd.DataFrame:
    """Return one row a model; the teacher is compared with itself."""
    itself = results["CFQ"][0], results["CFQ"][0]
    rows = {"teacher": row_of(teacher, teacher, itself, X, y, favorable)}
    for name, model in models.items():
        rows[name] = row_of(teacher, model, results[name], X, y, favorable)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def row_of(
    teacher: Any, model: Any, pair: tuple, X: pd.DataFrame, y: pd.Series, favorable: Any
) -> dict[str, float]:
    reference, deployed = pair
    return {
        "accuracy": model.score(X, y),
        "accepted": np.mean(model.predict(X) == favorable),
        "bits": getattr(model, "average_bits_", 32.0),
        "VD": validity_drop(teacher, model, reference),
        "float noise": single_precision_drop(teacher, reference),
        "|CRG|": counterfactual_recourse_gap(reference, deployed),
        "CRG": counterfactual_recourse_gap(reference, deployed, kind="signed"),
        "DirSim": direction_similarity(reference, deployed),
        # The paper's (Eq. 34): for whom the reference has an action.
        "FRR": feasible_recourse_rate(reference),
        "FRR deployed": feasible_recourse_rate(deployed),
    }


def print_what_is_seen(rows: pd.DataFrame) -> None:
    plain, biased, cfq = rows.loc["LSQ-QAT"], rows.loc[BIASED], rows.loc["CFQ"]
    print(
        f"\nWhat you see: LSQ-QAT breaks the advice of {plain['VD']:.1%} of people, CFQ of "
        f"{cfq['VD']:.1%}; one bias on LSQ-QAT keeps as much, but moves the price of recourse by "
        f"{biased['|CRG|']:.1%} and accepts {biased['accepted']:.1%} of applicants, where CFQ "
        f"moves it by {cfq['|CRG|']:.1%} and accepts {cfq['accepted']:.1%}, and the teacher "
        f"{rows.loc['teacher', 'accepted']:.1%}."
    )


def print_people(models: dict, results: dict) -> None:
    """Show three refused people: advice that only CFQ keeps, that CFQ breaks, that both keep."""
    reference = results["CFQ"][0]
    works = {
        name: models[name].predict(reference.points) == reference.target
        for name in ("LSQ-QAT", "CFQ")
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
        for name in works:
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
