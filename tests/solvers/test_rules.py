"""Every rule on the raw rows that come back, by plain comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.exceptions import ActionSetError, InterruptedWarning, UnsupportedModelError
from skcfq.models import as_predictor

DEGREES = ["none", "school", "college", "doctor"]


def draw_people(n: int = 150) -> pd.DataFrame:
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "age": rng.randint(20, 60, n),
            "degree": rng.choice(DEGREES, n),
            "income": rng.randint(10, 60, n) * 100.0,
            "spent": rng.randint(0, 60, n) * 100.0,
            "words": rng.randint(5, 60, n),
            "unique": rng.randint(1, 60, n),
            "job": rng.choice(["clerk", "nurse", "student"], n),
            "hours": rng.randint(0, 50, n),
        },
        index=[f"person {i}" for i in range(n)],
    )


PEOPLE = draw_people()
FREE = {
    "immutable": ["age"],
    "ordinal": {"degree": DEGREES},
    "steps": {"income": 100, "spent": 100, "words": 1, "unique": 1, "hours": 1},
    "bounds": {"hours": (0, 60)},
}


def fit(kind: str):
    """Fit a model that likes age, degrees, income, unique words and hours."""
    score = PEOPLE["age"] / 20 + PEOPLE["degree"].map(DEGREES.index) + PEOPLE["income"] / 2000
    score += PEOPLE["unique"] / 30 - PEOPLE["spent"] / 4000 + PEOPLE["hours"] / 40
    y = (score > score.quantile(0.75)).map({True: "yes", False: "no"})
    head = LogisticRegression(C=10, max_iter=2000)
    if kind == "network":
        head = MLPClassifier((6,), solver="lbfgs", max_iter=5000, random_state=0)
    return make_pipeline(TableEncoder(), head).fit(PEOPLE, y)


MODELS = {kind: fit(kind) for kind in ("linear", "network")}


def solve(model, X=None, *, overrides=None, method="auto", rules=FREE, **parameters):
    X = PEOPLE.head(40) if X is None else X
    solver = RecourseSolver(
        ActionSet(**rules), target="yes", method=method, random_state=0, **parameters
    )
    result = solver.solve(model, X, overrides=overrides)
    decided = model.predict(result.points)
    assert (decided[result.valid] == "yes").all()
    return result


def moves(result) -> pd.DataFrame:
    return (result.points != result.X)[result.reachable]


METHODS = [("linear", "auto"), ("network", "gradient"), ("network", "black_box")]


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_rules_across_features_hold_and_whoever_breaks_one_may_stay(kind, method):
    rules = FREE | {
        "constraints": [
            "unique <= words",
            "change(income) + change(hours) * 100 <= 2000",
            "if job == 'student' then hours <= 20",
        ],
        "max_changes": 3,
    }
    result = solve(MODELS[kind], PEOPLE.head(16), rules=rules, method=method)
    assert result.method == ("exact" if kind == "linear" else method)
    X, points = result.X, result.points
    broken = X["unique"] > X["words"]
    assert broken.sum() > 3 and result.reachable[broken].any()
    # Nobody's surplus of unique words grows beyond what it is, or beyond zero.
    surplus = (points["unique"] - points["words"]) - (X["unique"] - X["words"]).clip(lower=0)
    assert (surplus <= 0).all()
    budget = (points["income"] - X["income"]) + 100 * (points["hours"] - X["hours"])
    assert (budget <= 2000).all()
    lazy = (points["job"] != "student") | (points["hours"] <= 20)
    untouched = (points["job"] == X["job"]) & (points["hours"] == X["hours"])
    was_broken = (X["job"] == "student") & (X["hours"] > 20)
    assert (lazy | (was_broken & untouched)).all()
    assert result.reachable.sum() > 3
    free = solve(MODELS[kind], PEOPLE.head(16), method=method, rules=FREE | {"max_changes": 3})
    after, before = free.points, free.X
    rose = (after["income"] - before["income"]) + 100 * (after["hours"] - before["hours"])
    unlike = (after["unique"] - after["words"]) - (before["unique"] - before["words"]).clip(lower=0)
    # The control: without the rules, some answers do what the rules forbid.
    assert (rose > 2000).any() or (unlike > 0).any()


@pytest.mark.parametrize(("kind", "method"), [*METHODS, ("linear", "milp")])
def test_implied_changes_move_an_immutable_column_for_nothing(kind, method):
    rules = FREE | {
        "increasing": ["degree", "hours"],
        "immutable": ["age", "income", "spent", "words", "unique", "job"],
        "implied": {"age": {"degree": 3, "hours": 0.1}},
        "max_changes": 1,
    }
    people = PEOPLE.head(40)
    result = solve(MODELS[kind], people, rules=rules, method=method)
    ranks = result.points["degree"].map(DEGREES.index) - people["degree"].map(DEGREES.index)
    more_hours = result.points["hours"] - people["hours"]
    aged = result.points["age"] - people["age"]
    np.testing.assert_allclose(aged, 3 * ranks + 0.1 * more_hours, atol=1e-9)
    assert (aged[result.reachable] > 0).all() and result.reachable.sum() > 5
    assert result.feature_names == ("hours", "degree")
    assert (result.changed.sum(axis=1) <= 1).all()
    # Free of charge: the cost is that of the causes.
    weight = dict(
        zip(result.feature_names, result.cost_function.feature_weights.tolist(), strict=True)
    )
    hour = abs(MODELS[kind][0].feature_space_.block("hours").scale)
    expected = weight["degree"] * ranks.abs() + weight["hours"] * hour * more_hours.abs()
    np.testing.assert_allclose(result.cost[result.valid], expected[result.valid], rtol=1e-9)
    held = solve(MODELS[kind], people, rules=rules | {"implied": None}, method=method)
    assert (held.points["age"] == people["age"]).all()
    if kind == "linear":
        # The model likes age, so that what follows helps, and more people get there.
        both = result.reachable & held.reachable
        assert (result.cost[both] <= held.cost[both] + 1e-9).all()
        assert result.reachable.sum() > held.reachable.sum()


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_overrides_bind_one_person_alone(kind, method):
    plain = solve(MODELS[kind], method=method)
    label = plain.X.index[plain.reachable & plain.changed.any(axis=1)][0]
    row = plain.X.index.get_loc(label)
    used = [n for n, c in zip(plain.feature_names, plain.changed[row], strict=True) if c]
    result = solve(MODELS[kind], method=method, overrides={label: {"immutable": used}})
    assert (result.points.loc[label, used] == result.X.loc[label, used]).all()
    assert not result.reachable[row] or result.cost[row] >= plain.cost[row] * (1 - 1e-9)
    others = np.arange(len(plain)) != row
    np.testing.assert_array_equal(result.cost[others], plain.cost[others])
    pd.testing.assert_frame_equal(result.points[others], plain.points[others])


def test_overrides_replace_bounds_but_not_directions():
    rules = FREE | {
        "immutable": [name for name in PEOPLE if name not in ("income", "hours")],
        "bounds": {"income": (0, 6000), "hours": (0, 60)},
        "increasing": ["income"],
    }
    plain = solve(MODELS["linear"], rules=rules)
    poor = plain.X.index[plain.status == "infeasible"]
    assert len(poor) > 2
    label, other = poor[0], poor[1]
    result = solve(
        MODELS["linear"], rules=rules, overrides={label: {"bounds": {"income": (0, 90_000)}}}
    )
    assert result.points.loc[label, "income"] > 6000
    assert result.points.loc[label, "income"] % 100 == 0
    row = result.X.index.get_loc(label)
    assert result.status[row] == "optimal"
    assert result.status[result.X.index.get_loc(other)] == "infeasible"
    down = solve(MODELS["linear"], rules=rules, overrides={label: {"bounds": {"income": (0, 500)}}})
    assert down.points.loc[label, "income"] >= down.X.loc[label, "income"]


def test_overrides_of_arrays_go_by_position_and_reach_every_batch():
    rng = np.random.RandomState(0)
    X = rng.rand(30, 2)
    model = LogisticRegression(C=100).fit(X, X.sum(axis=1) > 1.3)
    solver = RecourseSolver(ActionSet(bounds={0: (0, 2), 1: (0, 2)}), target=True, batch_size=4)
    denied = np.flatnonzero(~model.predict(X))
    held = {int(i): {"immutable": [0, 1]} for i in denied[::2]}
    result = solver.solve(model, X, background=X, overrides=held)
    assert (result.status[denied[::2]] == "infeasible").all()
    assert (result.status[denied[1::2]] == "optimal").all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"nobody": {"immutable": ["hours"]}}, "'nobody'"),
        ({"person 0": {"imutable": ["hours"]}}, "imutable.*immutable"),
        ({"person 0": {"bounds": {"hight": (0, 1)}}}, "hight"),
        ({"person 0": {"bounds": {"hours": (9, 1)}}}, "hours"),
        ({"person 0": {"bounds": {"job": (0, 1)}}}, "job.*categories"),
        ({"person 0": {"bounds": {"age": (0, 99)}}}, "age.*nobody"),
        ([("person 0", {})], "overrides"),
    ],
)
def test_overrides_that_make_no_sense_are_named(overrides, message):
    # Whatever the model decides about the person.
    with pytest.raises(ActionSetError, match=message):
        solve(MODELS["linear"], overrides=overrides)


@pytest.mark.parametrize(("kind", "method"), [*METHODS, ("linear", "milp")])
def test_sizes_of_a_change(kind, method):
    rules = FREE | {
        "steps": {},
        "min_change": {"income": 750, "hours": 4, "degree": 2},
        "max_change": {"income": 2000, "unique": 6},
    }
    result = solve(MODELS[kind], PEOPLE.head(16), rules=rules, method=method)
    size = (result.points.select_dtypes("number") - result.X.select_dtypes("number")).abs()
    for name, least, most in (("income", 750, 2000), ("hours", 4, np.inf), ("unique", 0, 6)):
        moved = size[name][size[name] > 0]
        assert (moved >= least - 1e-6).all() and (moved <= most + 1e-6).all()
    ranks = result.points["degree"].map(DEGREES.index) - result.X["degree"].map(DEGREES.index)
    assert set(ranks.abs()) <= {0, 2, 3}
    assert result.reachable.sum() > 4 and (moves(result).sum() > 0).sum() > 1


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("proba", [0.6, 0.9])
def test_target_proba_is_confirmed_by_predict_proba(kind, method, proba):
    model = MODELS[kind]
    result = solve(model, PEOPLE.head(16), method=method, target_proba=proba)
    share = model.predict_proba(result.points)[:, 1]
    assert (share[result.reachable] >= proba - 1e-9).all() and result.reachable.sum() > 3
    plain = solve(model, PEOPLE.head(16), method=method)
    assert model.predict_proba(plain.points)[plain.reachable, 1].min() < proba
    assert f"target_proba={proba}" in result.protocol


def test_target_proba_and_margin_cost_what_the_logit_says():
    """One continuous feature: the cost is the distance to the wanted logit."""
    X = np.linspace(-2, 2, 41)[:, None]
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    rules = ActionSet(bounds={0: (-99, 99)})
    slope, start = model.coef_[0, 0], model.intercept_[0]
    for parameters, logit in (
        ({"target_proba": 0.8}, np.log(4)),
        ({"margin": 2.5}, 2.5),
        ({"margin": 2.5, "target_proba": 0.8}, 2.5),
        ({"margin": 0.5, "target_proba": 0.8}, np.log(4)),
    ):
        result = RecourseSolver(rules, target=True, cost_weights="uniform", **parameters).solve(
            model, X, background=X
        )
        moved = (logit - start) / slope - X[result.denied, 0]
        np.testing.assert_allclose(np.abs(result.points - X)[result.denied, 0], moved, rtol=1e-6)
        assert (result.margin[result.denied] >= logit - 1e-9).all()


def test_target_proba_holds_for_three_classes_too():
    rng = np.random.RandomState(2)
    X = rng.randn(80, 3)
    model = LogisticRegression().fit(X, np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5]))
    rules = ActionSet(bounds=dict.fromkeys(range(3), (-20, 20)))
    result = RecourseSolver(rules, target=1, target_proba=0.5).solve(model, X, background=X)
    assert (model.predict_proba(result.points)[result.reachable, 1] >= 0.5 - 1e-9).all()
    assert result.reachable.sum() > 20 and set(result.status) <= {
        "optimal",
        "infeasible",
        "already_favorable",
    }


def test_target_proba_needs_probabilities():
    labels = as_predictor(
        lambda rows: np.where(rows["hours"] > 30, "yes", "no"),
        classes=["no", "yes"],
        background=PEOPLE,
        output="labels",
    )
    with pytest.raises(UnsupportedModelError, match=r"target_proba=0.7.*predict_proba.*margin="):
        RecourseSolver(target="yes", target_proba=0.7).solve(labels, PEOPLE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_proba", 1.0),
        ("target_proba", 0),
        ("margin", -0.1),
        ("weight_radius", -1),
        ("n_alternatives", 0),
        ("time_limit", 0),
        ("n_jobs", 1.5),
        ("cost", "l0"),
        ("method", "cplex"),
        ("batch_size", 0),
        ("action_set", {"immutable": ["age"]}),
    ],
)
def test_parameters_out_of_range_are_named(name, value):
    solver = RecourseSolver(target="yes").set_params(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        solver.solve(MODELS["linear"], PEOPLE.head(3))


def test_unknown_parameters_and_attributes():
    with pytest.raises(TypeError, match="max_change"):
        RecourseSolver(max_changes=2)
    with pytest.raises(TypeError, match="imutable"):
        ActionSet(imutable=["age"])
    with pytest.raises(ValueError, match="maximum"):
        ActionSet().set_params(maximum=3)
    with pytest.raises(AttributeError, match="imutable.*Did you mean 'immutable'"):
        ActionSet().imutable = ["age"]
    assert issubclass(InterruptedWarning, UserWarning)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"constraints": ["unique < words"]}, "unique < words.*<="),
        ({"constraints": ["uniqe <= words"]}, "uniqe.*no column"),
        ({"constraints": ["job <= 3"]}, "job"),
        ({"constraints": ["if hours then job == 'clerk'"]}, "if hours"),
        ({"constraints": ["job == 'pilot'"]}, "pilot.*no level"),
        ({"implied": {"income": {"hours": 10}}}, "income"),
        ({"implied": {"age": {"nothing": 10}}}, "nothing"),
        ({"min_change": {"hours": -1}}, "hours"),
        ({"max_changes": 0}, "max_changes"),
    ],
)
def test_rules_that_make_no_sense_are_named(rules, message):
    with pytest.raises(ActionSetError, match=message):
        solve(MODELS["linear"], PEOPLE.head(5), rules=FREE | rules)


def test_rules_are_broken_by_answers_of_other_rules():
    """The control: validate sees on raw rows what the solver was told to keep to."""
    rule = ActionSet(constraints=["income <= 4500", "if job == 'student' then hours <= 20"])
    people = PEOPLE.head(40)

    def broken(rows) -> set:
        table = rule.validate(rows)
        return set(zip(table["row"], table["columns"], strict=True))

    kept = solve(MODELS["linear"], people, rules=FREE | {"constraints": rule.constraints})
    assert broken(kept.points) <= broken(people)
    assert broken(solve(MODELS["linear"], people).points) - broken(people)
