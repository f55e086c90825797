"""The recourse menu: what every small set of features can do, against enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from lattice_cases import RULES, draw_integers, draw_people, draw_rectifiers, every_point
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem

PEOPLE = draw_people(40)
SOLVER = RecourseSolver(ActionSet(**RULES), target=1, margin=0.0, perturbation_radius=0.0)


def draw_linear():
    labels = (PEOPLE.income - 2 * PEOPLE.debt > 10).astype(int)
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(PEOPLE, labels)


MODELS = {
    "linear": draw_linear(),
    "rectifiers": draw_rectifiers(PEOPLE, (8, 6)),
    "integers": draw_integers(PEOPLE, (8, 6), bits=4),
}


def states_of(model, x):
    """List all that one person may do."""
    predictor = as_predictor(model, background=PEOPLE)
    actions = ActionSet(**RULES).compile(predictor.space)
    target = predictor.row_logits(x).argmax(dim=1) * 0 + 1
    region, cost = region_of(actions, x), compile_cost(actions, "l1")
    problem = RecourseProblem(predictor, region, cost, target, 0.0)
    states = every_point(problem, 0)
    return states, problem.changed(states.person, states.values, states.levels).numpy()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("max_levers", [1, 2, 3])
def test_every_set_has_its_cheapest_action_or_a_proof(name, max_levers):
    model = MODELS[name]
    refused = np.flatnonzero(as_predictor(model, background=PEOPLE).predict(PEOPLE) == 0)
    for row in refused[:4]:
        x = PEOPLE.iloc[[row]]
        menu = SOLVER.menu(model, x, max_levers=max_levers, background=PEOPLE)
        states, changed = states_of(model, x)
        names = menu.result.feature_names
        sizes = range(1, max_levers + 1)
        assert menu.levers == tuple(s for k in sizes for s in combinations(names, k))
        for levers, cost, status in zip(
            menu.levers, menu.result.cost, menu.result.status, strict=True
        ):
            others = ~np.isin(names, levers)
            within = states.valid.numpy() & ~changed[:, others].any(axis=1)
            least = min(states.cost.numpy()[within], default=np.inf)
            assert status == ("optimal" if np.isfinite(least) else "infeasible")
            assert np.isnan(cost) if np.isinf(least) else cost == pytest.approx(least, rel=1e-6)


def test_the_table_begins_with_the_cheapest_and_says_what_changes():
    model = MODELS["rectifiers"]
    x = PEOPLE[as_predictor(model, background=PEOPLE).predict(PEOPLE) == 0].iloc[[1]]
    menu = SOLVER.menu(model, x, background=PEOPLE)
    frame = menu.to_frame(units={"income": "EUR"})
    assert len(frame) == len(menu) == 10
    works = frame.status == "optimal"
    assert works.any()
    assert frame.cost[works].is_monotonic_increasing
    assert works.tolist() == sorted(works, reverse=True)
    best = SOLVER.solve(model, x, background=PEOPLE)
    if best.changed[0].sum() <= 2:
        assert frame.cost[0] == best.cost[0]
    assert (frame.changes[~works] == "").all() and (frame.changes[works] != "").all()
    assert repr(menu) == f"RecourseMenu({works.sum()} of 10 sets of levers suffice; exact)"


def test_rules_of_the_person_hold():
    model = MODELS["rectifiers"]
    x = PEOPLE[as_predictor(model, background=PEOPLE).predict(PEOPLE) == 0].iloc[[1]]
    own = {x.index[0]: {"immutable": ["income"]}}
    menu = SOLVER.menu(model, x, background=PEOPLE, overrides=own)
    assert not menu.result.changed[:, menu.result.feature_names.index("income")].any()
    assert len(menu) == 10


def test_who_needs_nothing_has_an_empty_menu():
    model = MODELS["linear"]
    x = PEOPLE[model.predict(PEOPLE) == 1].iloc[[0]]
    menu = SOLVER.menu(model, x, background=PEOPLE)
    assert len(menu) == 0
    assert menu.result.status.tolist() == ["already_favorable"]
    assert isinstance(menu.to_frame(), pd.DataFrame) and menu.to_frame().empty


def test_bad_arguments_are_named():
    model = MODELS["linear"]
    with pytest.raises(ValueError, match="40 rows, and a menu is for one person"):
        SOLVER.menu(model, PEOPLE, background=PEOPLE)
    for wrong in (0, 1.5, "two"):
        with pytest.raises(ValueError, match="max_levers"):
            SOLVER.menu(model, PEOPLE.head(1), max_levers=wrong, background=PEOPLE)
