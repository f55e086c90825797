"""On wide tables: which few features of each person are worth a search.

A move of every feature from every point is asked about in as many rows as there are features, each
as wide as the table, and a point that changes hundreds of features is taken back one by one. The
cheapest actions change few features, so that all but those that promise most are held.
"""

from __future__ import annotations

from copy import copy
from functools import partial

import torch
from torch import Tensor

from skcfq.nn import in_lanes, product
from skcfq.solvers.problems import RecourseProblem
from skcfq.solvers.search._moves import Moves
from skcfq.solvers.search._neighborhood import ask
from skcfq.solvers.search._relaxed_descent import OPEN

# Features from which on a table is wide.
WIDE = 64
# Features that gain most margin, and as many that gain most for their cost, whatever they can gain.
_KEPT = 24


def is_wide(problem: RecourseProblem) -> bool:
    """Tell whether there are too many features to move each of them from every point."""
    return problem.region.n_features > WIDE


def focused(problem: RecourseProblem, toward: list[Tensor]) -> RecourseProblem:
    """Return the same problem, in which all but the most promising features are held.

    Parameters
    ----------
    problem : RecourseProblem
        n people.
    toward : list of Tensor of shape (n, n_encoded)
        Other points that gradients are asked for, beside the people's own.

    Returns
    -------
    problem : RecourseProblem
        Of the same people. Features that rules tie together, or that move other columns, are free.
    """
    near = copy(problem)
    region = problem.region.freeze(~_promising(problem, toward))
    near._pose(region, problem.target, problem.margin)
    # Levels that are held are not tried.
    near.__dict__.pop("tried_levels", None)
    return near


def _promising(problem: RecourseProblem, toward: list[Tensor]) -> Tensor:
    """Return which features of each person are worth a search, shape (n, F), bool."""
    gain, price = _by_gradients(problem, toward) if _has_gradients(problem) else _by_moves(problem)
    rate = torch.where(price > 0, gain / price, gain)
    count = min(_KEPT, gain.shape[1])
    kept = _tied(problem)
    for score in (gain, rate):
        # Ties go to the earlier feature, on every machine.
        first = torch.argsort(score, dim=1, descending=True, stable=True)[:, :count]
        kept.scatter_(1, first, True)
    return kept


def _has_gradients(problem: RecourseProblem) -> bool:
    # A search without gradients may look where they point: what it asks about is another matter.
    return all(model.differentiable for model in problem.models)


def _tied(problem: RecourseProblem) -> Tensor:
    """Return the features that rules tie to others, or that other columns follow, shape (n, F)."""
    region = problem.region
    n, m = problem.values.shape
    tied = torch.zeros((n, region.n_features), dtype=torch.bool)
    if region.linking is not None:
        for rule in region.linking.inequalities:
            tied[:, :m] |= rule.numeric != 0
            for c, table in enumerate(rule.levels):
                tied[:, m + c] |= (table != table[:, :1]).any(dim=1)
        for implication in region.linking.implications:
            tied |= implication.features
    if region.downstream is not None:
        for column in region.downstream.position:
            tied |= region.downstream.causes_of(column)
    return tied


def _by_gradients(problem: RecourseProblem, toward: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what tangents promise: gains of the margin and their costs, shapes (n, F)."""
    region, people = problem.region, torch.arange(problem.n_people)
    gain = torch.zeros((problem.n_people, region.n_features), dtype=torch.float64)
    price = torch.ones_like(gain)
    for points in (problem.origin, *toward):
        _, gradient = problem.margin_gradient(points, people)
        of_one, its_price = _tangent_gains(problem, torch.nan_to_num(gradient))
        better = of_one > gain
        gain, price = torch.where(better, of_one, gain), torch.where(better, its_price, price)
    return gain, price


def _tangent_gains(problem: RecourseProblem, gradient: Tensor) -> tuple[Tensor, Tensor]:
    region, own = problem.region, problem.values
    slope = gradient[:, problem.numeric_columns]
    far = OPEN / problem.numeric_weights
    up = torch.nan_to_num(region.upper - own).minimum(far).clamp_min(0)
    down = torch.nan_to_num(own - region.lower).minimum(far).clamp_min(0)
    reach = torch.where(slope >= 0, up, down)
    gains, prices = [slope.abs() * reach], [problem.numeric_weights * reach]
    for c, (columns, codes) in enumerate(
        zip(problem.categorical_columns, problem.codes, strict=True)
    ):
        part = gradient[:, columns]
        at_own = (part * torch.nan_to_num(problem.origin[:, columns])).sum(dim=1)
        at_levels = in_lanes(partial(product, weight=codes), part)
        gained = (at_levels - at_own[:, None]).masked_fill(~region.allowed[c], 0.0)
        best, level = gained.max(dim=1)
        distance = problem.cost_function.distances[c][problem.levels[:, c], level]
        gains.append(best.clamp_min(0)[:, None])
        prices.append((problem.categorical_weights[c] * distance)[:, None])
    return torch.cat(gains, dim=1), torch.cat(prices, dim=1)


def _by_moves(problem: RecourseProblem) -> tuple[Tensor, Tensor]:
    """Return the same by moves of single features, which a model is asked about."""
    own, region = problem.own_states(), problem.region
    gain = torch.zeros((problem.n_people, region.n_features), dtype=torch.float64)
    price = torch.ones_like(gain)
    for moves in _farthest_moves(problem):
        reached = ask(problem, own, moves)
        gained = reached.slack - own.slack[moves.parent]
        at = moves.parent, moves.feature
        better = gained > gain[at]
        at = at[0][better], at[1][better]
        gain[at], price[at] = gained[better], reached.cost[better]
    return gain, price


def _farthest_moves(problem: RecourseProblem) -> list[Moves]:
    """Return moves of every number to its ends, and of every category to each level, in turn."""
    own, found = problem.values, []
    far = OPEN / problem.numeric_weights
    people = torch.arange(problem.n_people)
    for end in (problem.region.lower, problem.region.upper):
        reach = torch.where(torch.isfinite(end), end - own, far)
        reached = problem.snap(people, own + reach)
        parent, feature = (reached != own).nonzero(as_tuple=True)
        found.append(Moves.of_numbers(parent, feature, reached[parent, feature]))
    for c, tried in enumerate(problem.tried_levels):
        for level in range(tried.shape[1]):
            parent = (tried[:, level] & (problem.levels[:, c] != level)).nonzero().squeeze(1)
            feature = torch.full_like(parent, own.shape[1] + c)
            found.append(Moves.of_levels(parent, feature, torch.full_like(parent, level)))
    return found
