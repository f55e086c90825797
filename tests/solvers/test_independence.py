"""A person's answer depends on that person, the model, the rules and the seed: on nobody else."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import Draws, RecourseProblem, quadratic_knapsack
from skcfq.solvers.search._relaxed_descent import random_points
from skcfq.utils import row_products

pytestmark = pytest.mark.usefixtures("short_teachers")

RULES = [
    {"immutable": ["age"], "max_changes": 3},
    {"increasing": ["income"], "steps": {"score": 0.5}, "min_change": {"score": 1.0}},
    {"constraints": ["loans + kids <= 9"], "bounds": {"loans": (0, 9)}},
    {"immutable": ["debt"], "implied": {"debt": {"income": -0.01}}},
]
# Programs without integers take numbers between limits only.
BETWEEN = [
    {"actionable": ["income", "debt", "score"], "steps": {"income": 0}},
    {"actionable": ["income", "debt", "score"], "constraints": ["debt <= score / 9 + 1"]},
]
OPEN = [(0, None), (None, 3), (None, None), (0, 20)]
CASES = [
    ("linear", "exact"),
    ("linear", "milp"),
    ("linear", "gradient"),
    ("relu", "gradient"),
    ("logistic", "gradient"),
    ("teacher", "pgd"),
    ("teacher", "black_box"),
    ("quantized", "gradient"),
    ("quantized", "pgd"),
    ("trees", "black_box"),
    ("linear", "lp"),
    ("linear", "qp"),
    ("relu", "exact"),
    ("teacher", "exact"),
    ("quantized", "exact"),
    ("quantized", "auto"),
]
GRIDS = {"income": 5, "debt": 0.5, "score": 4}


@functools.cache
def table():
    rng, n = np.random.default_rng(0), 260
    X = pd.DataFrame(
        {
            "loans": rng.integers(0, 9, n),
            "kids": rng.integers(0, 4, n),
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(3, 1, n),
            "debt": np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
            "score": 10 * rng.normal(size=n),
            "job": rng.choice(list("abcd"), n),
        }
    )
    score = np.log(X.income) - X.loans / 3 + 1.5 * (X.job == "a") - X.debt.fillna(0) * X.score / 9
    return X, np.where(score + 0.3 * rng.normal(size=n) > score.quantile(0.6), "yes", "no")


@functools.cache
def model(kind):
    X, y = table()
    teacher = TeacherClassifier(hidden_layer_sizes=(9, 5), max_iter=20, random_state=0)
    if kind == "teacher":
        return teacher.fit(X, y)
    if kind == "quantized":
        return PTQClassifier(4, teacher=model("teacher"), random_state=0, target="yes").fit(X, y)
    last = {
        "linear": LogisticRegression(max_iter=500),
        "relu": MLPClassifier((7, 5), max_iter=60, learning_rate_init=0.05, random_state=0),
        "logistic": MLPClassifier(
            (13,), activation="logistic", max_iter=60, learning_rate_init=0.05, random_state=0
        ),
        "trees": GradientBoostingClassifier(n_estimators=8, random_state=0),
    }[kind]
    with warnings.catch_warnings():
        # How well it learns does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(TableEncoder(), last).fit(X, y)


def problem(kind, method, seed, n=6):
    """Return a function from positions of people to their answers, and how many there are."""
    rng = np.random.default_rng(seed)
    X, _ = table()
    refused = np.flatnonzero(model(kind).predict(X) == "no")
    people = X.iloc[rng.choice(refused, n, replace=False)]
    rules = BETWEEN if method in ("lp", "qp") else RULES
    bounded, held = ("loans", ["job", "debt", "kids"]) if rules is RULES else ("score", ["debt"])
    own = {}
    for label in people.index[rng.random(n) < 0.5]:
        own[label] = {"bounds": {bounded: OPEN[rng.integers(len(OPEN))]}}
        if rng.random() < 0.5:
            own[label]["immutable"] = [rng.choice(held)]
    # Proofs on networks take no rule across features where numbers have no grid.
    plain = method == "exact" and kind != "linear"
    rules = ActionSet(**rules[rng.integers(2 if plain else len(rules))])
    cost = {"milp": "l1", "lp": "l1", "qp": "l2"}.get(method) or rng.choice(["l1", "l2"])
    settings = {"cost": cost, "n_alternatives": 1 + (seed % 4 == 0)}
    if kind != "linear" and method in ("exact", "auto"):
        # Some proofs are given up.
        rules.set_params(steps=GRIDS)
        settings["max_nodes"] = 30
    if kind == "quantized":
        settings["perturbation_radius"] = [0.0, "auto"][rng.integers(2)]
    solver = RecourseSolver(rules, method=method, target="yes", random_state=0, **settings)

    def solve(rows, **more):
        asked = people.iloc[rows]
        overrides = {label: own[label] for label in asked.index if label in own}
        result = solver.set_params(**{"batch_size": None, "n_jobs": None} | more).solve(
            model(kind), asked, background=X, overrides=overrides
        )
        return [result, *result.alternatives]

    return solve, n


def assert_same(whole, part, rows):
    for mine, theirs in zip(whole, part, strict=True):
        assert mine.status[rows].tolist() == theirs.status.tolist()
        assert np.array_equal(mine.cost[rows], theirs.cost, equal_nan=True)
        assert np.array_equal(mine.margin[rows], theirs.margin, equal_nan=True)
        # A column may be wider in a batch where somebody needs that; values are equal.
        for name in mine.points.columns:
            before, after = mine.points[name].iloc[rows].tolist(), theirs.points[name].tolist()
            assert all(a == b or (a != a and b != b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("seed", "kind", "method"), [(i, *case) for i, case in enumerate(CASES)])
def test_alone_in_a_batch_and_in_another_order_the_answer_is_the_same(seed, kind, method):
    solve, n = problem(kind, method, seed)
    whole = solve(np.arange(n))
    shuffled = np.random.default_rng(seed).permutation(n)
    assert_same(whole, solve(shuffled, batch_size=3), shuffled)
    for row in range(2):
        assert_same(whole, solve(np.array([row])), [row])


def test_processes_make_no_difference(request):
    solve, n = problem("teacher", "gradient", 1, n=3)
    everybody = np.arange(n)
    alone, said = solve(everybody), request.getfixturevalue("shared")
    assert_same(alone, solve(everybody, batch_size=1, n_jobs=2), everybody)
    assert said


@pytest.mark.parametrize("method", ["exact", "milp"])
@pytest.mark.parametrize("bounds", [(0, None), (None, 3), (None, None)], ids=str)
def test_an_open_bound_of_one_person_is_nobody_elses(method, bounds):
    X, _ = table()
    people = X[model("linear").predict(X) == "no"].head(20)
    solver = RecourseSolver(ActionSet(immutable=["job"]), target="yes", method=method)
    before = solver.solve(model("linear"), people)
    own = {people.index[0]: {"bounds": {"loans": bounds}}}
    after = solver.solve(model("linear"), people, overrides=own)
    assert "optimal" in before.status[1:]
    assert np.array_equal(before.status[1:], after.status[1:])
    assert np.array_equal(before.cost[1:], after.cost[1:], equal_nan=True)


def test_a_row_of_plain_numbers_is_solved_the_same_way_beside_gaps_rules_and_other_targets():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 11))
    y = (X @ rng.normal(size=11) > 0).astype(int)
    lr = LogisticRegression().fit(X, y)
    for cost in ("l1", "l2"):
        solver = RecourseSolver(ActionSet(), cost=cost, target=1)
        people = X[lr.predict(X) == 0][:40]
        alone = solver.solve(lr, people, background=X)
        own = solver.solve(lr, people, background=X, overrides={0: {"bounds": {1: (-1, None)}}})
        assert np.array_equal(alone.points[1:], own.points[1:])
        mixed = RecourseSolver(ActionSet(), cost=cost, target=np.r_[np.ones(40, int), 0]).solve(
            lr, np.vstack([people, X[y == 1][:1]]), background=X
        )
        assert np.array_equal(alone.points, mixed.points[:40])
        for row in range(3):
            one = solver.solve(lr, people[[row]], background=X)
            assert np.array_equal(one.points[0], alone.points[row])
            assert one.cost[0] == alone.cost[row]


@pytest.mark.parametrize("kind", ["linear", "relu", "logistic", "teacher", "quantized"])
def test_the_logits_of_a_row_are_its_own(kind):
    X, _ = table()
    predictor = as_predictor(model(kind), background=X)
    Z = torch.from_numpy(predictor.space.encode(X)).nan_to_num()
    target = torch.ones(len(Z), dtype=torch.int64)
    logits, (gradient, _) = predictor.logits(Z), predictor.loss_gradient(Z, target)
    scores = predictor.row_scores(X.fillna(0.0))
    for rows in ([3], [5, 3], [7, 8, 3], np.r_[9:40, 3], np.r_[0:201]):
        assert torch.equal(predictor.logits(Z[rows]), logits[rows])
        assert torch.equal(predictor.loss_gradient(Z[rows], target[rows])[0], gradient[rows])
        assert np.array_equal(predictor.row_scores(X.iloc[rows].fillna(0.0)), scores[rows])


def test_draws_are_even_and_ones_own():
    people = np.random.default_rng(0).normal(size=(2000, 3))
    numbers = Draws(7, people).uniform(50).numpy()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.abs(numbers.mean(axis=0) - 0.5).max() < 0.03
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert np.abs(counts / 5000 - 1).max() < 0.06
    # Neither people nor numbers of a person follow each other.
    assert np.abs(np.corrcoef(numbers.T) - np.eye(50)).max() < 0.12
    assert np.abs(np.corrcoef(numbers[:50]) - np.eye(50)).max() < 0.6
    later = Draws(7, people[[9]])
    later.uniform(20)
    assert np.array_equal(later.uniform(30).numpy()[0], numbers[9, 20:])
    assert not np.array_equal(Draws(8, people).uniform(50).numpy(), numbers)
    assert np.array_equal(
        Draws(7, -np.zeros((1, 2))).uniform(), Draws(7, np.zeros((1, 2))).uniform()
    )


@pytest.mark.parametrize("count", [0, 3])
def test_random_points_are_the_same_drawn_together_and_one_after_the_other(count):
    region = region_of(ActionSet().compile(as_predictor(model("teacher")).space), table()[0][:4])
    problem = RecourseProblem(
        as_predictor(model("teacher")),
        region,
        compile_cost(region.compiled),
        torch.ones(4, dtype=torch.int64),
        0.0,
    )
    people = region.origin.numpy()
    together, alone = Draws(0, people), Draws(0, people)
    points = random_points(problem, together, count)
    each = [random_points(problem, alone) for _ in range(count)]
    assert torch.equal(points, torch.cat([points[:0], *each]))
    assert len(points) == 4 * count
    assert torch.equal(together.uniform(2), alone.uniform(2))


def test_sums_and_products_of_a_row_are_its_own():
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=(90, 13)), np.column_stack([np.zeros(13), rng.normal(size=13)])
    together = row_products(np.asfortranarray(rows), weights)
    assert np.allclose(together, rows @ weights)
    for row in range(90):
        assert np.array_equal(row_products(rows[[row]], weights)[0], together[row])


def test_lower_ends_of_one_row_change_no_other_knapsack():
    rng = np.random.default_rng(0)
    slope, weight = rng.random((40, 9)), rng.random(9) + 0.5
    most, need = 3 * rng.random((40, 9)), rng.random(40)
    least = np.zeros((40, 9))
    least[0] = most[0] / 20
    plain, _ = quadratic_knapsack(slope, weight, most, need)
    lifted, _ = quadratic_knapsack(slope, weight, most, need, least)
    assert np.array_equal(plain[1:], lifted[1:])
    assert (lifted[0] >= least[0]).all()


@pytest.mark.parametrize("method", ["exact", "milp"])
def test_a_person_far_outside_takes_no_grid_from_others(method):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"loans": rng.integers(0, 11, 200), "income": rng.normal(size=200)})
    lr = LogisticRegression().fit(X, (X.loans + X.income > 6).astype(int))
    # The first two may come down by one loan; the others are too far out for a grid of their own.
    people = pd.DataFrame(
        {"loans": [12, 13, 5_000_000, 7_000_000], "income": [-5.5, -6.2, 0.1, 0.2]}
    )
    rules = ActionSet(bounds={"loans": (0, 10)}, immutable=["income"])
    solver = RecourseSolver(rules, method=method, target=0)
    together = solver.solve(lr, people, background=X)
    assert together.denied.all()
    assert together.points.loans.tolist()[:2] == [11, 12]
    for row in range(len(people)):
        alone = solver.solve(lr, people.iloc[[row]], background=X)
        assert alone.status[0] == together.status[row]
        assert alone.points.iloc[0].tolist() == together.points.iloc[row].tolist()
        assert alone.cost[0] == together.cost[row]
