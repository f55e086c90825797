"""Cost of whole fits with the defaults: teacher, recourse and training, on one thread.

python examples/benchmarks/fit.py --data adult
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, TeacherClassifier
from skcfq.datasets import fetch_adult, fetch_compas, fetch_german_credit, make_credit

DATASETS = {
    "generated": lambda: make_credit(20000, random_state=0),
    "adult": fetch_adult,
    "compas": fetch_compas,
    "german": fetch_german_credit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=sorted(DATASETS), default="generated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = DATASETS[options.data]()
    rows = data.train_indices
    X, y = data.data.iloc[rows], data.target.iloc[rows]
    teacher = TeacherClassifier(random_state=options.seed)
    seconds = seconds_of(teacher, X, y)
    print(f"{options.data}, {len(X):,} rows; seconds of processor time on one thread")
    print(f"\n| {'fit':<34} | CPU s |\n| {'-' * 34} | ----: |")
    print(f"| {'teacher alone':<34} | {seconds:>5.1f} |")
    for objective in ("paper", "faithful"):
        model = CFQClassifier(
            objective=objective,
            action_set=data.action_set,
            target=data.favorable,
            teacher=FrozenEstimator(teacher),
            random_state=options.seed,
        )
        total = seconds + seconds_of(model, X, y)
        print(f"| {f'CFQ, {objective}, teacher included':<34} | {total:>5.1f} |", flush=True)


def seconds_of(model: Any, X: Any, y: Any) -> float:
    start = time.process_time()
    model.fit(X, y)
    return time.process_time() - start


if __name__ == "__main__":
    main()
