"""What advice for one person takes, model by model: the first call, later calls, and their parts.

Refused test people of Adult, or of the generated table where `SKCFQ_DATA` is not set, are solved
one by one on one thread. Milliseconds of the processor, medians over the people: ``first`` is the
first call with a model, ``later`` a call for another person; ``proof`` is what the method itself
takes of it, and ``predict`` all calls of the model's own ``predict`` and ``predict_proba``, of
which one takes ``predict_1``. ``fixed`` is what is left of ``later`` without these two.

    python examples/benchmarks/one_person.py --people 20
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from _clock import yardstick
from sklearn.base import clone
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import skcfq
from skcfq import CFQClassifier, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.datasets import fetch_adult, make_credit
from skcfq.models import Predictor, RowHead
from skcfq.solvers.exact import _across_rules, _convex, _linear, _networks, _trees

# A rule across features of each table, which leaves most people some advice.
RULES = {
    "adult": ["capital_gain + 10 * hours_per_week <= 30000"],
    "generated": ["loan_amount <= 20 * income"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", help="some of them; all by default")
    parser.add_argument("--people", type=int, default=20, help="refused people")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(figures(given.models, given.people).round(2).to_string())


def figures(names: list[str] | None = None, n_people: int = 20) -> pd.DataFrame:
    """Return one row a model, with milliseconds and with the ratio of a call to `predict_1`."""
    name = "adult" if "SKCFQ_DATA" in os.environ else "generated"
    table = fetch_adult() if name == "adult" else make_credit(4000, random_state=0)
    X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
    tested = table.data.iloc[table.test_indices]
    rows = {}
    for kind, model in models(table, X, y, names).items():
        rules = table.action_set
        if kind.endswith("rules"):
            rules = clone(rules).set_params(constraints=RULES[name])
        refused = tested[model.predict(tested) != table.favorable].head(n_people + 1)
        rows[kind] = row(
            RecourseSolver(rules, target=table.favorable, random_state=0), model, refused, X
        )
    return pd.DataFrame(rows).T


def ratios() -> dict[str, float]:
    """Return the time of a later call over the yardstick, and of what is said of it."""
    kinds = ["teacher", "student", "logistic", "logistic, rules", "boosted, hist"]
    table = figures(kinds, 10)
    own = table["fixed"] + table["proof"]
    found = {f"{kind}, a call without predict": own[kind] for kind in kinds}
    found |= {f"teacher, {part}": table.loc["teacher", part] for part in ("explain", "to_frame")}
    found["boosted, hist, the first call"] = table.loc["boosted, hist", "first"]
    return {f"{name} / yardstick": taken / yardstick() / 1e3 for name, taken in found.items()}


def models(table: Any, X: Any, y: Any, names: list[str] | None) -> dict[str, Any]:
    """Return fitted models by their names."""

    def behind(classifier: Any) -> Any:
        return make_pipeline(TableEncoder(), classifier).fit(X, y)

    def student() -> Any:
        few = np.arange(len(X))[:8000]
        return CFQClassifier(
            teacher=made("teacher"),
            budget=4,
            action_set=table.action_set,
            target=table.favorable,
            max_iter=5,
            random_state=0,
        ).fit(X.iloc[few], y.iloc[few])

    def loaded() -> Any:
        with TemporaryDirectory() as folder:
            made("student").export(f"{folder}/model.skcfq")
            return skcfq.load(f"{folder}/model.skcfq")

    ways: dict[str, Callable[[], Any]] = {
        "teacher": lambda: TeacherClassifier(max_iter=15, random_state=0).fit(X, y),
        "student": student,
        "file": loaded,
        "logistic": lambda: behind(LogisticRegression(max_iter=500)),
        "logistic, rules": lambda: made("logistic"),
        "perceptron": lambda: behind(MLPClassifier((64, 64), max_iter=8, random_state=0)),
        "boosted, hist": lambda: behind(HistGradientBoostingClassifier(random_state=0)),
        "boosted": lambda: behind(GradientBoostingClassifier(random_state=0)),
        "forest": lambda: behind(RandomForestClassifier(100, max_leaf_nodes=64, random_state=0)),
    }
    known: dict[str, Any] = {}

    def made(name: str) -> Any:
        if name not in known:
            known[name] = ways[name]()
        return known[name]

    return {name: made(name) for name in names or ways}


def row(solver: Any, model: Any, people: Any, background: Any) -> dict[str, float]:
    """Return the figures of one model; the first of the people is solved in the first call."""
    alone = [people.iloc[[i]] for i in range(len(people))]
    for one in alone[:2]:
        model.predict(one)
    parts: dict[str, list[float]] = {name: [] for name in _PARTS}
    results = []
    with _timed(_PROOFS) as proof, _timed(_ASKS) as predict:
        for one in alone:
            before = proof.seconds, predict.seconds, predict.calls
            call = _seconds(lambda one=one: solver.solve(model, one, background=background))
            results.append(call[1])
            spent = proof.seconds - before[0], predict.seconds - before[1]
            parts["call"].append(call[0])
            parts["proof"].append(spent[0])
            parts["predict"].append(spent[1])
            parts["asked"].append((predict.calls - before[2]) / 1e3)
            parts["fixed"].append(call[0] - sum(spent))
    for one, result in zip(alone, results, strict=True):
        parts["predict_1"].append(_seconds(lambda one=one: model.predict(one))[0])
        parts["explain"].append(_seconds(lambda result=result: result.explain(row=0))[0])
        parts["to_frame"].append(_seconds(lambda result=result: result.to_frame(details=True))[0])
    middle = {name: 1e3 * float(np.median(values[1:])) for name, values in parts.items()}
    figures = {"first": 1e3 * parts["call"][0], "later": middle.pop("call")} | middle
    figures["ratio"] = figures["later"] / figures["predict_1"]
    figures["found"] = float(np.mean([bool(result.reachable[0]) for result in results]))
    return figures


_PARTS = ("call", "fixed", "proof", "predict", "asked", "predict_1", "explain", "to_frame")


class _Stopwatch:
    """Seconds inside of a function, and calls of it; a call inside of a call is part of it."""

    def __init__(self) -> None:
        self.seconds, self.calls, self._inside = 0.0, 0, False

    def around(self, function: Callable) -> Callable:
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return function(*given, **named)
            self._inside, begin = True, time.process_time()
            try:
                return function(*given, **named)
            finally:
                self.seconds += time.process_time() - begin
                self.calls += 1
                self._inside = False

        return timed


# Where methods prove, and where models are asked.
_PROOFS = [
    (_networks, "branch_and_bound"),
    (_trees, "branch_and_bound"),
    (_trees, "greedy_points"),
    (_convex, "solve_convex"),
    (_linear, "solve_linear"),
    (_across_rules, "solve_across_rules"),
]
_ASKS = [(Predictor, "predict"), (RowHead, "__call__")]


@contextmanager
def _timed(places: list[tuple[Any, str]]) -> Iterator[_Stopwatch]:
    watch = _Stopwatch()
    saved = [getattr(*place) for place in places]
    for (owner, name), function in zip(places, saved, strict=True):
        setattr(owner, name, watch.around(function))
    try:
        yield watch
    finally:
        for (owner, name), function in zip(places, saved, strict=True):
            setattr(owner, name, function)


def _seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    value = function()
    return time.process_time() - begin, value


if __name__ == "__main__":
    main()
