"""Speed of proofs on networks beside the gradient search, on one thread.

Refused test people of each table are solved in batch by both, and a few of them again one by one.
Students are trained here, and named by their training and their bits: the activations of CFQ-4 are
as wide as its weights, those of CFQ-4-8 have 8 bits. Real tables are read where `SKCFQ_DATA` is
set. Seconds are those of the processor; tables are printed as Markdown.

    python examples/benchmarks/proofs.py --tables generated --models teacher CFQ-4 --people 300

With `--continuous`, so many columns of the generated table may move, all of them without a grid,
and people are solved one by one.

    python examples/benchmarks/proofs.py --continuous 2 4 6 8 --models teacher PTQ-4 --people 20

With `--growth`, the rows show how the speed changes with hidden layers, with the number of columns
of the generated table that may move, and with how fine their grids are.

With `--scorers`, a scorer without an action set is timed beside one that only searches.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from _clock import least_seconds, yardstick
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)
from skcfq.estimators import Quantizer
from skcfq.metrics import RecourseScorer

TABLES = {
    "generated": lambda: make_credit(4000, random_state=0),
    "german": fetch_german_credit,
    "compas": fetch_compas,
    "adult": fetch_adult,
    "bank": fetch_bank_marketing,
    "default": fetch_default_credit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = list(TABLES) if "SKCFQ_DATA" in os.environ else ["generated"]
    parser.add_argument("--tables", nargs="+", default=known, choices=TABLES)
    parser.add_argument("--models", nargs="+", default=["teacher", "CFQ-4"])
    parser.add_argument("--people", type=int, default=300, help="refused people, at most")
    parser.add_argument("--alone", type=int, default=40, help="of them one by one")
    parser.add_argument("--continuous", nargs="+", type=int, help="columns without a grid")
    parser.add_argument("--norms", nargs="+", default=["l1", "l2"], help="of --continuous")
    parser.add_argument("--nodes", type=int, default=50_000, help="of a person of --continuous")
    parser.add_argument("--growth", action="store_true", help="by layers, columns and grids")
    parser.add_argument("--scorers", action="store_true", help="time scorers without an action set")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.scorers:
        print_scorers(given.tables)
        return
    if given.growth:
        print_growth(given.models, given.people)
        return
    if given.continuous:
        more = {"max_nodes": given.nodes, "margin": 0.0}
        print_continuous(given.continuous, given.norms, given.models, given.people, more)
        return
    print_head(
        "table, model, people, proved, people/s, gradient/s, time x gradient, dearer by gradient, "
        "alone <= 1 s, alone <= 2 s, slowest s"
    )
    for name in given.tables:
        table = TABLES[name]()
        X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
        teacher = TeacherClassifier(max_iter=30, random_state=0).fit(X, y)
        for kind in given.models:
            model = fitted(kind, table, teacher, X, y)
            print_row(name, kind, table, model, given.people, given.alone)


def ratios() -> dict[str, float]:
    """Return the seconds of proofs and of the gradient search in batch over the yardstick."""
    table = make_credit(2000, random_state=0)
    X, y = table.data, table.target
    teacher, found = TeacherClassifier(random_state=0).fit(X, y), {}
    for kind in ("teacher", "PTQ-4-8"):
        model = fitted(kind, table, teacher, X, y)
        refused = X[model.predict(X) != table.favorable].head(100)
        for method in ("exact", "gradient"):
            run = partial(timed_solve, method, table, model, refused)
            found[f"{kind}, {method}, 100 people / yardstick"] = least_seconds(run, 2) / yardstick()
    return found


def print_head(head: str) -> None:
    words = head.split(", ")
    print_cells(words)
    print_cells(["---"] * len(words))


def print_cells(cells: list[Any]) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_growth(models: list[str], people: int) -> None:
    table = make_credit(4000, random_state=0)
    rules = table.action_set
    X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
    print_head("what grows, model, people, proved, people/s, slowest of 10 alone s")
    teachers = {
        sizes: TeacherClassifier(sizes, max_iter=30, random_state=0).fit(X, y)
        for sizes in [(32, 32), (64,), (64, 64), (64, 64, 64), (64,) * 4, (128, 128), (256, 256)]
    }
    students = {
        sizes: {kind: fitted(kind, table, teacher, X, y, sizes) for kind in models}
        for sizes, teacher in teachers.items()
    }
    for sizes, by_kind in students.items():
        for kind, model in by_kind.items():
            named = "layers " + "x".join(map(str, sizes))
            print_growth_row(named, kind, model, table, rules, people)
    movable = [name for name in X if name not in rules.immutable]
    for n_movable in range(2, len(movable) + 1, 2):
        held = [*rules.immutable, *movable[n_movable:]]
        fewer = clone(rules).set_params(immutable=held)
        for kind, model in students[64, 64].items():
            print_growth_row(f"{n_movable} columns move", kind, model, table, fewer, people)
    for finer in (1, 2, 4, 8):
        # A grid of open_loans and years_employed stays one of whole numbers.
        steps = {name: step / finer if step > 1 else step for name, step in rules.steps.items()}
        other = clone(rules).set_params(steps=steps)
        for kind, model in students[64, 64].items():
            print_growth_row(f"grids {finer} x as fine", kind, model, table, other, people)


def print_growth_row(
    named: str, kind: str, model: Any, table: Any, rules: ActionSet, people: int
) -> None:
    given = Bunch(action_set=rules, favorable=table.favorable)
    tested = table.data.iloc[table.test_indices]
    refused = tested[model.predict(tested) != table.favorable].head(people)
    timed_solve("exact", given, model, refused.head(1))
    result, seconds = timed_solve("exact", given, model, refused)
    proved = np.isin(result.status, ["optimal", "infeasible"]).mean()
    alone = range(min(10, len(refused)))
    each = [timed_solve("exact", given, model, refused.iloc[[i]])[1] for i in alone]
    cells = [named, kind, len(refused), f"{proved:.0%}", f"{len(refused) / seconds:.0f}"]
    print_cells([*cells, f"{max(each):.2f}"])


# In this order they are let loose.
FREE = ["income", "loan_amount", "savings", "loan_duration"]
FREE += ["years_employed", "open_loans", "missed_payments", "age"]


def print_continuous(
    counts: list[int], norms: list[str], models: list[str], people: int, more: dict
) -> None:
    table = make_credit(4000, random_state=0)
    X = table.data.copy()
    rng = np.random.RandomState(0)
    for name in FREE:
        # No whole numbers are left.
        X[name] = X[name] + rng.uniform(-0.4, 0.4, len(X))
    train, test = X.iloc[table.train_indices], X.iloc[table.test_indices]
    y = table.target.iloc[table.train_indices]
    teacher = TeacherClassifier(random_state=0).fit(train, y)
    print_head(
        "model, cost, free columns, people, proved, in 10 s, median s, slowest s, other gaps"
    )
    for kind in models:
        model = fitted(kind, table, teacher, train, y)
        refused = test[model.predict(test) != table.favorable].head(people)
        for norm in norms:
            for count in counts:
                rules = ActionSet(immutable=[name for name in X if name not in FREE[:count]])
                given = Bunch(action_set=rules, favorable=table.favorable)
                cells = continuous_cells(given, model, refused, more | {"cost": norm})
                print_cells([kind, norm, count, *cells])


def continuous_cells(given: Any, model: Any, refused: Any, more: dict) -> list[str]:
    alone = [refused.iloc[[i]] for i in range(len(refused))]
    each = [timed_solve("exact", given, model, one, **more) for one in alone]
    seconds = np.array([second for _, second in each])
    status = np.array([result.status[0] for result, _ in each])
    gaps = np.array([result.gap[0] for result, _ in each])
    proved = np.isin(status, ["optimal", "infeasible"])
    in_time = (proved & (seconds <= 10)).mean()
    cells = [str(len(refused)), f"{proved.mean():.0%}", f"{in_time:.0%}"]
    cells += [f"{np.median(seconds):.2f}", f"{seconds.max():.2f}"]
    return [*cells, ", ".join(f"{gap:.1g}" for gap in gaps[~proved])]


def print_scorers(tables: list[str], rounds: int = 3) -> None:
    print_head("table, people, searched s, by default s, time x searched")
    for name in tables:
        table = TABLES[name]()
        X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
        teacher = TeacherClassifier(max_iter=30, random_state=0).fit(X, y)
        student = fitted("PTQ-4", table, teacher, X, y)
        tested = table.data.iloc[table.test_indices]
        refused = tested[teacher.predict(tested) != table.favorable].head(60)
        seconds = np.zeros((rounds, 2))
        for i in range(rounds):
            for j, method in enumerate(["gradient", "auto"]):
                solver = RecourseSolver(target=table.favorable, method=method, random_state=0)
                scorer = RecourseScorer("faithfulness", solver=solver, action_set=ActionSet())
                start = time.process_time()
                scorer(student, refused)
                seconds[i, j] = time.process_time() - start
        searched, default = np.median(seconds, axis=0)
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        print_cells([name, len(refused), f"{searched:.2f}", f"{default:.2f}", f"{ratio:.2f}"])


def fitted(
    kind: str, table: Any, teacher: Any, X: Any, y: Any, sizes: tuple[int, ...] = (64, 64)
) -> Any:
    """Return the teacher, or a student such as PTQ-4, QAT-8 or CFQ-2-8."""
    if kind == "teacher":
        return teacher
    training, bits, *of_activations = kind.split("-")
    quantizer = Quantizer(activation_bits=int(of_activations[0]) if of_activations else None)
    given = {"teacher": FrozenEstimator(teacher), "target": table.favorable, "random_state": 0}
    given["quantizer"] = quantizer
    if training == "PTQ":
        return PTQClassifier(int(bits), **given).fit(X, y)
    kinds = {"QAT": QATClassifier, "CFQ": CFQClassifier}
    more = {} if training == "QAT" else {"action_set": table.action_set}
    return kinds[training](int(bits), hidden_layer_sizes=sizes, **more, **given).fit(X, y)


def print_row(name: str, kind: str, table: Any, model: Any, people: int, alone: int) -> None:
    tested = table.data.iloc[table.test_indices]
    refused = tested[model.predict(tested) != table.favorable].head(people)
    # One person more first: what is loaded once is not counted.
    timed_solve("exact", table, model, refused.head(1))
    exact, seconds = timed_solve("exact", table, model, refused)
    search, longer = timed_solve("gradient", table, model, refused)
    proved = np.isin(exact.status, ["optimal", "infeasible"]).mean()
    least = np.where(exact.reachable, exact.cost, np.inf)
    found = np.where(search.reachable, search.cost, np.inf)
    dearer = (found > least * (1 + 1e-9)).mean()
    first = range(min(alone, len(refused)))
    each = np.array([timed_solve("exact", table, model, refused.iloc[[i]])[1] for i in first])
    cells = [name, kind, len(refused), f"{proved:.1%}", f"{len(refused) / seconds:.0f}"]
    cells += [f"{len(refused) / longer:.0f}", f"{seconds / longer:.2f}", f"{dearer:.0%}"]
    if len(each) == 0:
        print_cells([*cells, "", "", ""])
        return
    shares = [f"{(each <= 1).mean():.1%}", f"{(each <= 2).mean():.1%}", f"{each.max():.2f}"]
    print_cells([*cells, *shares])


def timed_solve(method: str, table: Any, model: Any, people: Any, **more: Any) -> tuple[Any, float]:
    solver = RecourseSolver(
        table.action_set,
        target=table.favorable,
        method=method,
        perturbation_radius=0.0,
        random_state=0,
        **more,
    )
    start = time.process_time()
    result = solver.solve(model, people)
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
