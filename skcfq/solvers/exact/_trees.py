"""The exact method for ensembles of trees: problems become lattices, tables of leaves, demands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from skcfq.actions import raw_rows
from skcfq.models import RELATIVE_MARGIN, RowHead
from skcfq.proofs import (
    Inputs,
    Lattice,
    Objective,
    TreeCells,
    TreeDemand,
    TreeSearch,
    branch_and_bound,
    greedy_points,
    lattice_of,
    leaf_tables,
    with_rungs,
    without_twins,
)
from skcfq.solvers.exact._lattice_answers import answer_of, obeys, rungs_at
from skcfq.solvers.problems import Effort, ExactAnswer, RecourseProblem

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.models import Predictor, TreeEnsemble

# With so much more margin than is asked for, nobody needs to ask the model, if the margin is no
# larger than what probabilities can tell.
_CLEAR, _TELLABLE = 1e-6, 20.0
# Numbers in the tables of people who are solved together, and in those of one.
_TABLE, _LARGEST_TABLE = 1 << 25, 1 << 29


def solve_trees(
    problem: RecourseProblem, effort: Effort, points: Sequence[torch.Tensor] = ()
) -> ExactAnswer:
    """Find the cheapest valid point of every person under ensembles of trees.

    Parameters
    ----------
    problem : RecourseProblem
    effort : Effort
        Nodes of a person, and seconds of a person, the mean over all people.
    points : sequence of Tensor of shape (n, n_encoded)
        Encoded points that may be answers: whatever is found is no dearer.

    Returns
    -------
    answer : ExactAnswer

    Notes
    -----
    Certified: ``"optimal"`` within a relative gap of 1e-9, ``"infeasible"`` because no box of the
    lattice holds an answer.
    """
    return _solve(problem, lattice_for(problem), effort, points)


def _solve(
    problem: RecourseProblem, lattice: Lattice, effort: Effort, points: Sequence[torch.Tensor]
) -> ExactAnswer:
    size, n = _table_size(problem, lattice), problem.n_people
    if n > 1 and size > _TABLE:
        halves = [np.arange(n // 2), np.arange(n // 2, n)]
        return _joined(problem, lattice, effort, points, halves)
    if size > _LARGEST_TABLE:
        return _nothing(problem)
    search = search_for(problem, lattice)
    begun = time.monotonic()
    until = None if effort.time_limit is None else begun + effort.time_limit * n
    starts = [rungs_at(problem, lattice, point) for point in points]
    starts.append(greedy_points(search, until=until))
    left = None if until is None else until - time.monotonic()
    optimum = branch_and_bound(search, most_boxes=effort.max_nodes, time_limit=left, starts=starts)
    answer = answer_of(lattice, optimum)
    misread = _misread(problem, answer)
    if optimum.interrupted or not misread.any():
        return answer
    # Those rungs are no way to their cells; what is left is searched again.
    kept = np.ones(len(lattice.value), dtype=bool)
    kept[lattice.places(np.arange(n), optimum.rungs)[misread]] = False
    again = np.flatnonzero(misread.any(axis=1))
    others = _part(problem, lattice, effort, points, again, kept)
    for name in ("values", "levels", "status", "bound"):
        getattr(answer, name)[again] = getattr(others, name)
    return replace(answer, interrupted=others.interrupted)


def _part(
    problem: RecourseProblem,
    lattice: Lattice,
    effort: Effort,
    points: Sequence[torch.Tensor],
    people: np.ndarray,
    kept: np.ndarray,
) -> ExactAnswer:
    """Solve some of the people, with some of their rungs."""
    part = problem.take(torch.from_numpy(people))
    return _solve(part, with_rungs(lattice, people, kept), effort, [p[people] for p in points])


def _joined(
    problem: RecourseProblem,
    lattice: Lattice,
    effort: Effort,
    points: Sequence[torch.Tensor],
    parts: list[np.ndarray],
) -> ExactAnswer:
    """Solve one part of the people after the other; Ctrl-C leaves out the rest."""
    answers: list[ExactAnswer] = []
    everything = np.ones(len(lattice.value), dtype=bool)
    for people in parts:
        if answers and answers[-1].interrupted:
            left = problem.take(torch.from_numpy(people))
            answers.append(replace(_nothing(left), interrupted=True))
        else:
            answers.append(_part(problem, lattice, effort, points, people, everything))
    return ExactAnswer(
        torch.cat([answer.values for answer in answers]),
        torch.cat([answer.levels for answer in answers]),
        np.concatenate([answer.status for answer in answers]),
        torch.cat([answer.bound for answer in answers]),
        answers[-1].interrupted,
    )


def _nothing(problem: RecourseProblem) -> ExactAnswer:
    """Return that nothing is known about anybody."""
    status = np.full(problem.n_people, "time_limit", dtype="<U17")
    bound = torch.zeros(problem.n_people, dtype=torch.float64)
    return ExactAnswer(problem.values, problem.levels, status, bound, False)


def _table_size(problem: RecourseProblem, lattice: Lattice) -> int:
    """Return how many numbers the tables of leaves take at most."""
    words = 0
    for model in (problem.predictor, *problem.variants):
        leaves = np.bincount(_trees(model).tree)
        words += int((-(-leaves // 52)).sum()) * (len(model.classes) - 1)
    return 3 * int(lattice.size.sum()) * words


def _misread(problem: RecourseProblem, answer: ExactAnswer) -> np.ndarray:
    """Return which numbers of points lie in another cell once they are written down, (P, F).

    Grids have exact raw values; what moves continuously is decoded, and rounds.
    """
    region = problem.region
    found = np.zeros((problem.n_people, region.n_features), dtype=bool)
    moved = (answer.values != region.values).numpy() & ~np.isnan(region.values.numpy())
    loose = [
        grid is None or narrow is not None
        for grid, narrow in zip(region.grids, region.narrow_types, strict=True)
    ]
    if not (moved & np.array(loose, dtype=bool)).any():
        return found
    everybody = torch.arange(problem.n_people)
    points = problem.assemble(everybody, answer.values, answer.levels)
    written = problem.predictor.space.encode(raw_rows(region, points))
    columns = region.numeric_columns.tolist()
    for model in (problem.predictor, *problem.variants):
        trees = _trees(model)
        for j, column in enumerate(columns):
            if column in trees.position:
                c = trees.position[column]
                wanted = trees.cells(c, points[:, column].numpy())
                found[:, j] |= moved[:, j] & (trees.cells(c, written[:, column]) != wanted)
    return found


def lattice_for(problem: RecourseProblem) -> Lattice:
    """Return what the people of a problem may do, as far as it matters."""
    region = problem.region
    # What else reads the values themselves.
    tied = region.linking is not None or region.downstream is not None
    tied |= problem.perturbation_radius > 0
    cells = TreeCells(
        [_trees(model) for model in (problem.predictor, *problem.variants)],
        region.numeric_columns.numpy(),
        region.lower.numpy(),
        region.upper.numpy(),
        np.full(len(region.grids), tied),
    )
    region = _with_few_points(region, cells)
    return without_twins(lattice_of(region, problem.cost_function, cells.points_beyond), cells)


def _with_few_points(region: ActionRegion, cells: TreeCells) -> ActionRegion:
    """Leave out points of grids that nobody's cell begins with: there may be many thousands."""
    own, grids = region.values.numpy(), []
    least = np.zeros_like(own) if region.min_change is None else region.min_change.numpy()
    for j, grid in enumerate(region.grids):
        if grid is not None:
            points = grid.numpy()
            kept = cells.kept(j, points, own[:, j, None], least[:, j, None])
            grid = torch.from_numpy(points[kept])
        grids.append(grid)
    return replace(region, grids=grids)


def search_for(problem: RecourseProblem, lattice: Lattice) -> TreeSearch:
    """Return what is to be searched.

    Parameters
    ----------
    problem : RecourseProblem
    lattice : Lattice
        Of its people.
    """
    region = problem.region
    inputs = Inputs(
        problem.origin.numpy(),
        region.numeric_columns.numpy(),
        [columns.numpy() for columns in region.categorical_columns],
        [codes.numpy() for codes in region.codes],
        _effects(region, lattice),
    )
    demands, enough = [], []
    for model in (problem.predictor, *problem.variants):
        for rival in range(len(model.classes) - 1):
            scores = _Scores.of(problem, model, rival)
            tables = leaf_tables(_trees(model), lattice, inputs, scores.values)
            demands.append(TreeDemand(tables, scores.need - scores.error))
            enough.append(scores.enough + scores.error)

    def is_valid(person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        may, must = np.ones(len(person), dtype=bool), np.ones(len(person), dtype=bool)
        for demand, clear in zip(demands, enough, strict=True):
            score = demand.tables.at_points(person, rungs)
            may &= score >= demand.need[person]
            must &= score >= clear[person]
        # Where columns follow others, a score is a bound as long as nobody has rounded them.
        must &= region.downstream is None
        left = np.flatnonzero(may & must)
        may[left] = obeys(problem, lattice, person[left], rungs[left])
        unsure = np.flatnonzero(may & ~must)
        if len(unsure):
            who = person[unsure]
            states = map(torch.from_numpy, (who, *lattice.states(who, rungs[unsure])))
            may[unsure] = problem.states(*states).valid.numpy()
        return may

    most = min(problem.max_changes, lattice.n_features)
    objective = Objective.of(problem.cost_function, most)
    return TreeSearch(lattice.priced(objective), is_valid, objective, demands)


def _effects(region: ActionRegion, lattice: Lattice) -> dict[int, np.ndarray]:
    """Return by how much every rung moves the encoded columns that follow the features."""
    downstream = region.downstream
    if downstream is None:
        return {}
    own_values, own_levels = region.values.numpy(), region.levels.numpy()
    everybody = np.arange(lattice.n_people)
    effects = {}
    for t, column in enumerate(downstream.encoded.tolist()):
        if column < 0:
            continue
        scale, amounts = float(downstream.scale[t]), []
        for f in range(lattice.n_features):
            person = np.repeat(everybody, lattice.size[:, f])
            value = lattice.value[lattice.part(f)]
            if f < lattice.n_numbers:
                moved = np.nan_to_num(value - own_values[person, f])
                amounts.append(float(downstream.per_value[t, f]) * moved)
            else:
                level, own = value.astype(np.int64), own_levels[person, f - lattice.n_numbers]
                table = downstream.tables[f - lattice.n_numbers][t].numpy()
                amounts.append(np.where(level == own, 0.0, table[own, level]))
        effects[column] = scale * np.concatenate(amounts)
    return effects


def _trees(model: Predictor) -> TreeEnsemble:
    # The method requires that there are some.
    assert model.trees is not None
    return model.trees


class _Scores:
    """What the leaves of a model add up to, beside what that must reach.

    Attributes
    ----------
    values : ndarray of shape (L,) or (P, L)
    need, enough : ndarray of shape (P,)
        What a valid point has at least, and what none lacks anything with.
    error : float or ndarray of shape (P,)
        By how much the model's own sum may differ.
    """

    def __init__(
        self, values: np.ndarray, need: np.ndarray, enough: np.ndarray, rounding: float
    ) -> None:
        self.values, self.need, self.enough = values, need, enough
        self.error = rounding * (1 + np.abs(values).max(initial=0.0) + np.abs(need))

    @classmethod
    def of(cls, problem: RecourseProblem, model: Predictor, rival: int) -> _Scores:
        """Return the scores of each person's target against a rival, by the how-manieth it is."""
        trees = _trees(model)
        assert isinstance(model.head, RowHead)
        target = problem.target.numpy()
        other = rival + (rival >= target)
        margin = np.maximum(problem.margin.numpy(), RELATIVE_MARGIN)
        # A threshold of the model's own moves the margin of the second class of two.
        shift = np.where(target == 1, model.head.shift, -model.head.shift)
        least, clear = margin + shift, margin + shift + _CLEAR
        clear = np.where(np.abs(clear) > _TELLABLE, np.inf, clear)
        rounding = trees.rounding * trees.n_trees
        if not trees.shares:
            begin = trees.offset[target] - trees.offset[other]
            values = _for_people(trees.values, target) - _for_people(trees.values, other)
            return cls(values, least - begin, clear - begin, rounding)
        if len(model.classes) == 2:
            values = _for_people(trees.values, target)
            return cls(values, _sigmoid(least), _sigmoid(clear), rounding)
        odds = _of_all(np.exp(np.minimum(least, _TELLABLE)))
        values = _for_people(trees.values, target) - odds * _for_people(trees.values, other)
        need = np.zeros(len(target))
        return cls(values, need, np.where(np.isfinite(clear), need + _CLEAR, np.inf), rounding)


def _for_people(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return one column of values for each person, shape (P, L); a single row if it is one."""
    if (which == which[:1]).all():
        return values[:, which[:1]].T
    return values[:, which].T


def _of_all(numbers: np.ndarray) -> np.ndarray:
    same = bool((numbers == numbers[:1]).all())
    return numbers[:1, None] if same else numbers[:, None]


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(logit), np.inf, 1 / (1 + np.exp(-logit)))
