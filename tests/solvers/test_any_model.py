"""Models that are only a function: found and verified, or not found, and never more than that."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.exceptions import BackgroundRequiredError, UnsupportedModelError
from skcfq.models import as_predictor

LEVELS = list("xyz")


def draw_table(n: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "hours": rng.randint(0, 60, n),
            "savings": rng.randint(0, 50, n) * 100.0,
            "debt": rng.randint(0, 30, n) * 100.0,
            "job": rng.choice(LEVELS, n),
            "age": rng.randint(20, 70, n),
        }
    )
    score = X["hours"] / 20 + (X["savings"] - X["debt"]) / 1000 + X["job"].map(LEVELS.index)
    return X, np.where(score > score.quantile(0.7), "grant", "refuse")


RULES = {
    "immutable": ["age"],
    "bounds": {"hours": (0, 50), "savings": (0, 6000), "debt": (0, None)},
    "decreasing": ["debt"],
    "steps": {"hours": 5, "savings": 500, "debt": 100},
    "transitions": {"job": {"x": ["y"], "y": ["z"], "z": []}},
    "constraints": ["change(savings) <= 4000", "if job == 'z' then hours >= 20"],
    "max_changes": 3,
}


def score_rows(X: pd.DataFrame) -> np.ndarray:
    """Return probabilities of a rule with a jump, which has no useful gradient."""
    points = X["hours"] / 20 + (X["savings"] - X["debt"]) / 1000 + 1.0 * (X["job"] == "z")
    share = np.where(points > 3, 0.9, 0.1)
    return np.column_stack([1 - share, share])


def closed_models(X, y) -> dict:
    encoder = TableEncoder().fit(X)
    return {
        "forest": make_pipeline(TableEncoder(), RandomForestClassifier(15, random_state=0)).fit(
            X, y
        ),
        "boosting": make_pipeline(TableEncoder(), HistGradientBoostingClassifier(max_iter=15)).fit(
            X, y
        ),
        "kernel": make_pipeline(TableEncoder(), SVC()).fit(X, y),
        "behind a PCA": make_pipeline(encoder, PCA(4), LogisticRegression()).fit(X, y),
        "function": as_predictor(score_rows, classes=["refuse", "grant"], background=X),
        "labels": as_predictor(
            lambda rows: np.where(score_rows(rows)[:, 1] > 0.5, "grant", "refuse"),
            classes=["refuse", "grant"],
            background=X,
            output="labels",
        ),
    }


X, Y = draw_table()
MODELS = closed_models(X, Y)


def assert_rules_kept(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Check the rules above by plain comparisons of raw rows."""
    moved = after != before
    assert not moved["age"].any() and (moved.sum(axis=1) <= 3).all()
    for name, step in RULES["steps"].items():
        values = after[name][moved[name]]
        assert (values % step == 0).all()
        low, high = RULES["bounds"][name]
        assert (values >= low).all() and (high is None or (values <= high).all())
    assert (after["debt"] <= before["debt"]).all()
    assert (after["savings"] - before["savings"] <= 4000).all()
    jobs = pd.DataFrame({"from": before["job"], "to": after["job"]})[moved["job"]]
    assert set(map(tuple, jobs.to_numpy())) <= {("x", "y"), ("y", "z")}
    excused = (before["job"] == "z") & (before["hours"] < 20) & ~(moved["job"] | moved["hours"])
    assert ((after["job"] != "z") | (after["hours"] >= 20) | excused).all()


@pytest.mark.parametrize("name", MODELS)
def test_only_feasible_or_not_found_and_every_rule_kept(name):
    model, people = MODELS[name], X.head(20)
    # Trees would be proved otherwise.
    method = "black_box" if name in ("forest", "boosting") else "auto"
    solver = RecourseSolver(ActionSet(**RULES), target="grant", method=method, random_state=0)
    result = solver.solve(model, people, background=X)
    decide = model.predict
    assert result.method == "black_box" and "method=black_box" in result.protocol
    np.testing.assert_array_equal(result.denied, decide(people) != "grant")
    assert set(result.status[result.denied]) <= {"feasible", "not_found"}
    assert result.reachable.sum() > 5
    assert (decide(result.points)[result.reachable] == "grant").all()
    assert_rules_kept(people, result.points)
    assert not result.lower_bound[result.denied].any()
    again = solver.solve(model, people, background=X)
    pd.testing.assert_frame_equal(again.points, result.points)


def test_no_heuristic_beats_all_rows_and_it_finds_most_of_what_is_there():
    people = X.head(40)
    model = MODELS["function"]
    rules = RULES | {"constraints": ["change(savings) <= 4000"]}
    solver = RecourseSolver(ActionSet(**rules), target="grant", random_state=0)
    result = solver.solve(model, people, background=X)
    scale = {k: abs(model.space.block(k).scale) for k in ("hours", "savings", "debt")}
    weight = dict(
        zip(result.feature_names, result.cost_function.feature_weights.tolist(), strict=True)
    )
    there, found = 0, []
    for i in np.flatnonzero(result.denied):
        person = people.iloc[i]
        axes = [
            sorted({*range(0, 51, 5), person["hours"]}),
            sorted(
                {*np.arange(0, min(6000, person["savings"] + 4000) + 1, 500), person["savings"]}
            ),
            sorted({*np.arange(0, person["debt"] + 1, 100), person["debt"]}),
            [person["job"], *RULES["transitions"]["job"][person["job"]]],
        ]
        rows = pd.DataFrame(list(itertools.product(*axes)), columns=list(X)[:4])
        rows = rows[score_rows(rows)[:, 1] > 0.5]
        rows = rows[(rows != person[:4]).sum(axis=1) <= 3]
        if len(rows) == 0:
            assert result.status[i] == "not_found"
            continue
        there += 1
        cost = sum(weight[k] * scale[k] * (rows[k] - person[k]).abs() for k in scale)
        cost += weight["job"] * (rows["job"] != person["job"])
        if result.reachable[i]:
            assert result.cost[i] >= cost.min() * (1 - 1e-9)
            found.append(result.cost[i] / cost.min())
    # Between its two plateaus the function shows no way.
    assert there > 20 and len(found) > 0.75 * there
    assert np.median(found) < 1.1


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *itertools.product(["forest"], ["lp", "milp", "gradient", "pgd"]),
        *itertools.product(
            ["behind a PCA", "function"], ["exact", "lp", "milp", "gradient", "pgd"]
        ),
    ],
)
def test_other_methods_say_why_they_cannot(method, name):
    solver = RecourseSolver(target="grant", method=method)
    reason = {"forest": "RandomForest", "behind a PCA": "PCA", "function": "only a function"}[name]
    with pytest.raises(UnsupportedModelError, match=f"method={method!r}.*{reason}.*'black_box'"):
        solver.solve(MODELS[name], X.head(5), background=X)
    with pytest.raises(UnsupportedModelError, match="weight_radius=0.1.*linear"):
        RecourseSolver(target="grant", weight_radius=0.1).solve(
            MODELS[name], X.head(5), background=X
        )


def test_a_network_refuses_programs_and_search_takes_it_too():
    head = MLPClassifier((5,), solver="lbfgs", max_iter=3000, random_state=0)
    network = make_pipeline(TableEncoder(), head).fit(X, Y)
    for method in ("lp", "qp", "milp"):
        with pytest.raises(UnsupportedModelError, match="MLPClassifier is not linear.*'gradient'"):
            RecourseSolver(target="grant", method=method).solve(network, X.head(5))
    rules = ActionSet(**RULES)
    result = RecourseSolver(rules, target="grant", method="black_box", random_state=0).solve(
        network, X.head(20)
    )
    assert set(result.status[result.denied]) <= {"feasible", "not_found"}
    assert (network.predict(result.points)[result.reachable] == "grant").all()
    assert result.reachable.sum() > 5


class Failing:
    """A service that answers a few questions and then fails."""

    __name__ = "service"

    def __init__(self, answer, good: int):
        self.answer, self.left = answer, good

    def __call__(self, rows):
        self.left -= 1
        return score_rows(rows) if self.left >= 0 else self.answer(rows)


def unavailable(rows):
    raise ConnectionError("service 503: try again later")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (unavailable, ConnectionError, "service 503"),
        (
            lambda rows: score_rows(rows)[:-1],
            UnsupportedModelError,
            r"service.*shape \(\d+, 2\).*rows",
        ),
        (
            lambda rows: score_rows(rows)[:, [0, 1, 1]],
            UnsupportedModelError,
            r"service.*2\s+classes",
        ),
        (lambda rows: score_rows(rows) * np.nan, UnsupportedModelError, "service.*not finite"),
    ],
    ids=["raises", "rows", "columns", "NaN"],
)
@pytest.mark.parametrize("good", [1, 4], ids=["at once", "while searching"])
def test_a_function_that_fails_is_named(answer, error, message, good):
    model = as_predictor(Failing(answer, good), classes=["refuse", "grant"], background=X)
    with pytest.raises(error, match=message):
        RecourseSolver(target="grant", random_state=0).solve(model, X.head(20))


def test_a_function_says_what_it_needs():
    with pytest.raises(UnsupportedModelError, match="score_rows.*`classes=`"):
        as_predictor(score_rows, background=X)
    with pytest.raises(BackgroundRequiredError, match="background"):
        as_predictor(score_rows, classes=["refuse", "grant"])
    with pytest.raises(UnsupportedModelError, match="as_predictor"):
        RecourseSolver(target="grant").solve(score_rows, X)
    strange = as_predictor(
        lambda rows: np.full(len(rows), "maybe"),
        classes=["refuse", "grant"],
        background=X,
        output="labels",
    )
    with pytest.raises(UnsupportedModelError, match="'maybe'.*classes"):
        RecourseSolver(target="grant", random_state=0).solve(strange, X.head(5))


def test_a_function_of_arrays_with_three_classes():
    rng = np.random.RandomState(1)
    table = rng.randint(0, 10, (60, 3)) * 1.0

    def logits(rows):
        return np.column_stack([4 - rows[:, 0], np.minimum(rows[:, 1], 5), rows[:, 2] - 4])

    model = as_predictor(logits, classes=["a", "b", "c"], background=table)
    wanted = rng.choice(["a", "b", "c"], 60)
    rules = ActionSet(steps={0: 1, 1: 1, 2: 1}, max_changes=2)
    result = RecourseSolver(rules, target=wanted, random_state=0).solve(model, table)
    assert (np.array(["a", "b", "c"])[logits(result.points).argmax(axis=1)] == wanted)[
        result.valid
    ].all()
    assert result.reachable.sum() > 25 and (result.points % 1 == 0).all()
