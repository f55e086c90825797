"""Tightness of certified differences, and how many points are decided, on one thread.

Points are a teacher's cheapest advice to refused test people. Real tables are read where
`SKCFQ_DATA` is set; `--quick` is a version of less than a minute on the generated one.

    python examples/benchmarks/theory.py --tables german compas --students cfq --bits 4 8

The first table compares upper bounds: how many times the Lipschitz product is above the bound that
follows the difference layer by layer, in boxes of all numbers, categories as they are, and of all
encoded columns, those of categories too. `weights` rounds the teacher's weights alone, `student` is
what is deployed. The second table decides boxes of the numbers, counts points that broke in a
sample of the box although they were called robust, and those that a sample of 256 takes for robust
although they are broken.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import time
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, PTQClassifier, RecourseSolver, TeacherClassifier, theory
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)
from skcfq.models import as_predictor

TABLES = {
    "generated": lambda: make_credit(3000, random_state=0),
    "german": fetch_german_credit,
    "compas": fetch_compas,
    "adult": fetch_adult,
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
}
STUDENTS = {"ptq": PTQClassifier, "cfq": CFQClassifier}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [name for name in TABLES if name != "generated"]
    parser.add_argument(
        "--tables", nargs="+", choices=TABLES, default=known if "SKCFQ_DATA" in os.environ else []
    )
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=["cfq"])
    parser.add_argument("--bits", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--rows", type=int, default=10_000, help="training rows, at most")
    parser.add_argument("--people", type=int, default=300, help="refused people, at most")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.quick:
        given.tables, given.students, given.bits = ["generated"], ["ptq"], [4]
        given.rows, given.people = 800, 40
    print_head("bound", "over", "radius", "lipschitz", "ours", "factor", "survive", "s/1000")
    cases = []
    for name in given.tables or ["generated"]:
        table = TABLES[name]()
        teacher, points, students = fit(table, given)
        for bits in given.bits:
            pairs = {"weights": rounded(teacher, bits)}
            pairs |= {kind: students[kind, bits] for kind in given.students}
            for kind, deployed in pairs.items():
                print_bounds(f"{name} {kind} {bits}", teacher, deployed, points, table.favorable)
        cases += [(f"{name} teacher", teacher, points, table.favorable)]
        cases += [(f"{name} {k} {b}", m, points, table.favorable) for (k, b), m in students.items()]
    print()
    print_head("boxes", "radius", "points", "robust", "decided", "wrong", "fooled", "s/1000")
    for case in cases:
        print_decisions(*case)


def print_head(first: str, *others: str) -> None:
    print(f"{first:<20}" + "".join(f"{word:>10}" for word in others), flush=True)


def print_cells(first: str, *others: Any) -> None:
    shown = [f"{value:>10.3g}" if isinstance(value, float) else f"{value:>10}" for value in others]
    print(f"{first:<20}" + "".join(shown), flush=True)


def fit(table: Any, given: Any) -> tuple[Any, Any, dict]:
    """Return a teacher, its advice to refused people, and students."""
    rows = np.random.RandomState(0).permutation(table.train_indices)[: given.rows]
    X, y = table.data.iloc[rows], table.target.iloc[rows]
    teacher = TeacherClassifier(max_iter=30, random_state=0).fit(X, y)
    told = {"action_set": table.action_set, "target": table.favorable, "random_state": 0}
    students = {
        (kind, bits): STUDENTS[kind](bits, teacher=FrozenEstimator(teacher), **told).fit(X, y)
        for kind in given.students
        for bits in given.bits
    }
    tested = table.data.iloc[table.test_indices]
    refused = tested[teacher.predict(tested) != table.favorable].head(given.people)
    result = RecourseSolver(margin=0.0, **told).solve(teacher, refused)
    return teacher, result.points[result.reachable], students


def rounded(teacher: Any, bits: int) -> Any:
    """Return a teacher whose weights have so many bits, and nothing else."""
    model = copy.deepcopy(teacher)
    with torch.no_grad():
        for weight in model.network_.parameters():
            if weight.ndim == 2:
                step = weight.abs().max() / (2 ** (bits - 1) - 1)
                weight.copy_(torch.round(weight / step) * step)
    return model


def print_bounds(name: str, teacher: Any, deployed: Any, points: Any, target: Any) -> None:
    for over, radius in itertools.product(("numbers", "encoded"), (0.02, 0.1, 0.5)):
        asked = {"radius": radius, "over": over}
        start = time.process_time()
        found = theory.certified_difference(teacher, deployed, points, target=target, **asked)
        seconds = time.process_time() - start
        product = theory.lipschitz_perturbation(teacher, deployed, points, **asked).values
        ours = found.perturbation.values
        figures = map(float, map(np.median, (product, ours, product / ours)))
        shares = float(found.survives.mean()), 1000 * seconds / len(points)
        print_cells(name, over, radius, *figures, *shares)


def print_decisions(name: str, model: Any, points: Any, target: Any) -> None:
    for radius in (0.01, 0.05):
        start = time.process_time()
        found = theory.robustness(model, points, radius=radius, target=target)
        seconds = time.process_time() - start
        held = held_in_samples(model, points, radius, target)
        print_cells(
            name,
            radius,
            len(points),
            float(found.robust.mean()),
            float(1 - found.open.mean()),
            int((found.robust & ~held).sum()),
            int((found.broken & held).sum()),
            1000 * seconds / len(points),
        )


def held_in_samples(model: Any, points: Any, radius: float, target: Any) -> np.ndarray:
    """Tell who keeps the target at 256 points of the box, half of them corners."""
    predictor, rng = as_predictor(model), np.random.RandomState(0)
    encoded, moves = predictor.space.encode(points), np.zeros(predictor.space.n_encoded)
    for block in predictor.space.blocks:
        if block.kind in ("affine", "monotone"):
            moves[block.columns] = radius * (block.statistics.encoded_std or 1.0)
    held = np.ones(len(points), dtype=bool)
    for draw in range(256):
        shift = rng.uniform(-1, 1, encoded.shape)
        shift = np.sign(shift) if draw % 2 else shift
        logits = predictor.logits(torch.from_numpy(encoded + shift * moves)).detach().numpy()
        held &= predictor.classes[logits.argmax(axis=1)] == target
    return held


if __name__ == "__main__":
    main()
