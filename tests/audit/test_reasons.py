"""Reasons are what a brute-force count of contributions says they are."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcfq import TableEncoder
from skcfq.audit import _contributions, reason_codes
from skcfq.exceptions import BackgroundRequiredError
from skcfq.models import as_predictor

NUMBERS, LEVELS = ["income", "debt", "age"], ["job"]


def draw(n=200, seed=0):
    rng = np.random.RandomState(seed)
    return pd.DataFrame(
        {
            "income": rng.randint(5, 50, n).astype(float),
            "debt": rng.randint(0, 9, n),
            "age": rng.randint(18, 70, n),
            "job": rng.choice(["cook", "clerk", "pilot"], n),
        },
        index=[f"P{i}" for i in range(n)],
    )


def decided(X):
    score = X["income"] - 4.0 * X["debt"] + 9 * (X["job"] == "pilot") + 0.1 * X["age"]
    return np.where(score > score.median() + 5, "grant", "refuse")


def linear_model(X):
    encoder = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), LEVELS))
    return make_pipeline(encoder, LogisticRegression()).fit(X, decided(X))


def curved_model(X):
    network = MLPClassifier((6,), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0)
    return make_pipeline(TableEncoder(), network).fit(X, decided(X))


def by_all_orders(score, person, people, features):
    """Return Shapley values by the definition: all orders, one row of the population at a time."""
    total = dict.fromkeys(features, 0.0)
    orders = list(permutations(features))
    for _, other in people.iterrows():
        for order in orders:
            row = other.copy()
            before = score(pd.DataFrame([row]))
            for name in order:
                row[name] = person[name]
                after = score(pd.DataFrame([row]))
                total[name] += after - before
                before = after
    return {name: value / len(orders) / len(people) for name, value in total.items()}


def assert_reasons(reasons, expected, most=4):
    """Compare the reasons of one person with contributions of all features."""
    lowering = sorted((v, name) for name, v in expected.items() if v < -1e-9)[:most]
    assert reasons["feature"].tolist() == [name for _, name in lowering]
    np.testing.assert_allclose(reasons["contribution"], [v for v, _ in lowering], rtol=1e-6)
    assert reasons["rank"].tolist() == list(range(1, len(lowering) + 1))


@pytest.mark.parametrize("reference", ["background", "accepted"])
def test_linear_models_are_taken_apart_exactly(reference):
    X = draw()
    model = linear_model(X)
    reasons = reason_codes(model, X, background=X, target="grant", reference=reference)
    assert reasons.attrs == {"method": "linear", "reference": reference}
    said = model.predict(X)
    people = X if reference == "background" else X[said == "grant"]
    Z, mean = model[0].transform(X), model[0].transform(people).mean(axis=0)
    # Classes are grant and refuse: the coefficients speak of the second one.
    parts = -(np.asarray(Z) - mean) * model[1].coef_[0]
    expected = np.column_stack([parts[:, :3], parts[:, 3:].sum(axis=1)])
    assert set(reasons["person"]) == set(X.index[said == "refuse"])
    for row in np.flatnonzero(said == "refuse"):
        own = reasons[reasons["person"] == X.index[row]]
        assert_reasons(own, dict(zip([*NUMBERS, *LEVELS], expected[row], strict=True)))
        assert own["value"].tolist() == [X[name].iloc[row] for name in own["feature"]]
        assert own["code"].tolist() == own["feature"].tolist()
    assert {"age", "job"} <= set(reasons["feature"])


def test_networks_are_taken_apart_by_all_orders():
    X = draw()
    model = curved_model(X)
    people = X.iloc[:4]
    reasons = reason_codes(model, X, background=people, target="grant")
    assert reasons.attrs["method"] == "enumeration"

    def score(row):
        shares = model.predict_proba(row.astype(X.dtypes))[0]
        return np.log(shares[0]) - np.log(shares[1])

    refused = X[model.predict(X) == "refuse"]
    for label in refused.index[:2]:
        expected = by_all_orders(score, X.loc[label], people, list(X))
        assert_reasons(reasons[reasons["person"] == label], expected)
        whole = score(X.loc[[label]]) - np.mean([score(people.iloc[[i]]) for i in range(4)])
        assert sum(expected.values()) == pytest.approx(whole)


def test_functions_of_raw_rows_are_mixed_column_by_column():
    X = draw()
    X["job"] = X["job"].astype("category")
    forest = RandomForestClassifier(5, random_state=0)
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), LEVELS), remainder="passthrough"), forest
    )
    model.fit(X, decided(X))
    people = X.iloc[[3, 8]]
    reasons = reason_codes(model, X.iloc[8:60], background=people, target="grant")

    def score(row):
        shares = np.clip(model.predict_proba(row.astype(X.dtypes))[0], 1e-12, None)
        return np.log(shares[0]) - np.log(shares[1])

    label = reasons["person"].iloc[0]
    assert_reasons(
        reasons[reasons["person"] == label], by_all_orders(score, X.loc[label], people, list(X))
    )


def test_models_that_answer_with_labels_alone():
    X = draw(60)
    ask = as_predictor(
        lambda T: np.where((T["income"] > 20) & (T["debt"] < 5), "grant", "refuse"),
        classes=["refuse", "grant"],
        background=X,
        output="labels",
    )
    reasons = reason_codes(ask, X, background=X, target="grant")
    assert set(reasons["feature"].dropna()) <= {"income", "debt"}
    assert (reasons["contribution"].dropna() > -2).all()
    by_row = reason_codes(ask, X, background=X, target=["grant"] * len(X))
    pd.testing.assert_frame_equal(by_row, reasons)
    low = reasons[reasons["person"] == X.index[(X["income"] < 20) & (X["debt"] < 5)][0]]
    assert low["feature"].tolist() == ["income"]


def test_orders_come_close_to_all_sets(monkeypatch):
    X = draw()
    model, people = curved_model(X), draw(10, seed=1)
    given = {"background": people, "target": "grant"}
    exact = reason_codes(model, X.head(40), **given)
    monkeypatch.setattr(_contributions, "ENUMERATED", 3)
    few = reason_codes(model, X.head(40), **given, n_permutations=3)
    many = reason_codes(model, X.head(40), **given, n_permutations=200)
    assert few.attrs["method"] == "orders"
    errors = [
        (
            one.set_index(["person", "feature"])["contribution"]
            - exact.set_index(["person", "feature"])["contribution"]
        )
        .abs()
        .max()
        for one in (few, many)
    ]
    scale = exact["contribution"].abs().max()
    assert 0 < errors[1] < errors[0] < 0.1 * scale and errors[1] < 0.01 * scale


def test_orders_sum_to_the_score_less_the_mean():
    X = draw()
    model, people = curved_model(X), draw(7, seed=1)
    predictor = as_predictor(model)
    reference = _contributions.Reference(people, "background", 100, 1, 0)
    target, given = np.zeros(5, dtype=np.int64), np.ones(5, dtype=np.int64)
    logits = [predictor.row_scores(table) for table in (X.head(5), people)]
    own, mean = logits[0][:, 0] - logits[0][:, 1], (logits[1][:, 0] - logits[1][:, 1]).mean()
    for most in (3, 10):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_contributions, "ENUMERATED", most)
            _, found = _contributions.contributions_of(
                predictor, X.head(5), target, given, reference
            )
        np.testing.assert_allclose(found.sum(axis=1), own - mean, rtol=1e-9)


@pytest.mark.parametrize("most", [3, 10])
@pytest.mark.parametrize("fit", [linear_model, curved_model])
def test_nobody_depends_on_the_others(fit, most, monkeypatch):
    monkeypatch.setattr(_contributions, "ENUMERATED", most)
    X = draw()
    model = fit(X)
    given = {"background": X, "target": "grant", "n_background": 9, "n_permutations": 2}
    together = reason_codes(model, X.head(30), **given)
    alone = [reason_codes(model, X.iloc[[i]], **given) for i in range(29, -1, -1)]
    alone = pd.concat(alone[::-1], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, check_exact=True)
    pd.testing.assert_frame_equal(together, reason_codes(model, X.head(30), **given))


def test_parts_of_the_work_do_not_matter(monkeypatch):
    X = draw()
    model = curved_model(X)
    given = {"background": X, "target": "grant", "n_background": 9}
    for most in (3, 10):
        monkeypatch.setattr(_contributions, "ENUMERATED", most)
        whole = reason_codes(model, X.head(6), **given)
        with monkeypatch.context() as patch:
            patch.setattr(_contributions, "_ROWS", 20)
            parts = reason_codes(model, X.head(6), **given)
        pd.testing.assert_frame_equal(whole, parts, rtol=1e-9)


def test_several_classes_and_several_targets():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    y = X.argmax(axis=1)
    model = LogisticRegression().fit(X, y)
    target = np.where(X[:, 0] > 0, 1, 2)
    reasons = reason_codes(model, X, background=X, target=target)
    said = model.predict(X)
    assert set(reasons["person"]) == set(np.flatnonzero(said != target))
    for row in np.flatnonzero(said != target):
        slope = model.coef_[target[row]] - model.coef_[said[row]]
        expected = dict(enumerate((X[row] - X.mean(axis=0)) * slope))
        own = reasons[reasons["person"] == row]
        if own["rank"].iloc[0]:
            assert_reasons(own, expected)
        else:
            assert min(expected.values()) >= 0


def test_codes():
    X = draw()
    model = linear_model(X)
    codes = {"income": "E1", "debt": 2, "age": "E1", "job": "Occupation"}
    reasons = reason_codes(model, X, codes, background=X, target="grant", max_reasons=2)
    assert reasons.groupby("person")["rank"].max().le(2).all()
    assert set(reasons["code"]) >= {"E1", 2}
    # One code is given once, for the feature that lowers most.
    reasons = reason_codes(model, X, codes, background=X, target="grant")
    assert not reasons.duplicated(["person", "code"]).any()
    shared = reason_codes(model, X, background=X, target="grant")
    both = shared[shared["feature"].isin(["income", "age"])]
    twice = both["person"][both["person"].duplicated()]
    assert len(twice)
    for person in twice:
        (kept,) = reasons[(reasons["person"] == person) & (reasons["code"] == "E1")]["feature"]
        assert kept == both[both["person"] == person]["feature"].iloc[0]


def test_refused_without_a_reason():
    X = draw()
    model = linear_model(X)
    # Whoever is refused stands above those who are worse off in everything.
    worse = X.assign(income=[1.0, 2.0] * 100, debt=9, age=18, job="clerk")
    best = X.assign(income=15.0, debt=8, age=30, job="pilot").head(1)
    assert model.predict(best) == "refuse"
    reasons = reason_codes(model, best, background=worse, target="grant")
    assert reasons["rank"].tolist() == [0] and reasons["feature"].isna().all()
    nobody = X[model.predict(X) == "grant"].head(2)
    assert len(reason_codes(model, nobody, background=X, target="grant")) == 0


def test_what_is_missing_is_named():
    X = draw()
    model = linear_model(X)
    given = {"background": X, "target": "grant"}
    with pytest.raises(ValueError, match=r"no code for 'debt', which the model reads \(3 missing"):
        reason_codes(model, X, {"income": "E1"}, **given)
    whole = {name: name for name in X}
    with pytest.raises(ValueError, match="gives 'age' the code None"):
        reason_codes(model, X, whole | {"age": None}, **given)
    with pytest.raises(ValueError, match="mapping is of type list"):
        reason_codes(model, X, ["E1"], **given)
    with pytest.raises(BackgroundRequiredError, match="background is None"):
        reason_codes(model, X, background=None, target="grant")
    refused = X[model.predict(X) == "refuse"]
    with pytest.raises(ValueError, match="no row that the model gives 'grant'"):
        reason_codes(model, X, background=refused, target="grant", reference="accepted")
    with pytest.raises(ValueError, match="max_reasons"):
        reason_codes(model, X, max_reasons=0, **given)
