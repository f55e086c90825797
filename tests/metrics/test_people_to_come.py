"""Limits of a validity drop, and the margin that advice needs, on models and results."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseSolver
from skcfq.metrics import advice_margin, validity_drop, validity_drop_limits
from skcfq.theory import binomial_limit, failure_limits

BACKGROUND = np.random.default_rng(0).normal(size=(500, 2))
REFERENCE = LogisticRegression().fit(BACKGROUND, BACKGROUND[:, 0] > 0)
STRICTER = LogisticRegression().fit(BACKGROUND, BACKGROUND[:, 0] > 0.05)
PEOPLE = np.random.default_rng(1).normal(size=(300, 2))
# Who is far away does not get there.
SHORT = ActionSet(immutable=[1], bounds={0: (-5.0, 0.5)})


@pytest.fixture(scope="module")
def capped():
    """The one column that may change ends where the boundary is for x1 = 0: half get there."""
    boundary = -REFERENCE.intercept_[0] / REFERENCE.coef_[0, 0]
    action_set = ActionSet(immutable=[1], bounds={0: (-5.0, boundary)})
    solver = RecourseSolver(action_set, random_state=0)
    return solver.solve(REFERENCE, PEOPLE, background=BACKGROUND)


def test_limits_speak_of_the_population_of_the_validity_drop(capped):
    found = validity_drop_limits(REFERENCE, STRICTER, capped)
    drop = validity_drop(REFERENCE, STRICTER, capped)
    assert found.rates[0] == drop and found.n_people[0] == capped.reachable.sum()
    assert found.limits[0] == binomial_limit(found.n_failures[0], found.n_people[0])


def test_people_without_an_action(capped):
    assert 0 < capped.reachable.sum() < capped.denied.sum()
    found = validity_drop_limits(REFERENCE, REFERENCE, capped, without_action="fail")
    assert found.n_people[0] == capped.denied.sum()
    assert found.n_failures[0] == (capped.denied & ~capped.reachable).sum()
    assert validity_drop_limits(REFERENCE, REFERENCE, capped).n_failures[0] == 0


def test_groups_and_weights_are_those_of_the_rows(capped):
    groups = np.where(np.abs(PEOPLE[:, 1]) < 1, "up", "down").astype(object)
    groups[~capped.denied] = "asks for nothing"
    weight = np.random.default_rng(2).uniform(1, 2, size=300)
    given = {"groups": groups, "sample_weight": weight}
    found = validity_drop_limits(REFERENCE, STRICTER, capped, **given)
    frame = found.to_frame()
    assert frame.loc["asks for nothing", "status"] == "no statement"
    rows = capped.reachable & (groups == "up")
    failed = STRICTER.predict(capped.points[rows]) != capped.target[rows]
    alone = failure_limits(failed, sample_weight=weight[rows], confidence=1 - 0.05 / 3)
    assert frame.loc["up", "limits"] == pytest.approx(alone.limits[0])


def _margin(people=PEOPLE, **parameters):
    given = {"margins": [0.0, 0.3, 1.0], "validity_drop": 0.05, "background": BACKGROUND}
    return advice_margin(REFERENCE, STRICTER, people, **given | parameters)


def test_the_cheapest_certified_margin():
    found = _margin()
    assert found.status == "certified" and found.margins.tolist() == [1.0, 0.3, 0.0]
    # The mean asks for less than 95 of 100 draws do.
    assert found.margin == 1.0 and found.margin_on_average == 0.3
    solver = RecourseSolver(random_state=0)
    for i, margin in enumerate(found.margins):
        result = solver.set_params(margin=margin).solve(REFERENCE, PEOPLE, background=BACKGROUND)
        drop = validity_drop(REFERENCE, STRICTER, result)
        assert found.n_failures[i] == round(drop * found.n_people[i])
        assert found.mean_cost[i] == result.cost[result.reachable].mean()
    assert (np.diff(found.mean_cost) < 0).all()
    drops = found.n_failures / found.n_people
    assert drops[found.margins.tolist().index(found.margin)] <= 0.05 < drops[-1]


def test_nothing_below_the_first_refusal_is_solved():
    found = _margin(margins=[0.02, 0.01, 0.0])
    assert found.margins.tolist() == [0.02]
    assert found.margin is None and found.status == "not certified"
    assert found.p_values[0] > 0.05 and "not certified" in repr(found)


def test_too_few_people_is_a_status():
    assert _margin(PEOPLE[:40]).status == "too few people"
    nobody = _margin(PEOPLE[REFERENCE.predict(PEOPLE)][:5])
    assert nobody.status == "too few people" and nobody.margin is None
    assert nobody.n_people.tolist() == [0] and np.isnan(nobody.mean_cost).all()


def test_people_without_an_action_at_a_margin():
    solver = RecourseSolver(SHORT, random_state=0)
    largest = 1e3
    found = _margin(solver=solver, margins=[largest])
    assert found.status == "too few people" and found.n_people[0] == 0
    found = _margin(solver=solver, margins=[largest], without_action="fail")
    assert found.status == "not certified" and found.n_failures[0] == found.n_people[0] > 100


def test_the_solver_stays_as_it_was_and_must_be_fixed():
    solver = RecourseSolver(SHORT, margin=0.2)
    _margin(solver=solver, margins=[0.5])
    assert solver.margin == 0.2 and solver.random_state is None
    with pytest.raises(ValueError, match=r"solver\.random_state is a generator"):
        _margin(solver=RecourseSolver(random_state=np.random.RandomState(0)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validity_drop", 0.0),
        ("confidence", 1.0),
        ("margins", []),
        ("margins", [-0.1]),
        ("solver", "x"),
        ("without_action", "x"),
    ],
)
def test_parameters_that_are_none(name, value):
    with pytest.raises(ValueError, match=name):
        _margin(**{name: value})
