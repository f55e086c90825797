"""For which advice is survival proved, by what, and how much advice survives in fact?

For each table: a teacher, its proved cheapest advice to refused test people at two margins, and
students of 2, 3, 4 and 8 bits, rounded after training (PTQ), trained with quantization (QAT), and
trained to keep recourse (CFQ). Each row is one student and one margin, with shares of the points.
Proposition 5.1 asks for m_f(u) > 2 ε:

    exact      with the distance of the logits at the point itself
    sampled    with the largest of 256 samples in the box of the largest radius
    Lipschitz  with the product of Lipschitz constants at the point
    misread    how many points break in that box although it holds with the sampled ε: it speaks of
               the point alone
    one-sided  m_f(u) > m_f(u) - m_fq(u), at the point
    bound      the one-sided condition over boxes, by bounds alone (`certified_difference`)
    robust     decided over boxes, with a counterexample for whatever is broken (`robustness`)
    open       what 30,000 parts of a box leave undecided at the largest radius
    survive    the deployed model gives the target at the point

Boxes move every number by up to so many spreads. Rows are printed as they come.

    SKCFQ_DATA=../shared/data python examples/paper/guarantees.py
    python examples/paper/guarantees.py --smoke
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from _protocol import draw_refused
from sklearn.frozen import FrozenEstimator

from skcfq import (
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
    theory,
)
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)

TABLES = {
    "adult": fetch_adult,
    "german": fetch_german_credit,
    "compas": fetch_compas,
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
    "generated": lambda: make_credit(1200, random_state=0),
}
STUDENTS = ("PTQ", "QAT", "CFQ")
MARGINS = (0.0, 0.5)
RADII = (0.001, 0.01, 0.05)
# Parts of a box that are looked at: a tenth of the default, which decides little more at 0.05.
BOXES = 30_000
# What is told at all radii takes more room.
COLUMNS = {
    **dict.fromkeys(("exact", "sampled", "Lipschitz", "misread", "one-sided"), 10),
    **dict.fromkeys(("bound", "robust"), 20),
    **dict.fromkeys(("open", "survive"), 9),
}
SMALL = {"hidden_layer_sizes": (8,), "batch_size": 16}


def main(arguments: list[str] | None = None) -> None:
    given = read_options(arguments)
    torch.set_num_threads(1)
    print(
        f"At most {given.rows} training rows and {given.people} refused test people, drawn by "
        f"seed 0; networks of {given.network or 'the defaults'}, uniform widths, students trained "
        f"in at most {given.passes} passes, CFQ on the advice to {given.followed} people; l1 cost "
        f"over 1/sd, points that are proved cheapest only. Shares of points; bound, robust: in "
        f"boxes of {RADII} spreads, {BOXES:,} parts of each at most."
    )
    begin = time.process_time()
    for name in given.tables:
        run_table(name, given)
    print(f"\n{time.process_time() - begin:.0f} s of one core")


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    real = [name for name in TABLES if name != "generated"]
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=real)
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=STUDENTS)
    parser.add_argument("--bits", nargs="+", type=int, default=[2, 3, 4, 8])
    parser.add_argument("--rows", type=int, default=4_000, help="training rows, at most")
    parser.add_argument("--people", type=int, default=100, help="refused people, at most")
    parser.add_argument("--passes", type=int, default=40, help="of students that are trained")
    parser.add_argument("--followed", type=int, default=200, help="refused people a CFQ follows")
    parser.add_argument("--smoke", action="store_true", help="a generated table, a few seconds")
    given = parser.parse_args(arguments)
    given.network = {}
    if given.smoke:
        given.tables, given.bits, given.network = ["generated"], [4], SMALL
        given.rows, given.people, given.passes = 300, 12, 3
    return given


def run_table(name: str, given: argparse.Namespace) -> None:
    """Print the rows of one table."""
    begin = time.process_time()
    table = TABLES[name]()
    rows = np.random.RandomState(0).permutation(table.train_indices)[: given.rows]
    X, y = table.data.iloc[rows], table.target.iloc[rows]
    tell(f"{name}: teacher on {len(X)} rows")
    teacher = TeacherClassifier(random_state=0, **given.network).fit(X, y)
    told = {"action_set": table.action_set, "target": table.favorable, "random_state": 0}
    tested = table.data.iloc[table.test_indices]
    people = draw_refused(teacher, table.favorable, tested, 0, given.people)
    advice = {m: RecourseSolver(margin=m, **told).solve(teacher, people) for m in MARGINS}
    points = {m: found.points[found.status == "optimal"] for m, found in advice.items()}
    both = np.logical_and(*(found.reachable for found in advice.values()))
    price = np.divide(*(advice[margin].cost[both].mean() for margin in MARGINS[::-1]))
    print(
        f"\n{name}: {len(people)} refused people, proved advice to "
        f"{' and '.join(str(len(part)) for part in points.values())} of them; "
        f"margin {MARGINS[1]} costs {price:.2f} times as much"
    )
    heads = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    print(f"{'student':<8}{'bits':>4}{'margin':>8}{heads}")
    frozen = FrozenEstimator(teacher)
    for bits in given.bits:
        for kind in given.students:
            tell(f"{name}: {kind} {bits}, {time.process_time() - begin:.0f} s so far")
            student = student_of(kind, bits, given).set_params(teacher=frozen, **told).fit(X, y)
            for margin, part in points.items():
                shares = shares_of(teacher, student, part, table.favorable)
                cells = "".join(f"{shares[name]:>{width}}" for name, width in COLUMNS.items())
                print(f"{kind:<8}{bits:>4}{margin:>8}{cells}", flush=True)


def student_of(kind: str, bits: int, given: argparse.Namespace) -> Any:
    """Return a student before it is fitted, all of whose layers have so many bits."""
    if kind == "PTQ":
        return PTQClassifier(bits, allocation="uniform")
    trained = given.network | {"max_iter": given.passes, "bit_policy": "uniform"}
    if kind == "QAT":
        return QATClassifier(bits, **trained)
    return CFQClassifier(bits, **trained).set_params(teacher_actions__max_people=given.followed)


def tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def shares_of(teacher: Any, student: Any, points: pd.DataFrame, target: Any) -> dict[str, str]:
    """Return what is proved of points, and what is so."""
    margins = theory.target_margin(teacher, points, target=target)
    pair = teacher, student, points
    drawn = {"radius": RADII[-1], "norm": "linf", "random_state": 0}
    epsilons = {
        "exact": theory.exact_perturbation(*pair),
        "sampled": theory.sampled_perturbation(*pair, **drawn),
        "Lipschitz": theory.lipschitz_perturbation(*pair),
    }
    holds = {name: theory.margin_condition(margins, one).holds for name, one in epsilons.items()}
    holds["one-sided"] = theory.one_sided_condition(*pair, target=target).holds
    holds["survive"] = student.predict(points) == target
    bounds, decisions = [], []
    for radius in RADII:
        asked = {"radius": radius, "target": target}
        bounds.append(theory.certified_difference(*pair, **asked).survives)
        decisions.append(theory.robustness(student, points, max_boxes=BOXES, **asked))
        assert not (bounds[-1] & decisions[-1].broken).any(), "a proof, and a counterexample"
    holds["open"] = decisions[-1].open
    shares = {name: f"{held.mean():.3f}" for name, held in holds.items()}
    shares["misread"] = str((holds["sampled"] & decisions[-1].broken).sum())
    shares["bound"] = " ".join(f"{one.mean():.3f}" for one in bounds)
    shares["robust"] = " ".join(f"{one.robust.mean():.3f}" for one in decisions)
    return shares


if __name__ == "__main__":
    main()
