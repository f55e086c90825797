"""The exact method for binary linear models under rules that tie features together.

Most people's cheapest action obeys the rules by itself: then it is the cheapest one under the
rules too, and no program is needed. The others are asked about person by person.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from skcfq.solvers.exact._linear import solve_linear
from skcfq.solvers.problems import Effort, ExactAnswer, LinearProblem

_FOUND = ("optimal", "feasible")


def solve_across_rules(problem: LinearProblem, effort: Effort) -> ExactAnswer:
    """Solve a binary linear problem with rules across features exactly.

    Parameters
    ----------
    problem : LinearProblem
        With one rival, and an l1 or l2 cost.
    effort : Effort
        The time limit of a person; without the rules, the mean over all people.

    Returns
    -------
    answer : ExactAnswer

    Notes
    -----
    Certified: what is optimal without the rules and obeys them is optimal under them, and who has
    no action without them has none.
    """
    linking = problem.region.linking
    assert linking is not None
    free = replace(problem, region=replace(problem.region, linking=None))
    answer = solve_linear(free, effort)
    broken = linking.violation(answer.values, answer.levels, torch.arange(problem.n_people)) > 0
    left = np.flatnonzero(np.isin(answer.status, _FOUND) & broken.numpy())
    if len(left) == 0:
        return answer
    if answer.interrupted:
        status, bound = answer.status.copy(), answer.bound.clone()
        # Without a rule, it costs no more.
        status[left] = "time_limit"
        return replace(answer, status=status, bound=bound)
    return _written_over(answer, left, _programs(problem, left, effort))


def _programs(problem: LinearProblem, rows: np.ndarray, effort: Effort) -> ExactAnswer:
    """Ask about some people, one after the other."""
    # cvxpy takes a second to import, and most people never need it.
    from skcfq.solvers.exact._convex import solve_convex

    part = problem.take(torch.from_numpy(rows))
    return solve_convex(part, integer=True, time_limit=effort.time_limit)


def _written_over(answer: ExactAnswer, rows: np.ndarray, part: ExactAnswer) -> ExactAnswer:
    """Return an answer in which some people have another one."""
    values, levels, bound = answer.values.clone(), answer.levels.clone(), answer.bound.clone()
    values[rows], levels[rows] = part.values, part.levels
    # What is known without the rules holds under them.
    bound[rows] = torch.maximum(bound[rows], part.bound)
    status = answer.status.astype("<U17")
    status[rows] = part.status
    return ExactAnswer(values, levels, status, bound, part.interrupted)
