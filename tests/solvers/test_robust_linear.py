"""Actions that hold on several linear models at once are solved exactly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder
from skcfq.datasets import make_credit
from skcfq.exceptions import SpaceMismatchError, UnsupportedModelError
from skcfq.models import deployment_variants


@pytest.fixture(scope="module")
def credit():
    return make_credit(500, random_state=3)


@pytest.fixture(scope="module")
def model(credit):
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(credit.data, credit.target)


@pytest.fixture(scope="module")
def variants(model):
    return deployment_variants(model, 4, bits=4, kinds=("rounding",), random_state=0)


def test_optimal_and_valid_under_every_variant(credit, model, variants):
    people = credit.data.head(60)
    solver = RecourseSolver(credit.action_set, target=credit.favorable)
    robust = solver.solve(model, people, variants=variants)
    searched = solver.set_params(method="gradient").solve(model, people, variants=variants)
    nominal = solver.set_params(method="auto").solve(model, people)
    assert robust.method == "milp"
    assert set(robust.status) <= {"already_favorable", "optimal", "infeasible"}
    for deployment in (model, *(variant.model for variant in variants)):
        moved = deployment.predict(robust.points[robust.reachable])
        np.testing.assert_array_equal(moved, credit.favorable)
    both = robust.reachable & searched.reachable
    assert both.sum() > 10
    # No search is cheaper, and holding on more models is never cheaper than holding on one.
    assert (robust.cost[both] <= searched.cost[both] * (1 + 1e-6)).all()
    assert (robust.cost[both] >= nominal.cost[both] * (1 - 1e-6)).all()
    assert (robust.cost[both] > nominal.cost[both] * (1 + 1e-6)).any()


def test_the_exact_method_is_for_one_model(credit, model, variants):
    solver = RecourseSolver(credit.action_set, method="exact", target=credit.favorable)
    with pytest.raises(UnsupportedModelError, match="one model.*milp"):
        solver.solve(model, credit.data, variants=variants)


def test_variants_with_other_labels_are_refused(credit, model):
    renamed = np.where(credit.target == credit.favorable, "a", "b")
    other = make_pipeline(
        model[0], LogisticRegression().fit(model[0].transform(credit.data), renamed)
    )
    solver = RecourseSolver(credit.action_set, target=credit.favorable)
    with pytest.raises(SpaceMismatchError, match="classes"):
        solver.solve(model, credit.data, background=credit.data, variants=[other])
