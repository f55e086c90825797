"""Two models and the same people: one space, and each model's answers offered to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skcfq.deploy import DeployedClassifier
from skcfq.exceptions import SpaceMismatchError
from skcfq.models import as_predictor
from skcfq.solvers._answer import Answer
from skcfq.solvers._outcome import Outcome, verify
from skcfq.solvers.search import stabilize
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.results import RecourseResult
    from skcfq.solvers._task import Task


def with_cheaper_actions(task: Task, mine: RecourseResult, theirs: RecourseResult) -> Answer | None:
    """Adopt the other model's actions where they are valid here too, and cheaper.

    Parameters
    ----------
    task : Task
        About the model whose result ``mine`` is.
    mine, theirs : RecourseResult
        Of the same people.

    Returns
    -------
    answer : Answer or None
        None where nothing is adopted.
    """
    better = mine.denied & theirs.reachable & ~(mine.cost <= theirs.cost)
    rows = np.flatnonzero(better)
    if len(rows) == 0:
        return None
    part = task.take(rows)
    region = part.region()
    problem = part.problem(region, part.target)
    points = part.predictor.space.encode(take_rows(theirs.points, rows))
    states = problem.states_at(torch.from_numpy(points))
    states = states.take(states.valid)
    if task.perturbation_radius:
        states, stands = stabilize(problem, states)
        states = states.take(stands)
    states = states.take(~(torch.from_numpy(mine.cost[rows])[states.person] <= states.cost))
    if len(states) == 0:
        return None
    verified = verify(part, problem, states)
    person = states.person.numpy()[verified.confirmed]
    answer = Answer.of(task, mine)
    changed = problem.changed(states.person, states.values, states.levels).numpy()
    bound = mine.lower_bound[rows[person]]
    status = np.where(mine.status[rows[person]] == "optimal", "optimal", "feasible")
    cost = states.cost.numpy()[verified.confirmed]
    outcome = Outcome(
        status=status,
        cost=cost,
        bound=np.fmin(bound, cost),
        margin=verified.margin[verified.confirmed],
        changed=changed[verified.confirmed],
        points=take_rows(verified.points, np.flatnonzero(verified.confirmed)),
    )
    answer.write(rows[person], outcome)
    return answer


def second_predictor(first: Predictor, deployed: Any, background: Any) -> Predictor:
    """Read the model that another is compared with.

    A model file that tells less of its population than the first model, which has the same, takes
    the statistics of that.
    """
    space = first.space if isinstance(deployed, DeployedClassifier) else None
    predictor = as_predictor(deployed, background=background, space=space)
    check_same_space(first, predictor)
    return predictor


def check_same_space(first: Predictor, second: Predictor) -> None:
    """Raise unless two models read raw rows through one feature space."""
    # A file that leaves statistics out only claims its fingerprint; its map can be compared.
    claimed = first.space.full_fingerprint or second.space.full_fingerprint
    if first.space.fingerprint != second.space.fingerprint or (
        claimed and not first.space.same_map(second.space)
    ):
        raise SpaceMismatchError(
            f"{first.name} and {second.name} do not share one feature space, "
            "so their actions have no common unit. Fit the deployed model with "
            "`teacher=` set to the reference, or give both the same fitted encoder."
        )
    if not np.array_equal(first.classes, second.classes):
        raise SpaceMismatchError(
            f"{first.name} has the classes {first.classes.tolist()}, {second.name} has "
            f"{second.classes.tolist()}: their decisions cannot be compared. Fit both on the same "
            "labels."
        )
