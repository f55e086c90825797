"""Tables, intervals, lines and knapsacks of proofs on networks, against points and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from lattice_cases import (
    RULES,
    draw_integers,
    draw_people,
    draw_rectifiers,
    every_point,
    problem_for,
)

from skcfq.proofs._bounds import spans_of
from skcfq.proofs._box_points import points_of
from skcfq.proofs._boxes import Boxes, contract, whole_lattice
from skcfq.proofs._choice_bound import Options, Squares, choice_bound
from skcfq.proofs._gains import Gains
from skcfq.proofs._lattice import lattice_of
from skcfq.proofs._layer_bounds import margin_bound
from skcfq.proofs._layers import InputCodes, Rectifier, Staircase
from skcfq.solvers.exact._networks import search_for

PEOPLE = draw_people(25)
MODELS = {
    "rectifiers": draw_rectifiers(PEOPLE, (8, 6, 5), 3),
    "integers": draw_integers(PEOPLE, (8, 6, 5), 3, bits=3, per_channel=True),
}
IMPLIED = RULES | {"implied": {"age": {"grade": 3, "income": 0.1, "color": {"green": 2}}}}


def random_boxes(lattice, rng, n=60):
    person = rng.randint(0, lattice.n_people, n)
    size = lattice.size[person]
    ends = np.sort((rng.rand(2, *size.shape) * size).astype(np.int64), axis=0)
    return Boxes(person, ends[0], ends[1], np.zeros(n))


def random_points(boxes, rng):
    length = boxes.high - boxes.low + 1
    return boxes.low + (rng.rand(*length.shape) * length).astype(np.int64)


@pytest.mark.parametrize("rules", [RULES, RULES | {"min_change": {"income": 15}}])
def test_ladders_hold_what_is_admissible_at_its_cost(rules):
    people = PEOPLE.copy()
    people.loc[:4, "color"] = "violet"
    problem = problem_for(
        [MODELS["rectifiers"]], PEOPLE, rules | {"max_changes": None}, asked=people
    )
    lattice = lattice_of(problem.region, problem.cost_function)
    for person in range(problem.n_people):
        ladders = [range(size) for size in lattice.size[person]]
        rungs = np.array(list(itertools.product(*ladders)))
        who = np.full(len(rungs), person)
        values, levels = lattice.states(who, rungs)
        listed = every_point(problem, person)
        mine = sorted(map(tuple, np.column_stack([values, levels]).tolist()))
        theirs = torch.cat([listed.values, listed.levels.double()], dim=1).tolist()
        assert mine == sorted(map(tuple, {tuple(row) for row in theirs}))
        cost = lattice.cost[lattice.places(who, rungs)].sum(axis=1)
        states = problem.states(*map(torch.from_numpy, (who, values, levels)))
        assert np.allclose(cost, states.cost.numpy(), rtol=1e-12, atol=1e-12)
        assert (
            lattice.states(who[:1], lattice.own[[person]])[0] == problem.values[person].numpy()
        ).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rules", [RULES, IMPLIED])
def test_tables_are_the_first_layer(name, rules):
    rng = np.random.RandomState(0)
    problem = problem_for([MODELS[name]], PEOPLE, rules)
    lattice = lattice_of(problem.region, problem.cost_function)
    tables = search_for(problem, lattice).demands[0].tables
    boxes = random_boxes(lattice, rng, 300)
    rungs = random_points(boxes, rng)
    logits = tables.network.logits(tables.first_totals(boxes.person, rungs))
    states = map(torch.from_numpy, (boxes.person, *lattice.states(boxes.person, rungs)))
    wanted = problem.predictor.logits(problem.assemble(*states)).detach().numpy()
    if name == "integers":
        assert np.array_equal(logits, wanted)
    else:
        assert np.allclose(logits, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rules", [RULES, IMPLIED])
def test_bounds_hold_at_all_points_of_their_boxes(name, rules):
    rng = np.random.RandomState(1)
    problem = problem_for([MODELS[name]], PEOPLE, rules)
    lattice = lattice_of(problem.region, problem.cost_function)
    search = search_for(problem, lattice)
    boxes = random_boxes(lattice, rng)
    start = lattice.start[boxes.person]
    for demand in search.demands:
        tables = demand.tables
        spans = spans_of(tables, boxes)
        target, rival = demand.target[boxes.person], demand.rival[boxes.person]
        bound = margin_bound(tables.network, spans.hidden, target, rival)
        gains = Gains.of(tables, boxes, start, (spans.near, spans.far), bound.slope)
        most, at_own = gains.most(), (bound.slope * tables.base[boxes.person]).sum(axis=1)
        rows, nearly = np.arange(len(boxes)), 1e-9
        for _ in range(30):
            rungs = random_points(boxes, rng)
            first = tables.first_totals(boxes.person, rungs)
            assert (first >= spans.first[0] - nearly).all()
            assert (first <= spans.first[1] + nearly).all()
            logits = tables.network.logits(first) / tables.network.unit
            margin = logits[rows, target] - logits[rows, rival]
            limit = bound.constant + (bound.slope * first).sum(axis=1)
            assert (margin <= limit + nearly * (1 + np.abs(limit))).all()
            gain = np.stack([gains.at(f, rows, rungs[:, f]) for f in range(rungs.shape[1])], 1)
            assert np.allclose(bound.constant + at_own + gain.sum(axis=1), limit)
            assert (gain <= most + nearly).all()


def test_bounds_of_single_points_are_exact():
    rng = np.random.RandomState(2)
    for model in MODELS.values():
        problem = problem_for([model], PEOPLE)
        lattice = lattice_of(problem.region, problem.cost_function)
        demand = search_for(problem, lattice).demands[0]
        boxes = random_boxes(lattice, rng)
        rungs = random_points(boxes, rng)
        boxes = Boxes(boxes.person, rungs, rungs, boxes.bound)
        tables = demand.tables
        target, rival = demand.target[boxes.person], demand.rival[boxes.person]
        bound = margin_bound(tables.network, spans_of(tables, boxes).hidden, target, rival)
        first = tables.first_totals(boxes.person, rungs)
        logits = tables.network.logits(first) / tables.network.unit
        rows = np.arange(len(boxes))
        margin = logits[rows, target] - logits[rows, rival]
        assert np.allclose(bound.constant + (bound.slope * first).sum(axis=1), margin)


ACTIVATIONS = [Rectifier(), *(Staircase(1.0, top) for top in (1.0, 3.0, 14.0, 255.0))]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lines_lie_around_activations(activation):
    rng = np.random.RandomState(0)
    top = getattr(activation, "top", 4.0)
    centers = rng.uniform(-0.3 * top - 2, 1.3 * top + 2, 4000)
    widths = 10.0 ** rng.uniform(-2, math.log10(top + 3), 4000)
    ends = np.sort(np.stack([centers, centers + widths]), axis=0)
    # Intervals that end where the function jumps are the hard ones.
    ends[:, ::2] = np.rint(2 * ends[:, ::2]) / 2
    low, high = (end[:, None] for end in ends)
    lines = activation.lines(low, high)
    for share in np.linspace(0, 1, 201):
        total = low + share * (high - low)
        near = [total, np.clip(np.rint(2 * total) / 2, low, high)]
        for at in near:
            for point in (np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf)):
                point = np.clip(point, low, high)
                value = activation(point.copy())
                above = lines.upper_slope * point + lines.upper_intercept
                below = lines.lower_slope * point + lines.lower_intercept
                assert (value <= above + 1e-9).all()
                assert (value >= below - 1e-9).all()


def test_lines_lie_around_input_codes():
    rng = np.random.RandomState(0)
    network = MODELS["integers"].integer_network_
    columns = np.array([1, 2, 0])
    codes = InputCodes(network, columns)
    ends = np.sort(rng.uniform(-6, 6, (2, 2000, 5)), axis=0)
    lines = codes.lines(*ends)
    for share in np.linspace(0, 1, 101):
        total = ends[0] + share * (ends[1] - ends[0])
        value = codes(total)
        encoded = np.zeros((len(total), network.n_inputs))
        encoded[:, columns] = total[:, :3]
        assert np.array_equal(value[:, :3], network.codes(encoded)[:, columns])
        assert np.array_equal(value[:, 3:], total[:, 3:])
        assert (value <= lines.upper_slope * total + lines.upper_intercept + 1e-9).all()
        assert (value >= lines.lower_slope * total + lines.lower_intercept - 1e-9).all()


@pytest.mark.parametrize("most", [1, 2, 4])
def test_knapsacks_are_bounded_by_their_cheapest_choice(most):
    rng = np.random.RandomState(most)
    n, n_features, width = 300, 4, 3
    cost = np.where(rng.rand(n, n_features, width) < 0.2, np.inf, rng.rand(n, n_features, width))
    cost[:, :, 0] = rng.rand(n, n_features)
    gain = rng.normal(size=cost.shape)
    may_stay = rng.rand(n, n_features) < 0.8
    may_stay[:, :4] |= np.cumsum(~may_stay, axis=1) > most
    need = rng.uniform(-1, 3, n)
    found = choice_bound(Options(cost, gain, may_stay, most), need)
    tight = 0
    for i in range(n):
        best = _cheapest(cost[i], gain[i], may_stay[i], most, need[i])
        assert found.bound[i] <= best * (1 + 1e-12) + 1e-12
        tight += found.bound[i] >= best * (1 - 1e-9)
        if np.isfinite(found.bound[i]):
            over = found.over
            assert over.gain[i] >= need[i]
            assert (over.option[i] >= 0).sum() <= most
            assert may_stay[i][over.option[i] < 0].all()
            chosen = [(f, v) for f, v in enumerate(over.option[i]) if v >= 0]
            assert math.isclose(over.cost[i], sum(cost[i][c] for c in chosen), abs_tol=1e-12)
    # Where nothing is left to choose, or nothing suffices, nothing is lost.
    assert tight > n / 4


def test_knapsacks_of_squares_lose_nothing():
    rng = np.random.RandomState(0)
    n, m = 400, 4
    rate, slope = rng.uniform(0.2, 3, (2, n, m))
    nearest, farthest = np.sort(rng.uniform(0, 3, (2, n, m)), axis=0)
    may_stay = rng.rand(n, m) < 0.5
    nearest[may_stay] = 0.0
    squares = Squares(rate, slope, nearest, farthest, (rate * nearest) ** 2)
    shape = n, m, 1
    reached = (slope * farthest).sum(axis=1)
    need = reached * rng.uniform(0, 1.2, n)
    found = choice_bound(Options(np.zeros(shape), np.zeros(shape), may_stay, m, squares), need)
    assert np.array_equal(np.isinf(found.bound), need > reached)
    # Moves between both choices that meet the need cost no less than the optimum.
    begin, end = found.under.move, found.over.move
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (need - found.under.gain) / (found.over.gain - found.under.gain)
    share = np.clip(np.nan_to_num(share, nan=1.0), 0.0, 1.0)[:, None]
    moves = begin + share * (end - begin)
    there = np.isfinite(found.bound)
    assert ((slope * moves).sum(axis=1) >= need * (1 - 1e-12))[there].all()
    paid = squares.cost(moves).sum(axis=1)
    assert np.allclose(found.bound[there], paid[there], rtol=1e-3)
    assert np.isclose(found.bound[there], paid[there], rtol=1e-12).mean() > 0.95


def _cheapest(cost, gain, may_stay, most, need):
    best = math.inf
    options = [range(-1 if stays else 0, cost.shape[1]) for stays in may_stay]
    for choice in itertools.product(*options):
        chosen = [(f, v) for f, v in enumerate(choice) if v >= 0]
        if len(chosen) <= most and sum(gain[c] for c in chosen) >= need:
            best = min(best, sum(cost[c] for c in chosen))
    return best


@pytest.mark.parametrize("most", [1, 3])
def test_contraction_and_leaves_keep_all_that_is_cheaper(most):
    rng = np.random.RandomState(most)
    problem = problem_for([MODELS["rectifiers"]], PEOPLE)
    lattice = lattice_of(problem.region, problem.cost_function)
    demand = search_for(problem, lattice).demands[0]
    boxes = random_boxes(lattice, rng, 40)
    boxes = Boxes.concatenate([boxes, whole_lattice(lattice).take(slice(0, 5))])
    limit = rng.uniform(0.5, 4, len(boxes))
    wanted = set()
    for i in range(len(boxes)):
        stretches = map(range, boxes.low[i], boxes.high[i] + 1)
        rungs = np.array(list(itertools.product(*stretches)))
        who = np.full(len(rungs), boxes.person[i])
        cost = lattice.cost[lattice.places(who, rungs)].sum(axis=1)
        changes = (rungs != lattice.own[who]).sum(axis=1)
        wanted |= {(i, *rung) for rung in rungs[(cost < limit[i]) & (changes <= most)].tolist()}
    # Boxes are told apart by their bounds, which contraction only raises.
    marks = np.arange(len(boxes)) * 1e6
    small = contract(lattice, Boxes(boxes.person, boxes.low, boxes.high, marks), limit, most)
    which = (small.bound // 1e6).astype(int)
    start = lattice.start[small.person]
    spans = spans_of(demand.tables, small)
    none = np.zeros((len(small), demand.tables.slopes.shape[1]))
    gains = Gains.of(demand.tables, small, start, (spans.near, spans.far), none)
    each = [
        points_of(
            lattice,
            small.take(np.array([k])),
            limit[which[[k]]],
            most,
            gains.take(np.array([k])),
            np.array([-1.0]),
        )[1]
        for k in range(len(small))
    ]
    found = [
        (int(i), *rung) for i, rungs in zip(which, each, strict=True) for rung in rungs.tolist()
    ]
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert small.n_points().sum() < boxes.n_points().sum()


def test_values_are_found_on_their_ladders():
    rng = np.random.RandomState(0)
    problem = problem_for([MODELS["rectifiers"]], PEOPLE)
    lattice = lattice_of(problem.region, problem.cost_function)
    everybody = np.arange(lattice.n_people)
    for _ in range(20):
        rungs = (rng.rand(*lattice.size.shape) * lattice.size).astype(np.int64)
        values, levels = lattice.states(everybody, rungs)
        assert np.array_equal(lattice.rungs(values, levels), rungs)
        # A little farther out is not yet the next rung, and no level is on none of them.
        side = np.sign(rungs - lattice.own)[:, : lattice.n_numbers]
        farther, unknown = values + 1e-6 * side, np.full_like(levels, 99)
        found = lattice.rungs(farther, unknown)
        assert np.array_equal(found[:, : lattice.n_numbers], rungs[:, : lattice.n_numbers])
        assert np.array_equal(found[:, lattice.n_numbers :], lattice.own[:, lattice.n_numbers :])
