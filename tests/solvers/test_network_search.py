"""Proofs on networks against brute force over everything that people may do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from network_cases import (
    RULES,
    draw_integers,
    draw_people,
    draw_rectifiers,
    least_costs,
    problem_for,
)

from skcfq.solvers.exact._network_search import search_networks
from skcfq.solvers.exact._networks import lattice_for, search_for, solve_networks
from skcfq.solvers.problems import Effort

PEOPLE = draw_people(50)
MODELS = {
    "rectifiers, 1 layer": draw_rectifiers(PEOPLE, (8,)),
    "rectifiers, 2 layers": draw_rectifiers(PEOPLE, (8, 6)),
    "rectifiers, 4 layers": draw_rectifiers(PEOPLE, (6, 6, 5, 4)),
    "rectifiers, 3 classes": draw_rectifiers(PEOPLE, (8, 6), 3),
    "2 bits": draw_integers(PEOPLE, (8, 6), bits=2),
    "4 bits": draw_integers(PEOPLE, (8, 6), bits=4),
    "4 bits, no layer": draw_integers(PEOPLE, (), bits=4),
    "4 bits, 1 layer": draw_integers(PEOPLE, (8,), bits=4),
    "4 bits, 3 classes": draw_integers(PEOPLE, (8, 6), 3, bits=4),
    "8 bits, 4 layers": draw_integers(PEOPLE, (6, 6, 5, 4), bits=8, seed=1),
    "4 bits, per channel": draw_integers(PEOPLE, (8, 6), bits=4, per_channel=True),
}
OTHER_RULES = {
    "steps": {"steps": {"income": 7, "debt": 3}, "max_changes": None},
    "one change": {"max_changes": 1, "decreasing": [], "increasing": []},
    "least and most": {"min_change": {"income": 20}, "max_change": {"debt": 10, "grade": 1}},
    "relative": {"relative_bounds": {"income": (-10, 20)}},
    "everything": {"decreasing": [], "increasing": [], "transitions": {}, "max_changes": 4},
    "linear rule": {"constraints": ["income >= 2 * debt", "change(income) + debt <= 40"]},
    "if-then rule": {"constraints": ["if changes(color) then income >= 30", "if income >= 40 then debt <= 10"]},
    "implied": {"implied": {"age": {"grade": 3, "income": 0.1, "color": {"green": 2}}}},
}
LEAVES = (1, 6, 256)


def assert_proved(problem, leaf=256):
    """Compare with brute force; return the least costs."""
    search = replace(search_for(problem, lattice_for(problem)), leaf=leaf)
    optimum = search_networks(search, most_boxes=100_000)
    least = np.array(least_costs(problem))
    assert optimum.finished.all()
    found = np.isfinite(least)
    assert np.array_equal(np.isfinite(optimum.cost), found)
    assert np.allclose(optimum.cost[found], least[found], rtol=1e-9, atol=0)
    assert np.array_equal(optimum.bound, optimum.cost)
    everybody = np.arange(problem.n_people)
    values, levels = map(torch.from_numpy, search.lattice.states(everybody, optimum.rungs))
    states = problem.states(torch.from_numpy(everybody), values, levels)
    points = problem.assemble(torch.from_numpy(everybody), values, levels)
    assert problem.region.contains(points).all()
    assert states.valid.numpy()[found].all()
    assert np.allclose(states.cost.numpy()[found], optimum.cost[found], rtol=1e-12, atol=0)
    return least


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_network(name, leaf):
    least = assert_proved(problem_for([MODELS[name]], PEOPLE), leaf)
    assert 0 < np.isfinite(least).sum()


@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "4 bits"])
@pytest.mark.parametrize("rules", OTHER_RULES)
def test_every_kind_of_rule(name, rules):
    least = assert_proved(problem_for([MODELS[name]], PEOPLE, RULES | OTHER_RULES[rules]), 4)
    assert 0 < np.isfinite(least).sum()


@pytest.mark.parametrize("norm", ["l2", "mixed"])
@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "4 bits", "4 bits, 3 classes"])
def test_every_norm(name, norm):
    rules = RULES | {"steps": {"income": 4, "debt": 2}, "max_changes": 4}
    assert_proved(problem_for([MODELS[name]], PEOPLE, rules, norm=norm), 4)


@pytest.mark.parametrize("name", ["rectifiers, 3 classes", "4 bits"])
def test_margins(name):
    problem = problem_for([MODELS[name]], PEOPLE)
    with torch.no_grad():
        spread = problem.predictor.logits(problem.origin).std().item()
    farther = assert_proved(problem_for([MODELS[name]], PEOPLE, margin=spread / 4), 4)
    nearer = np.array(least_costs(problem))
    assert (farther >= nearer).all() and (farther > nearer).any()


@pytest.mark.parametrize(
    "names", [("rectifiers, 2 layers", "4 bits"), ("4 bits", "2 bits", "4 bits, 1 layer")]
)
def test_several_models_at_once(names):
    models = [MODELS[name] for name in names]
    least = assert_proved(problem_for(models, PEOPLE, RULES | {"max_changes": 4}, target=1), 4)
    assert 0 < np.isfinite(least).sum()


@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "8 bits, 4 layers"])
def test_points_that_hold_under_jitter(name):
    model = MODELS[name]
    steady = assert_proved(problem_for([model], PEOPLE, perturbation_radius=0.1), 4)
    assert (steady >= np.array(least_costs(problem_for([model], PEOPLE)))).all()


def test_rules_of_single_people_and_categories_that_nobody_knows():
    people = PEOPLE.copy()
    people.loc[:9, "color"] = "violet"
    overrides = {row: {"immutable": ["color"]} for row in range(5)}
    overrides |= {row: {"bounds": {"income": (20, 40)}} for row in range(20, 30)}
    for name in ("rectifiers, 2 layers", "4 bits"):
        problem = problem_for([MODELS[name]], PEOPLE, asked=people, overrides=overrides)
        assert_proved(problem, 4)


def test_a_budget_that_is_spent_leaves_a_bound_and_what_was_found():
    problem = problem_for([MODELS["4 bits"]], PEOPLE, RULES | {"steps": {"income": 2, "debt": 1}})
    whole = solve_networks(problem, Effort())
    cut = solve_networks(problem, Effort(max_boxes=4))
    assert {"optimal", "infeasible"} >= set(whole.status)
    assert {"feasible"} <= set(cut.status)
    assert (cut.bound <= whole.bound * (1 + 1e-12)).all()
    for status, bound in zip(cut.status, cut.bound.tolist(), strict=True):
        assert status in ("optimal", "feasible", "time_limit", "infeasible")
        assert np.isfinite(bound) or status == "infeasible"
    late = solve_networks(problem, Effort(time_limit=0.0))
    assert set(late.status) == {"time_limit"}
    assert (late.bound == 0).all()


@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "4 bits"])
def test_an_answer_does_not_depend_on_who_else_is_asked(name):
    problem = problem_for([MODELS[name]], PEOPLE, RULES | {"steps": {"income": 2, "debt": 1}})
    together = solve_networks(problem, Effort(max_boxes=6))
    assert "feasible" in together.status
    for people in (slice(0, 1), slice(3, 9)):
        rows = torch.arange(problem.n_people)[people]
        alone = solve_networks(problem.take(rows), Effort(max_boxes=6))
        assert alone.status.tolist() == together.status[people].tolist()
        assert torch.equal(alone.values, together.values[people])
        assert torch.equal(alone.levels, together.levels[people])
        assert torch.equal(alone.bound, together.bound[people])
