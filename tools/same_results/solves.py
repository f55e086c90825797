"""Cases that ask a solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from arrays import Arrays, Case, answers, under
from asked_models import linear, model_of, people_of
from fits import deferred
from names import make, public
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import TABLES, Table, free_rules, numeric_columns, plain_numbers, table, three_labels


class Question(NamedTuple):
    """One call of a solver: table, model, old parameters, and what ``solve`` is given."""

    name: str
    kind: str
    old: dict[str, Any]
    people: int = 30
    rules: Callable[[Table], Any] | None = None
    more: Callable[[Table, Any, pd.DataFrame], dict[str, Any]] | None = None


def solver_for(data: Table, rules: Any = None, **old: Any) -> Any:
    """Return a solver with the table's rules and target, unless others are given."""
    given = {"target": data.target, "random_state": 0, **old}
    return make("RecourseSolver", data.rules if rules is None else rules, **given)


def run_question(question: Question, out: Path) -> Arrays:
    """Solve, and return the answers."""
    data, model = table(question.name), model_of(question.name, question.kind)
    people = people_of(question.name, model, question.people)
    rules = None if question.rules is None else question.rules(data)
    more = {} if question.more is None else question.more(data, model, people)
    old = {name: deferred(value) for name, value in question.old.items()}
    solver = solver_for(data, rules, **old)
    return answers(solver.solve(model, people, background=data.X, **more))


def people_for(name: str, method: str, cost: str) -> int:
    """Return how many refused people are asked about: quadratic programs take seconds each."""
    quadratic = (cost == "mixed" and method == "auto") or (cost != "l1" and method == "milp")
    if quadratic:
        return {"default": 1, "compas": 10, "bank": 10}.get(name, 3)
    return 20 if method in ("milp", "search") else 40


def linear_questions() -> dict[str, Question]:
    """Return every method and cost on linear models."""
    cases = {}
    wanted = [
        (method, cost) for method in ("auto", "milp", "pgd") for cost in ("l1", "l2", "mixed")
    ]
    wanted += [("direct", "l1"), ("direct", "l2"), ("search", "l1"), ("search", "l2")]
    wanted += [("search", "mixed"), ("steps", "l1")]
    free = [("lp", "l1"), ("qp", "l2"), ("qp", "mixed"), ("direct", "l1"), ("direct", "l2")]
    free += [("milp", "l1"), ("auto", "mixed"), ("pgd", "l2"), ("steps", "l2")]
    for name in TABLES:
        for method, cost in wanted:
            people = people_for(name, method, cost)
            old = {"method": method, "cost": cost}
            cases[f"{name}/linear/{method}-{cost}"] = Question(name, "linear", old, people)
        for method, cost in free:
            old = {"method": method, "cost": cost}
            cases[f"{name}/free/{method}-{cost}"] = Question(
                name, "linear", old, 20, rules=free_rules
            )
    return cases


def network_questions() -> dict[str, Question]:
    """Return the searches on networks and on closed models."""
    cases = {}
    wanted = [("auto", "l1"), ("pgd", "l2"), ("auto", "mixed"), ("steps", "l1"), ("search", "l2")]
    for name in TABLES:
        for kind in ("teacher", "quantized"):
            for method, cost in wanted:
                old = {"method": method, "cost": cost}
                cases[f"{name}/{kind}/{method}-{cost}"] = Question(name, kind, old, 20)
        for kind in ("columns", "mlp"):
            cases[f"{name}/{kind}/auto"] = Question(name, kind, {"cost": "l2"}, 15)
        for kind, cost in (("tree", "l1"), ("forest", "l2"), ("function", "l1")):
            cases[f"{name}/{kind}/auto-{cost}"] = Question(name, kind, {"cost": cost}, 20)
    return cases


def constrained(data: Table) -> Any:
    """Return the rules of the credit table with rules across features."""
    rules = [
        "change(savings) + change(income) <= 1500",
        "loan_amount >= 2 * income",
        "if employment == 'permanent' then change(income) <= 600",
        "if changes(employment) then stays(loan_duration)",
    ]
    return clone(data.rules).set_params(constraints=rules)


def implied(data: Table) -> Any:
    """Return the rules of the credit table with changes that follow from others."""
    follows = {"age": {"education": 2, "years_employed": 1}}
    return clone(data.rules).set_params(implied=follows)


def limited(data: Table) -> Any:
    """Return the rules of the credit table with limits of a change."""
    most, least = {"loan_amount": 4000, "income": 500}, {"loan_duration": 12, "savings": 500}
    return clone(data.rules).set_params(max_change=most, min_change=least, max_changes=None)


def linked(data: Table) -> Any:
    """Return continuous rules of the credit table, with linear rules across them."""
    rules = ["change(savings) + change(income) <= 1500", "loan_amount >= 2 * income"]
    return free_rules(data).set_params(constraints=rules)


def _overrides(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    name = numeric_columns(data.X)[-1]
    own = [one for one in data.X.columns if one not in data.rules.immutable][:2]
    labels = people.index[::3]
    low, high = data.X[name].quantile([0.2, 0.8])
    rules = {"immutable": own[:1], "bounds": {own[1]: (None, None)}}
    if own[1] in numeric_columns(data.X):
        rules["bounds"] = {own[1]: (float(low), float(high))}
    else:
        del rules["bounds"]
    return {"overrides": dict.fromkeys(labels, rules)}


def _linear_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    return {"variants": [linear(data.name, seed) for seed in (1, 2)]}


def _deployed_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    drawn = public("deployment_variants")(model, 3, X=data.X, random_state=0)
    return {"variants": drawn}


def _rounded_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    kinds = ("rounding", "steps")
    return {
        "variants": public("deployment_variants")(model, 3, kinds=kinds, bits=6, random_state=0)
    }


def _start(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    favored = data.X[np.asarray(model.predict(data.X)) == data.target]
    return {"start": favored.iloc[np.arange(len(people)) % len(favored)].set_index(people.index)}


def option_questions() -> dict[str, Question]:
    """Return the options of the solver, on the models that each applies to."""
    q, cases = Question, {}
    several = {"n_alternatives": 2}
    for kind, methods in {
        "linear": ("direct", "milp", "pgd", "search"),
        "teacher": ("pgd", "search"),
        "quantized": ("auto",),
        "tree": ("search",),
    }.items():
        for method in methods:
            end = f"{kind}-{method}"
            old = {"method": method}
            cases[f"alternatives/{end}"] = q("credit", kind, {**old, **several}, 15)
            cases[f"overrides/{end}"] = q("german", kind, old, 20, more=_overrides)
            cases[f"proba/{end}"] = q("german", kind, {**old, "target_proba": 0.7}, 15)
    for kind in ("linear", "teacher", "quantized", "tree"):
        cases[f"constraints/{kind}"] = q("credit", kind, {}, 15, rules=constrained)
        n = 2 if kind == "linear" else 15
        cases[f"constraints/{kind}-l2"] = q("credit", kind, {"cost": "l2"}, n, rules=constrained)
        cases[f"implied/{kind}"] = q("credit", kind, {}, 15, rules=implied)
        cases[f"limits/{kind}"] = q("credit", kind, {"cost": "l2"}, 20, rules=limited)
        cases[f"start/{kind}"] = q("german", kind, {"method": "search"}, 15, more=_start)
        cases[f"margin/{kind}"] = q("german", kind, {"margin": 0.2}, 20)
        cases[f"jitter/{kind}"] = q("credit", kind, {"stand_off": 1e-2}, 15)
        cases[f"mad/{kind}"] = q("compas", kind, {"cost_weights": "mad"}, 20)
        cases[f"opposite/{kind}"] = q("compas", kind, {"target": "opposite"}, 20)
    cases["linked/lp"] = q("credit", "linear", {"method": "lp"}, 15, rules=linked)
    cases["linked/qp"] = q("credit", "linear", {"method": "qp", "cost": "l2"}, 15, rules=linked)
    cases["linked/pgd"] = q("credit", "linear", {"method": "pgd"}, 15, rules=linked)
    cases["uniform/direct"] = q("adult", "linear", {"cost_weights": "uniform"}, 40)
    cases["steps/seven"] = q(
        "adult", "teacher", {"method": "steps", "n_steps": 7, "step_size": 0.3}
    )
    cases["beam/teacher"] = q("adult", "teacher", {"beam_width": 2, "n_restarts": 3}, 15)
    cases["large/direct-l1"] = q("large", "linear", {}, 5000)
    cases["large/direct-l2"] = q("large", "linear", {"cost": "l2"}, 5000)
    cases["large/free-l1"] = q("large", "linear", {}, 5000, rules=free_rules)
    cases["large/pgd"] = q("large", "quantized", {"n_restarts": 0, "beam_width": 2}, 1200)
    cases["batches/direct"] = q("bank", "linear", {"batch_size": 7}, 30)
    return {**cases, **robust_questions()}


def robust_questions() -> dict[str, Question]:
    """Return questions about several models, and about boxes of weights."""
    q, cases = Question, {}
    for cost in ("l1", "l2", "mixed"):
        box = {"weight_radius": 0.02, "cost": cost}
        cases[f"variants/milp-{cost}"] = q(
            "german", "linear", {"cost": cost}, 8 if cost == "l1" else 2, more=_linear_variants
        )
        cases[f"radius/auto-{cost}"] = q("german", "linear", box, 3 if cost == "mixed" else 12)
        convex = {**box, "method": "lp" if cost == "l1" else "qp"}
        cases[f"radius/convex-{cost}"] = q("credit", "linear", convex, 12, rules=free_rules)
    cases["radius/milp"] = q("credit", "linear", {"weight_radius": 0.02, "method": "milp"}, 10)
    for method, cost in (("lp", "l1"), ("qp", "l2")):
        cases[f"variants/{method}"] = q(
            "credit", "linear", {"method": method, "cost": cost}, 12, free_rules, _linear_variants
        )
    for method in ("pgd", "search"):
        old = {"method": method}
        cases[f"variants/linear-{method}"] = q("german", "linear", old, 12, more=_linear_variants)
        cases[f"variants/quantized-{method}"] = q(
            "credit", "quantized", old, 12, more=_deployed_variants
        )
    cases["variants/teacher"] = q("credit", "teacher", {}, 12, more=_rounded_variants)
    return cases


def run_compare(name: str, kinds: tuple[str, str], old: dict[str, Any], out: Path) -> Arrays:
    """Compare two models by a solver."""
    data = table(name)
    models = [linear(name, i) if k == "linear" else model_of(name, k) for i, k in enumerate(kinds)]
    rules = constrained(data) if old.get("constrained") else None
    old = {key: value for key, value in old.items() if key != "constrained"}
    people = people_of(name, models[0], 20)
    both = solver_for(data, rules, **old).compare(*models, people, background=data.X)
    return under("reference", answers(both[0])) | under("deployed", answers(both[1]))


def run_three(name: str, kind: str, old: dict[str, Any], free: bool, out: Path) -> Arrays:
    """Ask about a target of three classes."""
    data = table(name)
    if kind == "linear":
        model = linear(name, labels="three")
    else:
        chosen = make("TeacherClassifier", (16,), max_iter=10, batch_size=32, random_state=0)
        model = chosen.fit(data.X, three_labels(data))
    people = people_of(name, model, 15, "z: more of it")
    rules = free_rules(data) if free else None
    solver = solver_for(data, rules, **{"target": "z: more of it", **old})
    return answers(solver.solve(model, people, background=data.X))


def run_own_targets(method: str, out: Path) -> Arrays:
    """Ask for another target for each person."""
    data, model = table("compas"), linear("compas", labels="three")
    people = data.new[:30]
    wanted = np.random.RandomState(0).choice(model.classes_, len(people))
    solver = solver_for(data, method=method, target=wanted)
    return answers(solver.solve(model, people, background=data.X))


def run_chunks(out: Path) -> Arrays:
    """Solve a table chunk by chunk, and in two jobs' batches."""
    data, model = table("credit"), linear("credit")
    chunks = [data.new[start : start + 40] for start in range(0, 120, 40)]
    arrays: Arrays = {}
    solver = solver_for(data)
    for i, result in enumerate(solver.solve_chunks(model, chunks, background=data.X)):
        arrays |= under(f"chunk {i}", answers(result))
    return arrays


def plain_cases() -> Iterator[tuple[str, Case]]:
    """Yield the cases on plain arrays of numbers: the fast lane and what just misses it."""
    limits = {
        "bounds": {3: (-4.0, 8.0)},
        "relative_bounds": {4: (-2.0, 3.0)},
        "quantile_bounds": {5: (0.05, 0.95)},
        "max_change": {6: 10.0},
    }
    rules: dict[str, dict[str, Any]] = {
        "all": {},
        "limits": {"immutable": [0, 7], "increasing": [1], "decreasing": [2], **limits},
        "few": {"max_changes": 2},
        "grid": {"steps": {8: 2.0, 9: 5.0}, "min_change": {10: 3.0}},
        "tied": {"constraints": ["change(`3`) + change(`4`) <= 2"]},
    }
    for name, parameters in rules.items():
        for cost in ("l1", "l2"):
            n = 40 if name == "tied" else 5000
            old = {"cost": cost}
            yield f"plain/{name}-{cost}", partial(run_plain, parameters, old, n, "raw")
    for cost in ("l1", "l2"):
        old, some = {"cost": cost}, rules["limits"]
        yield f"plain/scaled-{cost}", partial(run_plain, some, old, 5000, "scaled")
        yield f"plain/gaps-{cost}", partial(run_plain, some, old, 500, "gaps")
        yield f"plain/single-{cost}", partial(run_plain, some, old, 3, "raw")
        yield f"plain/some-{cost}", partial(run_plain, some, old, 300, "raw")
        margin = {**old, "margin": 0.3, "cost_weights": "mad"}
        yield f"plain/margin-{cost}", partial(run_plain, some, margin, 2000, "scaled")
        radius = {**old, "weight_radius": 0.001}
        yield f"plain/radius-{cost}", partial(run_plain, some, radius, 500, "scaled")
        several = {**old, "n_alternatives": 2}
        yield f"plain/several-{cost}", partial(run_plain, some, several, 200, "scaled")
        batches = {**old, "batch_size": 999}
        yield f"plain/batches-{cost}", partial(run_plain, some, batches, 5000, "raw")


def run_plain(rules: dict[str, Any], old: dict[str, Any], n: int, form: str, out: Path) -> Arrays:
    """Solve a plain array for a linear model."""
    X, y = plain_numbers()
    steps: list[Any] = [] if form == "raw" else [StandardScaler()]
    if form == "gaps":
        X = np.where(np.random.RandomState(3).random_sample(X.shape) < 0.02, np.nan, X)
        steps = [SimpleImputer(), *steps]
    model = make_pipeline(*steps, LogisticRegression(max_iter=5000)).fit(X, y)
    solver = make("RecourseSolver", make("ActionSet", **rules), target=1, random_state=0, **old)
    return answers(solver.solve(model, X[:n], background=X))


def solver_cases() -> Iterator[tuple[str, Case]]:
    """Yield the cases that ask a solver."""
    for questions in (linear_questions(), network_questions(), option_questions()):
        for name, question in questions.items():
            yield f"solve/{name}", partial(run_question, question)
    for cost in ("l1", "l2"):
        old = {"cost": cost}
        yield f"compare/linear-{cost}", partial(run_compare, "german", ("linear",) * 2, old)
        deployed = ("teacher", "quantized")
        yield f"compare/networks-{cost}", partial(run_compare, "credit", deployed, old)
    tied = {"constrained": True}
    yield "compare/milp", partial(run_compare, "credit", ("linear",) * 2, tied)
    yield (
        "compare/jitter",
        partial(run_compare, "german", ("teacher", "quantized"), {"stand_off": 1e-3}),
    )
    for method, free in (("auto", False), ("pgd", False), ("search", False), ("lp", True)):
        case = partial(run_three, "credit", "linear", {"method": method}, free)
        yield f"three/linear-{method}", case
    for method in ("auto", "steps"):
        yield (
            f"three/teacher-{method}",
            partial(run_three, "adult", "teacher", {"method": method}, False),
        )
    yield "targets/auto", partial(run_own_targets, "auto")
    yield "targets/pgd", partial(run_own_targets, "pgd")
    yield "chunks/auto", run_chunks
    yield from plain_cases()
