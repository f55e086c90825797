"""Proofs on networks against brute force over everything that people may do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from lattice_cases import (
    OTHER_RULES,
    RULES,
    assert_optimal,
    draw_integers,
    draw_people,
    draw_rectifiers,
    every_point,
    least_costs,
    problem_for,
)
from scipy.optimize import Bounds, LinearConstraint, milp
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, RecourseSolver
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import rectified_layers
from skcfq.proofs import _branching, branch_and_bound
from skcfq.solvers.exact import _networks
from skcfq.solvers.exact._networks import lattice_for, search_for, solve_networks
from skcfq.solvers.problems import Effort

PEOPLE = draw_people(36)
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
    "bits of units": draw_integers(PEOPLE, (8, 6), by_units=True),
}
LEAVES = (1, 256)


def assert_proved(problem, leaf=256):
    """Compare with brute force; return the least costs."""
    search = replace(search_for(problem, lattice_for(problem)), leaf=leaf)
    return assert_optimal(problem, search.lattice, branch_and_bound(search, most_boxes=100_000))


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_network(name, leaf):
    least = assert_proved(problem_for([MODELS[name]], PEOPLE), leaf)
    assert np.isfinite(least).sum() > 0


@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "4 bits"])
@pytest.mark.parametrize("rules", OTHER_RULES)
def test_every_kind_of_rule(name, rules):
    least = assert_proved(problem_for([MODELS[name]], PEOPLE, RULES | OTHER_RULES[rules]), 4)
    assert np.isfinite(least).sum() > 0


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
    assert np.isfinite(least).sum() > 0


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
    cut = solve_networks(problem, Effort(max_nodes=4))
    assert {"optimal", "infeasible"} >= set(whole.status)
    assert {"feasible"} <= set(cut.status)
    assert (cut.bound <= whole.bound * (1 + 1e-12)).all()
    for status, bound in zip(cut.status, cut.bound.tolist(), strict=True):
        assert status in ("optimal", "feasible", "time_limit", "infeasible")
        assert np.isfinite(bound) or status == "infeasible"
    late = solve_networks(problem, Effort(time_limit=0.0))
    assert set(late.status) == {"time_limit"}
    assert (late.bound == 0).all()


def test_what_is_known_when_interrupted_is_kept(monkeypatch):
    problem = problem_for([MODELS["4 bits"]], PEOPLE, RULES | {"steps": {"income": 2, "debt": 1}})
    whole = solve_networks(problem, Effort())
    rounds = []

    def broken(boxes, *more):
        rounds.append(len(boxes))
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return blocks(boxes, *more)

    blocks = _branching._blocks
    monkeypatch.setattr(_branching, "_blocks", broken)
    answer = solve_networks(problem, Effort())
    assert answer.interrupted
    assert "feasible" in answer.status
    assert (answer.bound <= whole.bound * (1 + 1e-12)).all()
    proved = np.isin(answer.status, ["optimal", "infeasible"])
    assert torch.equal(answer.values[proved], whole.values[proved])


@pytest.mark.parametrize("name", ["rectifiers, 2 layers", "4 bits"])
def test_an_answer_does_not_depend_on_who_else_is_asked(name):
    problem = problem_for([MODELS[name]], PEOPLE, RULES | {"steps": {"income": 2, "debt": 1}})
    together = solve_networks(problem, Effort(max_nodes=6))
    assert "feasible" in together.status
    for people in (slice(0, 1), slice(3, 9)):
        rows = torch.arange(problem.n_people)[people]
        alone = solve_networks(problem.take(rows), Effort(max_nodes=6))
        assert alone.status.tolist() == together.status[people].tolist()
        assert torch.equal(alone.values, together.values[people])
        assert torch.equal(alone.levels, together.levels[people])
        assert torch.equal(alone.bound, together.bound[people])


def test_points_that_are_given_are_a_start():
    problem = problem_for([MODELS["4 bits"]], PEOPLE, RULES | {"steps": {"income": 2, "debt": 1}})
    whole = solve_networks(problem, Effort())
    everybody = torch.arange(problem.n_people)
    best = problem.assemble(everybody, whole.values, whole.levels)
    found = np.isin(whole.status, ["optimal"])
    assert found.any()
    cut = solve_networks(problem, Effort(max_nodes=1), [problem.origin, best])
    assert np.isin(cut.status[found], ["optimal", "feasible"]).all()
    assert torch.equal(cut.values[found], whole.values[found])
    assert torch.equal(cut.levels[found], whole.levels[found])
    assert (solve_networks(problem, Effort(max_nodes=1)).status == "time_limit").any()


def test_where_the_budget_is_spent_the_search_says_more():
    rules = ActionSet(**RULES | {"steps": {"income": 0.5, "debt": 0.5}, "max_changes": None})
    wanted = {"target": 1, "random_state": 0, "margin": 0.0, "perturbation_radius": 0.0}

    def solve(**parameters):
        solver = RecourseSolver(rules, **wanted | parameters)
        return solver.solve(MODELS["4 bits"], PEOPLE, background=PEOPLE)

    whole, cut = solve(), solve(max_nodes=8)
    assert set(whole.status) <= {"optimal", "infeasible", "already_favorable"}
    assert {"feasible", "optimal"} <= set(cut.status)
    assert "time_limit" not in cut.status
    left = cut.status == "feasible"
    assert (cut.lower_bound[left] <= whole.cost[left] * (1 + 1e-9)).all()
    assert (cut.cost[left] >= whole.cost[left] * (1 - 1e-9)).all()
    assert (cut.lower_bound[left] > 0).any()
    assert np.array_equal(cut.gap[left], 1 - cut.lower_bound[left] / cut.cost[left])
    assert (cut.gap[cut.status == "optimal"] == 0).all()
    assert cut.summary()["mean_gap"] == pytest.approx(cut.gap[left].mean())
    proved = np.isin(cut.status, ["optimal", "infeasible"]).sum()
    assert f"proved={proved} (mean gap of other actions {cut.gap[left].mean():.2g})" in cut.protocol
    assert f"proved={whole.denied.sum()}," in whole.protocol
    # Its random starts have a seed.
    seeds = [solve(max_nodes=1, method="auto", random_state=seed) for seed in (0, 0)]
    assert np.array_equal(seeds[0].cost, seeds[1].cost, equal_nan=True)
    with pytest.raises(ValueError, match="max_nodes"):
        solve(max_nodes=0)


CONTINUOUS = RULES | {"steps": {"debt": 5}}


@pytest.mark.parametrize("radius", [0.0, 0.05])
@pytest.mark.parametrize("bits", ["2 bits", "4 bits, 3 classes"])
def test_a_continuum_that_is_read_in_codes(bits, radius):
    rules = CONTINUOUS | {"max_changes": 2, "min_change": {"income": 4}}
    people = PEOPLE.head(6)
    problem = problem_for([MODELS[bits]], PEOPLE, rules, asked=people, perturbation_radius=radius)
    answer = solve_networks(problem, Effort())
    for person in range(problem.n_people):
        least = _least_cost_of_a_continuum(problem, person)
        if np.isinf(least):
            assert answer.status[person] == "infeasible"
        else:
            assert answer.status[person] == "optimal"
            assert answer.bound[person].item() == pytest.approx(least, rel=1e-6)


def _least_cost_of_a_continuum(problem, person):
    """Try values that lie close to each other, then halve between those that differ."""
    region, column = problem.region, int(problem.numeric_columns[0])
    network = problem.predictor.integers
    own = region.values[person, 0].item()
    ends = region.lower[person, 0].item(), region.upper[person, 0].item()
    radius = problem.radii[0].item() if problem.perturbation_radius else 0.0

    def read(values):
        rows = np.zeros((len(values), network.n_inputs))
        shifted = []
        for shift in (0.0, radius, -radius):
            rows[:, column] = values + shift
            shifted.append(network.codes(rows)[:, column])
        return np.stack(shifted)

    samples = np.linspace(*ends, 40_000)
    change = np.flatnonzero((read(samples)[:, 1:] != read(samples)[:, :-1]).any(axis=0))
    low, high = samples[change].copy(), samples[change + 1].copy()
    for _ in range(60):
        middle = (low + high) / 2
        same = (read(middle) == read(low)).all(axis=0)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    least_move = region.min_change[person, 0].item()
    tried = [own, own - least_move, own + least_move, *low.tolist(), *high.tolist()]
    grid = [own, *(low - 1e-9).tolist(), *(high + 1e-9).tolist(), *tried]
    grid = [v for v in grid if ends[0] <= v <= ends[1]]
    grid = [v for v in grid if v == own or abs(v - own) >= least_move * (1 - 1e-9)]
    states = every_point(problem, person, {0: grid})
    points = problem.assemble(states.person, states.values, states.levels)
    valid = states.valid
    if radius:
        valid &= problem.worst_slack(points, states.person) >= 0
    return min(states.cost[valid].tolist(), default=np.inf)


def test_raw_rows_confirm_what_is_proved():
    model = MODELS["4 bits"]
    rules = ActionSet(**(CONTINUOUS | {"steps": {}}))
    wanted = {"target": 1, "random_state": 0}
    exact = RecourseSolver(rules, method="exact", **wanted).solve(model, PEOPLE, background=PEOPLE)
    search = RecourseSolver(rules, method="gradient", **wanted).solve(
        model, PEOPLE, background=PEOPLE
    )
    assert exact.method == "exact"
    assert set(exact.status) <= {"optimal", "infeasible", "already_favorable"}
    assert (exact.reachable >= search.reachable).all()
    both = search.reachable
    assert (exact.cost[both] <= search.cost[both] * (1 + 1e-6)).all()
    assert (exact.cost[both] < search.cost[both] * (1 - 1e-6)).any()


@pytest.mark.parametrize(("name", "searches"), [("4 bits", 1), ("rectifiers, 2 layers", 2)])
def test_who_cannot_change_is_asked_once_under_integers(name, searches, monkeypatch):
    asked = []

    def counted(problem, *more):
        asked.append(problem.n_people)
        return solve_networks(problem, *more)

    monkeypatch.setattr(_networks, "solve_networks", counted)
    rules = ActionSet(**RULES | {"max_changes": 1, "max_change": {"income": 10}})
    solver = RecourseSolver(rules, method="exact", target=1, perturbation_radius=0.0)
    result = solver.solve(MODELS[name], PEOPLE, background=PEOPLE)
    hopeless = (result.status == "infeasible").sum()
    assert hopeless > 0
    assert asked == [result.denied.sum(), hopeless][:searches]


def test_a_continuum_that_bounds_cannot_close_in_on_is_refused():
    tied = {"constraints": ["income >= 2 * debt"]}
    for more in ({"perturbation_radius": 0.1}, {"rules": tied}, {"cost": "mixed"}):
        rules = ActionSet(**CONTINUOUS | more.pop("rules", {}))
        solver = RecourseSolver(rules, method="exact", target=1, **more)
        with pytest.raises(UnsupportedModelError, match="'income' moves continuously"):
            solver.solve(MODELS["rectifiers, 1 layer"], PEOPLE, background=PEOPLE)


def test_who_gave_no_rules_asked_for_no_proof():
    model = MODELS["rectifiers, 1 layer"]

    def method_for(rules):
        solver = RecourseSolver(rules, target=1, random_state=0)
        return solver.solve(model, PEOPLE.head(4), background=PEOPLE).method

    ordered = ActionSet(ordinal={"grade": RULES["ordinal"]["grade"]}, cost="l2")
    assert [method_for(rules) for rules in (None, ActionSet(), ordered)] == ["gradient"] * 3
    assert method_for(ActionSet(immutable=["age"])) == "exact"
    assert method_for(ActionSet(steps={"income": 10})) == "exact"


def test_sides_without_a_bound_prove_no_more_than_was_looked_at():
    rules = RULES | {"steps": {}, "bounds": {"income": (None, None), "debt": (0, 20)}}
    model = MODELS["rectifiers, 2 layers"]
    problem = problem_for([model], PEOPLE, rules)
    answer = solve_networks(problem, Effort())
    assert set(answer.status) <= {"optimal", "not_found"}
    assert (answer.status == "optimal").sum() > 3
    held = solve_networks(problem_for([model], PEOPLE, RULES | {"steps": {}}), Effort())
    both = (held.status == "optimal") & (answer.status == "optimal")
    assert (answer.bound[both] <= held.bound[both] * (1 + 1e-6)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_networks_rules_and_norms(seed):
    rng = np.random.RandomState(seed)
    people = draw_people(60, seed)
    hidden = tuple(rng.randint(4, 10, rng.randint(1, 5)))
    n_classes = int(rng.choice([2, 2, 3]))
    models = []
    for k in range(rng.choice([1, 1, 2])):
        if rng.rand() < 0.5:
            models.append(draw_rectifiers(people, hidden, n_classes, seed + k))
        else:
            bits, per_channel = int(rng.choice([2, 3, 4, 8])), bool(rng.rand() < 0.5)
            models.append(
                draw_integers(
                    people, hidden, n_classes, seed + k, bits=bits, per_channel=per_channel
                )
            )
    rules = RULES | {"max_changes": [1, 2, 3, None][rng.randint(4)]}
    for name in rng.choice(list(OTHER_RULES), rng.randint(3), replace=False):
        rules |= OTHER_RULES[name]
    problem = problem_for(
        models,
        people,
        rules,
        norm=str(rng.choice(["l1", "l2", "mixed"])),
        margin=float(rng.choice([0.0, 0.1])),
        target=int(rng.randint(n_classes)),
        perturbation_radius=float(rng.choice([0.0, 0.0, 0.05])),
    )
    if problem.n_people:
        assert_proved(problem, int(rng.choice([1, 16, 256])))


def test_an_integer_program_agrees():
    problem = problem_for([MODELS["rectifiers, 2 layers"]], PEOPLE.head(14))
    answer = solve_networks(problem, Effort())
    lattice = lattice_for(problem)
    for person in range(problem.n_people):
        least = _program(problem, lattice, person)
        assert answer.bound[person].item() == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("steps", [{}, {"debt": 5}])
def test_an_integer_program_agrees_about_a_continuum(steps):
    rules = RULES | {"steps": steps, "max_changes": None, "decreasing": [], "increasing": []}
    problem = problem_for([MODELS["rectifiers, 2 layers"]], PEOPLE.head(14), rules)
    answer = solve_networks(problem, Effort())
    lattice = lattice_for(problem)
    assert set(answer.status) <= {"optimal", "infeasible"}
    for person in range(problem.n_people):
        least = _program(problem, lattice, person)
        assert answer.bound[person].item() == pytest.approx(least, rel=2e-6)


@pytest.mark.parametrize(
    ("layers", "norm"), [("1 layer", "l1"), ("4 layers", "l2"), ("3 classes", "l1")]
)
def test_a_continuum_under_rectifiers(layers, norm):
    rules = RULES | {"steps": {"debt": 5}, "min_change": {"income": 4}}
    people = PEOPLE.head(18)
    problem = problem_for([MODELS[f"rectifiers, {layers}"]], PEOPLE, rules, norm=norm, asked=people)
    answer = solve_networks(problem, Effort())
    everybody = torch.arange(problem.n_people)
    points = problem.assemble(everybody, answer.values, answer.levels)
    states = problem.states(everybody, answer.values, answer.levels)
    assert set(answer.status) <= {"optimal", "infeasible"}
    found = answer.status == "optimal"
    assert found.sum() > 3
    assert problem.region.contains(points).all()
    assert states.valid.numpy()[found].all()
    assert np.allclose(states.cost.numpy()[found], answer.bound.numpy()[found], rtol=1e-12)
    for person in range(problem.n_people):
        least = _least_cost_of_a_line(problem, person)
        assert answer.bound[person].item() == pytest.approx(least, rel=2e-6)


def test_squares_on_a_kink_take_few_boxes():
    people = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))
    model = MLPClassifier((2,), max_iter=3, tol=1.0, n_iter_no_change=1, random_state=0)
    model.fit(people, np.arange(len(people)) % 2)
    gain, kink = np.ones(4), np.array([1, 0.5, 0.1, -0.2])
    # Where the kink is passed, more is lost than gained: the cheapest action lies on it.
    model.coefs_ = [np.column_stack([gain, kink]), np.array([[1.0], [-3.0]])]
    model.intercepts_ = [np.array([20.0, 0.0]), np.array([-21.0])]
    solver = RecourseSolver(ActionSet(), method="exact", cost="l2", margin=0.0, max_nodes=50)
    result = solver.solve(model, np.zeros((1, 4)), background=people)
    rows = np.stack([gain, kink])
    least = np.linalg.norm(np.linalg.pinv(rows) @ [1.0, 0.0])
    assert result.status.tolist() == ["optimal"]
    assert result.cost[0] == pytest.approx(least, rel=1e-6)


def _least_cost_of_a_line(problem, person):
    """Move the first number along a fine grid, then halve between the last two of its points."""
    region = problem.region
    own, least_move = region.values[person, 0].item(), region.min_change[person, 0].item()
    low, high = region.lower[person, 0].item(), region.upper[person, 0].item()
    ends = [own, own - least_move, own + least_move]
    grid = [*np.linspace(low, high, 400), *(end for end in ends if low <= end <= high)]
    grid = sorted(v for v in grid if v == own or abs(v - own) >= least_move)
    best = np.inf
    states = every_point(problem, person, {0: grid})
    rest = torch.cat([states.values[:, 1:], states.levels], dim=1)
    _, line = torch.unique(rest, dim=0, return_inverse=True)
    for one in range(int(line.max()) + 1):
        on = line == one
        values, levels = states.values[on], states.levels[on]
        best = min(best, min(states.cost[on][states.valid[on]].tolist(), default=np.inf))
        turns = np.flatnonzero(np.diff(states.valid[on].numpy()))
        if len(turns) == 0:
            continue
        near, far, k = values[turns, 0], values[turns + 1, 0], len(turns)
        begins = states.valid[on][turns]
        for _ in range(45):
            middle = (near + far) / 2
            moved = values[turns].clone()
            moved[:, 0] = middle
            tried = problem.states(torch.full((k,), person), moved, levels[turns])
            # What turns into an answer, or out of being one, does so between the two.
            near = torch.where(tried.valid == begins, middle, near)
            far = torch.where(tried.valid == begins, far, middle)
            allowed = tried.valid & ((middle - own).abs() >= least_move)
            best = min(best, min(tried.cost[allowed].tolist(), default=np.inf))
    return best


def _program(problem, lattice, person):
    """Choose a rung a feature; rectifiers are written with big constants.

    Numbers that move continuously are mixtures of the own value and the ends.
    """
    own_rungs, sizes = lattice.own[person], lattice.size[person]
    smooth = [] if lattice.continuum is None else lattice.continuum.features.tolist()
    ladders = [
        sorted({own_rungs[f], 0, size - 1}) if f in smooth else range(size)
        for f, size in enumerate(sizes)
    ]
    picks = np.concatenate([list(ladder) for ladder in ladders])
    feature = np.repeat(np.arange(len(sizes)), [len(ladder) for ladder in ladders])
    rungs = np.tile(own_rungs, (len(picks), 1))
    rungs[np.arange(len(picks)), feature] = picks
    who = np.full(len(picks), person)
    states = map(torch.from_numpy, (who, *lattice.states(who, rungs)))
    points = problem.assemble(*states).numpy()
    own = problem.origin[person].numpy()
    first, second, last = rectified_layers(problem.predictor)
    big, n_picks = 1e3, len(picks)
    units = [len(first[1]), len(second[1])]
    n = n_picks + 2 * sum(units)
    rows, low, high = [], [], []

    def add(row, least, most):
        rows.append(row)
        low.append(least)
        high.append(most)

    def at(index, values):
        row = np.zeros(n)
        row[index] = values
        return row

    begin = n_picks
    inputs, weights = np.arange(n_picks), (points - own) @ first[0]
    offset = own @ first[0] + first[1]
    for layer, count in ((second, units[0]), (last, units[1])):
        value, active = begin + np.arange(count), begin + count + np.arange(count)
        for u in range(count):
            total = at(inputs, weights[:, u])
            add(at(value[u], 1) - total, offset[u], np.inf)
            add(at(value[u], 1) - total + at(active[u], big), -np.inf, offset[u] + big)
            add(at(value[u], 1) - at(active[u], big), -np.inf, 0)
        inputs, weights, offset = value, layer[0], layer[1]
        begin += 2 * count
    target = int(problem.target[person])
    margin = at(inputs, weights[:, target] - weights[:, 1 - target])
    add(margin, 1e-9 - (offset[target] - offset[1 - target]), np.inf)
    for f in range(len(sizes)):
        add(at(np.flatnonzero(feature == f), 1), 1, 1)
    changes = (picks != own_rungs[feature]) & ~np.isin(feature, smooth)
    add(at(np.arange(n_picks), changes), -np.inf, problem.max_changes)
    whole = np.zeros(n)
    whole[:n_picks] = ~np.isin(feature, smooth)
    for count, first_unit in zip(units, (n_picks, n_picks + 2 * units[0]), strict=True):
        whole[first_unit + count : first_unit + 2 * count] = 1
    found = milp(
        at(np.arange(n_picks), lattice.costs(who, rungs).sum(axis=1)),
        constraints=LinearConstraint(np.array(rows), low, high),
        bounds=Bounds(0, np.where(np.arange(n) < n_picks, 1, np.where(whole > 0, 1, np.inf))),
        integrality=whole,
        options={"mip_rel_gap": 1e-9},
    )
    return found.fun if found.status == 0 else np.inf
