"""Verification: what a raw row does not confirm is never called valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from skcfq.actions import raw_rows
from skcfq.models import validity_slack
from skcfq.nn import target_margin
from skcfq.solvers.problems import Solution

if TYPE_CHECKING:
    from skcfq.solvers.problems import RecourseProblem, States, Task


def verify(task: Task, problem: RecourseProblem, states: States) -> tuple[Solution, np.ndarray]:
    """Ask the models about the decoded raw rows of some points.

    Parameters
    ----------
    task : Task
        The people of ``problem``.
    problem : RecourseProblem
    states : States
        N points.

    Returns
    -------
    solution : Solution
        Of the N points, confirmed or not, without any bound. One that is confirmed is
        ``"feasible"``: its raw row obeys all rules, has the required margin under every model,
        and every model's own ``predict`` gives the target. The others are ``"not_found"``, and
        have no cost.
    shortfall : ndarray of shape (N,)
        How much margin each raw row lacks under one of the models; 0 where it lacks none.
    """
    everybody = torch.equal(states.person, torch.arange(problem.region.n_people))
    region = problem.region if everybody else problem.region.take(states.person)
    target = problem.target[states.person]
    points = raw_rows(region, problem.assemble(states.person, states.values, states.levels))
    encoded = torch.from_numpy(task.predictor.space.encode(points))
    confirmed = region.contains(encoded)
    cost = states.cost
    if region.rounds:
        # Such columns hold other values than were asked for.
        cost = problem.cost(states.person, encoded[:, region.numeric_columns], states.levels)
    asked = torch.from_numpy(task.margin)[states.person]
    margin = None
    shortfall = torch.zeros(len(states), dtype=torch.float64)
    worst_loss = task.margin_radius * (encoded.abs().sum(dim=1) + 1) if task.weight_radius else 0.0
    for predictor in task.models:
        if predictor.decides_on_codes:
            logits = predictor.logits(encoded).detach()
        else:
            logits = predictor.row_logits(points).detach()
        required = asked
        if task.single_precision:
            noise = torch.from_numpy(predictor.noise(encoded.numpy(), logits.numpy()))
            required = torch.maximum(asked, noise)
        slack = validity_slack(logits, target, required) - worst_loss
        confirmed &= slack >= 0
        shortfall = torch.maximum(shortfall, -slack)
        labels = predictor.classes[target.numpy()]
        confirmed &= torch.from_numpy(predictor.predict(points) == labels)
        if margin is None:
            margin = target_margin(logits, target).numpy()
    if task.proba is not None:
        shares = np.asarray(task.predictor.model.predict_proba(points))
        shares = shares[np.arange(len(shares)), target.numpy()]
        confirmed &= torch.from_numpy(shares >= task.proba - 1e-9)
    changed = problem.changed(states.person, states.values, states.levels)
    solution = Solution(
        np.where(confirmed.numpy(), "feasible", "not_found").astype("<U17"),
        np.where(confirmed.numpy(), cost.numpy(), np.nan),
        np.zeros(len(states)),
        np.asarray(margin),
        changed.numpy(),
        points,
    )
    return solution, shortfall.numpy()
