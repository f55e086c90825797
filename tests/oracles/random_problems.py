"""One random problem: people, rules, a model and a cost, and what the library says about them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from enumeration import Costs, Oracle
from random_models import LINEAR, MONOTONE, OTHERS, TREES, draw_model, is_yes
from random_rules import Rules, draw_rules
from random_tables import GRADES, Table, draw_table

from skcfq import ActionSet, RecourseResult, RecourseSolver

# What is drawn, by the name of a population: kinds of models, whether a feature with many values
# takes part, and whether rules tie features together.
POPULATIONS = {
    "linear": (MONOTONE, True, False),
    "linear, rules across": (MONOTONE, True, True),
    "linear, discrete": (LINEAR, False, False),
    "linear, discrete, rules across": (LINEAR, False, True),
    "trees": (TREES, False, True),
    "networks": (("network", "network, threshold", "teacher"), False, True),
    "quantized": (("quantized",), False, True),
}
PROVING = tuple(POPULATIONS)
assert {kind for kinds, *_ in POPULATIONS.values() for kind in kinds} == {*LINEAR, *OTHERS}


@dataclass(frozen=True)
class Problem:
    """A problem that can be drawn again from its population and seed."""

    population: str
    seed: int
    kind: str
    table: Table
    rules: Rules
    model: Any
    costs: Costs
    solver: RecourseSolver

    def solve(self) -> RecourseResult:
        """Ask the library."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.solver.solve(
                self.model,
                self.table.people,
                background=self.table.background,
                overrides=self.rules.overrides,
            )

    def oracle(self) -> Oracle:
        return Oracle(self.table, self.rules, self.model, self.costs)


def draw_problem(population: str, seed: int) -> Problem:
    """Draw a problem of a population."""
    kinds, with_long, across = POPULATIONS[population]
    rng = np.random.RandomState([seed, list(POPULATIONS).index(population)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = draw_table(rng, with_long=with_long, n_features=int(rng.randint(2, 5)))
        rules = draw_rules(rng, table, across=across)
        kind = kinds[rng.randint(len(kinds))]
        model, scaled = draw_model(rng, table, kind)
    norm = str(rng.choice(["l1", "l1", "l2", "mixed"]))
    weights = _draw_weights(rng, table)
    method = "milp" if kind in LINEAR and norm == "l1" and rng.rand() < 0.3 else "auto"
    solver = RecourseSolver(
        ActionSet(**rules.parameters),
        method=method,
        cost=norm,
        cost_weights=weights,
        target="yes",
        margin=0.0,
        perturbation_radius=0.0,
        random_state=0,
    )
    costs = Costs(weights_in_raw_units(table, weights, scaled=scaled), norm)
    return Problem(population, seed, kind, table, rules, model, costs, solver)


def _draw_weights(rng: np.random.RandomState, table: Table) -> str | dict[str, float]:
    preset = str(rng.choice(["std", "std", "mad", "uniform", "named"]))
    if preset != "named":
        return preset
    free = [name for name, kind in table.kinds.items() if kind != "fixed"]
    return {name: float(rng.uniform(0.2, 3)) for name in free if rng.rand() < 0.7}


def weights_in_raw_units(
    table: Table, weights: str | dict[str, float], *, scaled: bool
) -> dict[str, float]:
    """Return the weight of a raw unit, a rank or a change of level, by the definition (A.5)."""
    found = {}
    for name, kind in table.kinds.items():
        if kind == "fixed":
            continue
        if kind in ("category", "grade", "group"):
            spread, scale = _spread_of_levels(table, name), 1.0
        else:
            values = table.background[name].astype(float)
            values = values.fillna(values.median()).to_numpy()
            spread = float(values.std())
            scale = 1 / spread if scaled and spread > 0 else 1.0
            deviation = float(np.median(np.abs(values - np.median(values))))
            if isinstance(weights, str) and weights == "mad" and deviation > 1e-12 / scale:
                spread = deviation
        if isinstance(weights, dict) and name in weights:
            found[name] = weights[name] * scale
        elif isinstance(weights, str) and weights == "uniform":
            found[name] = scale
        else:
            found[name] = 1 / spread if spread * scale > 1e-12 else scale
    return found


def _spread_of_levels(table: Table, name: str) -> float:
    if table.kinds[name] == "group":
        columns = table.background[table.members[name]].to_numpy(float)
        shares = np.append(columns.mean(axis=0), 1 - columns.any(axis=1).mean())
    elif table.kinds[name] == "grade":
        ranks = table.background[name].map(GRADES.index)
        return float(ranks.std(ddof=0))
    else:
        shares = table.background[name].value_counts(normalize=True).to_numpy()
    return float(np.sqrt(max(0.0, (1 - (shares**2).sum()) / 2)))


__all__ = ["POPULATIONS", "PROVING", "Problem", "draw_problem", "is_yes"]
