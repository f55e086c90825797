"""What proofs over lattices are given and hand back, and what their points must obey."""

from __future__ import annotations

import numpy as np
import torch

from skcfq.proofs import Lattice, Optimum
from skcfq.solvers.problems import ExactAnswer, RecourseProblem


def answer_of(lattice: Lattice, optimum: Optimum) -> ExactAnswer:
    """Return the best points of all people with what is proved about them."""
    values, levels = lattice.states(np.arange(lattice.n_people), optimum.rungs)
    return ExactAnswer(
        torch.from_numpy(values),
        torch.from_numpy(levels),
        _status(optimum, np.isfinite(lattice.horizon)),
        torch.from_numpy(optimum.bound),
        optimum.interrupted,
    )


def rungs_at(problem: RecourseProblem, lattice: Lattice, points: torch.Tensor) -> np.ndarray:
    """Return the rungs of one encoded point for each person."""
    region = problem.region
    values, levels = region.split(region.project(points))
    return lattice.rungs(values.numpy(), levels.numpy())


def _status(optimum: Optimum, is_open: np.ndarray) -> np.ndarray:
    found = np.isfinite(optimum.cost)
    proved = np.where(found, "optimal", "infeasible")
    # Of a side without a bound nobody has seen the end.
    missing = np.where(is_open, "not_found", "time_limit")
    return np.where(optimum.finished, proved, np.where(found, "feasible", missing))


def obeys(
    problem: RecourseProblem, lattice: Lattice, person: np.ndarray, rungs: np.ndarray
) -> np.ndarray:
    """Return which points obey the rules across features, and are valid under jitter too."""
    linking, jitters = problem.region.linking, problem.perturbation_radius > 0
    good = np.ones(len(person), dtype=bool)
    if (linking is None and not jitters) or len(person) == 0:
        return good
    who = torch.from_numpy(person)
    values, levels = map(torch.from_numpy, lattice.states(person, rungs))
    if linking is not None:
        good &= (linking.violation(values, levels, who) == 0).numpy()
    if jitters:
        with torch.no_grad():
            points = problem.assemble(who, values, levels)
            good &= (problem.worst_slack(points, who) >= 0).numpy()
    return good
