"""The picture of two boundaries: what the models themselves say at each point of the grid."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq import RecourseSolver
from skcfq.plotting import BoundaryDisplay


@pytest.fixture(scope="module")
def failing(reference, deployed, pair):
    """Return the position of somebody whose advice fails."""
    rows = np.flatnonzero(pair[0].reachable)
    points = pair[0].points.iloc[rows]
    return int(rows[deployed.predict(points) != "yes"][0])


def test_the_grid_is_what_the_models_say(reference, deployed, people, pair, failing, solver):
    row = people.iloc[[failing]]
    display = BoundaryDisplay.from_estimators(
        reference, deployed, row, ("income", "loans"), solver=solver, background=people
    )
    assert display.advice_fails
    loans = display.y
    assert np.array_equal(loans, np.round(loans)) and len(loans) > 2
    rng = np.random.RandomState(0)
    for model, grid in (
        (reference, display.grants_reference),
        (deployed, display.grants_deployed),
    ):
        for _ in range(20):
            i, j = rng.randint(len(display.y)), rng.randint(len(display.x))
            asked = row.assign(income=display.x[j], loans=int(display.y[i]))
            assert grid[i, j] == (model.predict(asked)[0] == "yes")
    for point in (display.person, display.advice, display.advice_deployed):
        assert display.x[0] <= point[0] <= display.x[-1]
        assert display.y[0] <= point[1] <= display.y[-1]


def test_marks_and_hatches(reference, deployed, people, failing, solver):
    display = BoundaryDisplay.from_estimators(
        reference, deployed, people.iloc[[failing]], ("income", "loans"), solver=solver
    ).plot()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert {"advice of the reference: fails", "only the reference grants"} <= set(labels)
    marks = {line.get_label(): line.get_xydata()[0].tolist() for line in display.ax_.get_lines()}
    assert marks["the person"] == display.person.tolist()
    assert marks["advice of the reference: fails"] == display.advice.tolist()


def test_results_are_taken_as_they_are(reference, deployed, pair, failing):
    changed = [str(name) for name in np.array(pair[0].feature_names)[pair[0].changed[failing]]]
    units = [result.with_units({"income": "kEUR"}) for result in pair]
    display = BoundaryDisplay.from_results(
        reference, deployed, *units, ("income", "loans"), row=failing
    )
    assert set(changed) <= {"income", "loans"}
    assert display.features == ("income (kEUR)", "loans")
    assert display.advice[0] == pair[0].points["income"].iloc[failing]
    with pytest.raises(ValueError, match=r"changes \['income'\] too"):
        BoundaryDisplay.from_results(reference, deployed, *pair, ("age", "loans"), row=failing)


def test_arrays_have_positions(reference, deployed, people):
    from sklearn.linear_model import LogisticRegression

    X = people.to_numpy(dtype=float)
    first = LogisticRegression().fit(X, X[:, 0] > 50)
    second = LogisticRegression().fit(X, X[:, 0] > 52)
    refused = X[~first.predict(X)][:1]
    display = BoundaryDisplay.from_estimators(
        first, second, refused, (0, 2), solver=RecourseSolver(target=True), background=X
    )
    assert display.features == ("0", "2")
    asked = refused.copy()
    asked[0, [0, 2]] = display.x[7], display.y[11]
    assert display.grants_reference[11, 7] == first.predict(asked)[0]


@pytest.mark.parametrize(
    ("features", "match"),
    [(("income",), "two different"), (("income", "x"), "two different"), ("income", "features=")],
)
def test_two_columns_are_needed(reference, deployed, people, solver, features, match):
    with pytest.raises(ValueError, match=match):
        BoundaryDisplay.from_estimators(
            reference, deployed, people.head(1), features, solver=solver
        )


def test_a_person_without_advice_is_refused(reference, deployed, people, pair):
    favored = int(np.flatnonzero(~pair[0].denied)[0])
    with pytest.raises(ValueError, match="already_favorable"):
        BoundaryDisplay.from_results(reference, deployed, *pair, ("income", "loans"), row=favored)
