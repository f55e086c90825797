"""The exact method for networks: recourse problems become lattices, tables and demands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from skcfq.models import RELATIVE_MARGIN, validity_slack
from skcfq.proofs import (
    InputGrid,
    Lattice,
    Network,
    NetworkDemand,
    NetworkSearch,
    Objective,
    Tables,
    branch_and_bound,
    lattice_of,
    network_of,
    tables_of,
    with_late_codes,
    without_twins,
)
from skcfq.solvers.exact._lattice_answers import answer_of, obeys, rungs_at
from skcfq.solvers.problems import Effort, ExactAnswer, RecourseProblem

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.models import Predictor

# How far a bound may err, as a share of its parts, and how far it must stay below the least margin
# of integers, in their units.
_ROUNDING, _HALF_A_UNIT = 1e-13, 0.5
# Margin, in logit units, for the rounding of raw rows.
_ROOM_FOR_ROUNDING = 1e-11


def solve_networks(
    problem: RecourseProblem, effort: Effort, points: Sequence[torch.Tensor] = ()
) -> ExactAnswer:
    """Find the cheapest valid point of every person under networks.

    Parameters
    ----------
    problem : RecourseProblem
        Of networks with rectifiers or with integers, and numbers on grids.
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
    lattice = lattice_for(problem)
    search = search_for(problem, lattice)
    limit = None if effort.time_limit is None else effort.time_limit * problem.n_people
    optimum = branch_and_bound(
        search,
        most_boxes=effort.max_nodes,
        time_limit=limit,
        starts=[rungs_at(problem, lattice, point) for point in points],
    )
    return answer_of(lattice, optimum)


def lattice_for(problem: RecourseProblem) -> Lattice:
    """Return what the people of a problem may do, as far as it matters."""
    region, models = problem.region, (problem.predictor, *problem.variants)
    networks = [model.integers for model in models if model.integers is not None]
    tied = region.linking is not None or region.downstream is not None
    if len(networks) < len(models) or tied:
        # Neither rules across features nor jitter are bounded: they ask for points one by one.
        continuous = not networks and region.linking is None and not problem.perturbation_radius
        return lattice_of(region, problem.cost_function, continuous=continuous)
    radii = problem.radii.numpy() if problem.perturbation_radius else np.zeros(len(region.grids))
    grid = InputGrid(networks, region.numeric_columns.numpy(), radii)
    return without_twins(lattice_of(region, problem.cost_function, grid.points_beyond), grid)


def search_for(problem: RecourseProblem, lattice: Lattice) -> NetworkSearch:
    """Return what is to be searched.

    Parameters
    ----------
    problem : RecourseProblem
    lattice : Lattice
        Of its people.
    """
    target = problem.target.numpy()
    tables = [
        tables_of(_network(model, problem.region), lattice, problem.region)
        for model in (problem.predictor, *problem.variants)
    ]
    margin = problem.margin.numpy()
    # Every class but the target is a rival.
    rivals = [r + (r >= target) for r in range(len(problem.predictor.classes) - 1)]
    demands = [_demand(table, target, rival, margin) for table in tables for rival in rivals]

    # Where a point may lie anywhere, a raw row may round it to the wrong side of the boundary.
    least_slack = 0.0 if lattice.continuum is None else _ROOM_FOR_ROUNDING

    def is_valid(person: np.ndarray, rungs: np.ndarray) -> np.ndarray:
        wanted = torch.from_numpy(target[person])
        valid = np.ones(len(person), dtype=bool)
        for table in tables:
            logits = table.network.logits(table.first_totals(person, rungs))
            slack = validity_slack(torch.from_numpy(logits), wanted, problem.margin[person])
            valid &= slack.numpy() >= least_slack
        left = np.flatnonzero(valid)
        valid[left] = obeys(problem, lattice, person[left], rungs[left])
        return valid

    most = min(problem.max_changes, lattice.n_features)
    objective = Objective.of(problem.cost_function, most)
    return NetworkSearch(lattice.priced(objective), is_valid, objective, demands)


def _network(model: Predictor, region: ActionRegion) -> Network:
    """Return a network that reads what several features may move before it is rounded."""
    network = network_of(model)
    # The method requires that there is one.
    assert network is not None
    if network.integers is None or region.downstream is None:
        return network
    downstream = region.downstream
    seen = downstream.encoded >= 0
    causes = (downstream.per_value[seen] != 0).any(dim=0)
    columns = torch.cat([downstream.encoded[seen], region.numeric_columns[causes]])
    return with_late_codes(network, np.unique(columns.numpy()))


def _demand(
    table: Tables, target: np.ndarray, rival: np.ndarray, margin: np.ndarray
) -> NetworkDemand:
    """Return what one margin of each person must reach, in units of the totals."""
    network = table.network
    shift = network.shift[target] - network.shift[rival]
    need = (np.maximum(margin, RELATIVE_MARGIN) + shift) / network.unit
    if network.integers is None:
        return NetworkDemand(table, target, rival, need, _ROUNDING)
    # Margins are whole numbers; a bound that misses the least of them by half a unit excludes it.
    least = np.ceil(need - 1e-9 * np.abs(need))
    return NetworkDemand(table, target, rival, least - _HALF_A_UNIT, 0.0)
