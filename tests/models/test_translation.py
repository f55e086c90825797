"""Two models whose encoders differ: one space for both, and the decisions of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skcfq import ActionSet, PTQClassifier, RecourseSolver, TableEncoder
from skcfq.metrics import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    validity_drop,
)
from skcfq.models import as_predictor, second_predictor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NUMBERS, CATEGORIES = ["income", "debt", "years"], ["job"]


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "income": rng.normal(30.0, 8.0, n).round(1),
            "debt": rng.exponential(5.0, n),
            "years": rng.integers(0, 30, n),
            "job": rng.choice(["clerk", "nurse", "welder"], n),
        }
    )
    score = frame["income"] / 10 - frame["debt"] / 4 + (frame["job"] == "nurse")
    return frame, np.where(score > score.median(), "grant", "refuse")


def encoder(scaler, **one_hot):
    numbers = make_pipeline(SimpleImputer(strategy="constant", fill_value=4.0), scaler)
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("job", OneHotEncoder(**one_hot), CATEGORIES)]
    )


def mlp(units=6):
    return MLPClassifier((units,), solver="lbfgs", max_iter=40, random_state=0)


SECOND = {
    "linear": lambda: make_pipeline(encoder(MinMaxScaler(), drop="first"), LogisticRegression()),
    "network": lambda: make_pipeline(encoder(MinMaxScaler(), drop="first"), mlp()),
    "wide one-hot": lambda: make_pipeline(
        encoder(StandardScaler(), handle_unknown="ignore"), mlp()
    ),
    "quantized": lambda: PTQClassifier(budget=4, target="grant", random_state=0),
}


@pytest.fixture(scope="module")
def reference(people):
    return make_pipeline(encoder(StandardScaler()), LogisticRegression()).fit(*people)


@pytest.mark.parametrize("name", SECOND)
def test_logits_on_the_codes_of_the_reference(name, people, reference):
    X, y = people
    model = SECOND[name]().fit(X, y)
    first = as_predictor(reference, background=X)
    own = as_predictor(model, background=X)
    put = second_predictor(first, model, X, X)
    assert put.space.fingerprint == first.space.fingerprint
    assert put.space.fingerprint != own.space.fingerprint
    assert put.differentiable
    got = put.logits(torch.from_numpy(first.space.encode(X)))
    # Codes that lie on a rounding threshold of a quantized model may fall to its other side.
    near = np.isclose(got.detach().numpy(), own.row_scores(X), atol=1e-9).all(axis=1)
    assert near.all() if name != "quantized" else near.mean() > 0.95
    np.testing.assert_array_equal(put.row_scores(X), own.row_scores(X))
    np.testing.assert_array_equal(put.predict(X), model.predict(X))


@pytest.mark.parametrize("name", SECOND)
def test_costs_are_in_units_of_the_reference(name, people, reference):
    X, y = people
    model = SECOND[name]().fit(X, y)
    solver = RecourseSolver(ActionSet(immutable=["years"]), target="grant", random_state=0)
    asked = X.iloc[:80]
    first, second = solver.compare(reference, model, asked, background=X)
    assert first.space_fingerprint == second.space_fingerprint
    denied = model.predict(asked) != "grant"
    np.testing.assert_array_equal(second.denied, denied)
    assert second.reachable[denied].all()
    assert (model.predict(second.points)[denied] == "grant").all()
    alone = solver.set_params(margin=0.0).solve(reference, asked, background=X)
    np.testing.assert_allclose(first.cost, alone.cost, rtol=1e-4)
    drop = validity_drop(reference, model, first)
    rows = first.reachable
    assert drop == np.mean(model.predict(first.points[rows]) != "grant")
    for metric in (counterfactual_recourse_gap, direction_similarity, action_overlap):
        assert np.isfinite(metric(first, second))


def test_a_linear_model_stays_linear_and_its_advice_is_proved(people, reference):
    X, y = people
    model = SECOND["linear"]().fit(X, y)
    solver = RecourseSolver(target="grant", margin=0.0)
    _, put = solver.compare(reference, model, X, background=X)
    assert set(put.status) == {"optimal", "already_favorable"}
    # In its own space the same model has other weights of the same raw changes: the same costs.
    alone = solver.solve(model, X, background=X)
    np.testing.assert_allclose(put.cost, alone.cost, rtol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        make_pipeline(
            ColumnTransformer(
                [
                    ("n", FunctionTransformer(np.arctan), NUMBERS),
                    ("c", OneHotEncoder(), CATEGORIES),
                ]
            ),
            LogisticRegression(),
        ),
        make_pipeline(
            ColumnTransformer([("n", "passthrough", NUMBERS), ("c", OrdinalEncoder(), CATEGORIES)]),
            HistGradientBoostingClassifier(max_iter=10),
        ),
    ],
    ids=["other functions", "trees"],
)
def test_what_cannot_be_put_on_the_codes_is_asked_as_a_function(steps, people, reference):
    X, y = people
    model = steps.fit(X, y)
    first = as_predictor(reference, background=X)
    put = second_predictor(first, model, X, X)
    assert put.space.fingerprint == first.space.fingerprint
    assert not put.differentiable
    solver = RecourseSolver(target="grant", random_state=0)
    asked = X.iloc[:12]
    results = solver.compare(reference, model, asked, background=X)
    assert results[1].method == "black_box"
    assert (model.predict(results[1].points)[results[1].reachable] == "grant").all()
    assert results[1].reachable.sum() >= 0.9 * results[1].denied.sum()


def test_gaps_that_are_filled_otherwise_are_never_proved_about(people, reference):
    X, y = people
    gaps = X.copy()
    gaps.loc[::7, "debt"] = np.nan
    model = make_pipeline(
        ColumnTransformer([("n", SimpleImputer(), NUMBERS), ("c", OneHotEncoder(), CATEGORIES)]),
        LogisticRegression(),
    ).fit(gaps, y)
    solver = RecourseSolver(target="grant", random_state=0)
    _, second = solver.compare(reference, model, gaps, background=gaps)
    np.testing.assert_array_equal(second.denied, model.predict(gaps) != "grant")
    apart = gaps["debt"].isna().to_numpy()
    assert set(second.status[apart]) == {"feasible", "already_favorable"}
    assert set(second.status[~apart]) == {"optimal", "already_favorable"}
    assert (model.predict(second.points) == "grant").all()
    # Who is asked about beside a row with a gap has the answer that it has alone.
    _, alone = solver.compare(reference, model, gaps[~apart], background=gaps)
    np.testing.assert_array_equal(second.cost[~apart], alone.cost)
    pd.testing.assert_frame_equal(second.points[~apart], alone.points, check_dtype=False)


def test_models_of_other_columns_are_refused(people, reference):
    X, y = people
    narrow = make_pipeline(TableEncoder(), LogisticRegression()).fit(X[["income"]], y)
    with pytest.raises(ValueError, match="debt"):
        RecourseSolver(target="grant").compare(reference, narrow, X, background=X)


def test_ordinal_codes_with_a_gap_among_them(people):
    """Whom nobody tells a job may stay so; everybody else is advised as without gaps."""
    X, y = people
    gaps = X.copy()
    gaps.loc[::9, "job"] = np.nan
    steps = ColumnTransformer([("n", "passthrough", NUMBERS), ("c", OrdinalEncoder(), CATEGORIES)])
    model = make_pipeline(steps, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    model.fit(gaps, y)
    for method in ("auto", "black_box"):
        solver = RecourseSolver(target="grant", method=method, random_state=0)
        result = solver.solve(model, gaps.iloc[:6], background=gaps)
        assert result.reachable[result.denied].mean() > 0.9
        assert not (result.points["job"].isna() & gaps.iloc[:6]["job"].notna()).any()
