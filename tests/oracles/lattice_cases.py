"""Small networks, people all of whose points can be listed, and rules for them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, TableEncoder
from skcfq.actions import compile_cost, region_of
from skcfq.deploy import DeployedClassifier
from skcfq.models import as_predictor
from skcfq.nn import QuantizedMLP, integers_of
from skcfq.proofs import Lattice, Optimum
from skcfq.solvers.problems import RecourseProblem, States

GRADES = ["low", "mid", "high"]
MOVES = {"red": ["green", "blue"], "green": ["gray", "red"], "blue": ["gray"], "gray": ["red"]}
RULES = {
    "immutable": ["age"],
    "steps": {"income": 10, "debt": 5},
    "bounds": {"income": (0, 60), "debt": (0, 20)},
    "decreasing": ["debt"],
    "ordinal": {"grade": GRADES},
    "increasing": ["grade"],
    "transitions": {"color": MOVES},
    "max_changes": 3,
}
OTHER_RULES = {
    "steps": {"steps": {"income": 7, "debt": 3}, "max_changes": None},
    "one change": {"max_changes": 1, "decreasing": [], "increasing": []},
    "least and most": {"min_change": {"income": 20}, "max_change": {"debt": 10, "grade": 1}},
    "relative": {"relative_bounds": {"income": (-10, 20)}},
    "everything": {"decreasing": [], "increasing": [], "transitions": {}, "max_changes": 4},
    "linear rule": {"constraints": ["income >= 2 * debt", "change(income) + debt <= 40"]},
    "if-then rule": {
        "constraints": ["if changes(color) then income >= 30", "if income >= 40 then debt <= 10"]
    },
    "implied": {"implied": {"age": {"grade": 3, "income": 0.1, "color": {"green": 2}}}},
}
COLUMNS = ["age", "income", "debt", "grade", "color"]


def draw_people(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Draw people, most of them off the grids."""
    rng = np.random.RandomState(seed)
    people = pd.DataFrame(
        {
            "age": rng.randint(18, 70, n),
            "income": rng.uniform(0, 60, n),
            "debt": rng.randint(0, 25, n).astype(float),
            "grade": rng.choice(GRADES, n),
            "color": rng.choice(list(MOVES), n),
        }
    )
    return people


def draw_rectifiers(people: pd.DataFrame, hidden: tuple, n_classes: int = 2, seed: int = 0) -> Any:
    """Return a perceptron behind an encoder, with weights that are mostly random."""
    labels = np.arange(len(people)) % n_classes
    head = MLPClassifier(hidden, max_iter=3, tol=1.0, n_iter_no_change=1, random_state=seed)
    model = make_pipeline(TableEncoder(), head).fit(people, labels)
    head.coefs_ = [2.0 * weight for weight in head.coefs_]
    # Every class gets its share of the people.
    scores = as_predictor(model, background=people).row_scores(people)
    head.intercepts_[-1] -= np.median(scores, axis=0)[-len(head.intercepts_[-1]) :]
    return model


def draw_integers(
    people: pd.DataFrame,
    hidden: tuple,
    n_classes: int = 2,
    seed: int = 0,
    *,
    bits: int = 4,
    per_channel: bool = False,
    by_units: bool = False,
) -> DeployedClassifier:
    """Return an integer network with random weights, `by_units` of 2, 4 and 8 bits in turns."""
    encoder = TableEncoder().fit(people)
    space = encoder.feature_space_
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = QuantizedMLP(
            space.n_encoded,
            hidden,
            n_classes,
            candidates=(2, 4, 8) if by_units else (bits,),
            activation_bits=8 if by_units else None,
            per_channel=per_channel or by_units,
        )
    with torch.no_grad():
        for layer in network.quantized_layers:
            layer.weight *= 2
    network.calibrate(torch.from_numpy(space.encode(people)).float())
    if by_units:
        sizes = [len(widths) for widths in network.unit_bit_widths]
        network.set_bit_widths([[(8, 2, 4)[unit % 3] for unit in range(n)] for n in sizes])
    integers = integers_of(network)
    *others, last = integers.layers
    scale = 1 if last.rescale is None else last.rescale
    middle = np.median(integers.totals(space.encode(people)), axis=0) / scale
    last = replace(last, bias=last.bias - np.rint(middle).astype(np.int64))
    integers = replace(integers, layers=(*others, last))
    return DeployedClassifier(integers, space, np.arange(n_classes))


def problem_for(
    models: list[Any],
    people: pd.DataFrame,
    rules: dict[str, Any] = RULES,
    *,
    norm: str = "l1",
    margin: float = 0.0,
    target: int | None = None,
    overrides: Any = None,
    asked: pd.DataFrame | None = None,
    **parameters: Any,
) -> RecourseProblem:
    """Return the problem of people whom the first model refuses the target."""
    first, *others = (as_predictor(model, background=people) for model in models)
    classes = len(first.classes)
    asked = people if asked is None else asked
    own = first.predict(asked)
    wanted = (own + 1) % classes if target is None else np.full(len(asked), target)
    refused = asked[own != wanted]
    if overrides is not None:
        overrides = {row: rules for row, rules in overrides.items() if row in refused.index}
    actions = ActionSet(**rules).compile(first.space)
    return RecourseProblem(
        first,
        region_of(actions, refused, overrides),
        compile_cost(actions, norm),
        torch.from_numpy(wanted[own != wanted]),
        margin,
        others,
        **parameters,
    )


def every_point(
    problem: RecourseProblem, person: int, given: dict[int, list[float]] | None = None
) -> States:
    """List what one person may do, by asking the region about all combinations of values.

    Values of numbers without a grid are given.
    """
    region = problem.region
    own = region.values[person]
    numbers = [
        [own[j].item(), *(grid.tolist() if grid is not None else [])]
        for j, grid in enumerate(region.grids)
    ]
    for j, values in (given or {}).items():
        numbers[j] = values
    levels = [
        sorted({int(region.levels[person, c]), *range(allowed.shape[1])})
        for c, allowed in enumerate(region.allowed)
    ]
    m = len(numbers)
    table = torch.tensor(list(itertools.product(*numbers, *levels)), dtype=torch.float64)
    values, level = table[:, :m], table[:, m:].long()
    who = torch.full((len(table),), person)
    points = problem.assemble(who, values, level)
    inside = region.take(who).contains(points)
    return problem.states(who[inside], values[inside], level[inside])


def least_costs(problem: RecourseProblem) -> list[float]:
    """Return the least cost of a valid point of each person, infinite where there is none."""
    found = []
    for person in range(problem.n_people):
        states = every_point(problem, person)
        if problem.perturbation_radius:
            points = problem.assemble(states.person, states.values, states.levels)
            valid = states.valid & (problem.worst_slack(points, states.person) >= 0)
        else:
            valid = states.valid
        found.append(min(states.cost[valid].tolist(), default=math.inf))
    return found


def assert_optimal(problem: RecourseProblem, lattice: Lattice, optimum: Optimum) -> np.ndarray:
    """Compare what was found with brute force; return the least costs."""
    least = np.array(least_costs(problem))
    assert optimum.finished.all()
    found = np.isfinite(least)
    assert np.array_equal(np.isfinite(optimum.cost), found)
    assert np.allclose(optimum.cost[found], least[found], rtol=1e-9, atol=0)
    assert np.array_equal(optimum.bound, optimum.cost)
    everybody = np.arange(problem.n_people)
    values, levels = map(torch.from_numpy, lattice.states(everybody, optimum.rungs))
    states = problem.states(torch.from_numpy(everybody), values, levels)
    points = problem.assemble(torch.from_numpy(everybody), values, levels)
    assert problem.region.contains(points).all()
    assert states.valid.numpy()[found].all()
    assert np.allclose(states.cost.numpy()[found], optimum.cost[found], rtol=1e-12, atol=0)
    return least
