"""The answers of the library beside those of enumeration, one verdict a person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from random_problems import PROVING, Problem, is_yes

# What can be wrong: a proof that does not hold, or the wrong word for a person; a point that breaks
# a rule, or where the model does not say yes; a cost that is not that of the point; an optimum that
# is not the least cost; a point that is cheaper than all that enumeration found.
FAULTS = ("status", "rule", "predict", "cost", "optimum", "cheaper")
# No fault, but counted: a method that proves, and leaves somebody open.
OPEN = "open"
# A point between two values is found up to the 1e-9 of the logits that an answer must have, and
# in single and half precision up to what the column can hold.
EXACT, BETWEEN = 1e-9, 1e-6


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one answer, or nothing.

    Attributes
    ----------
    label : str
    status : str
    cost, least : float
        What the library says, and what enumeration found.
    faults : tuple of str
        Among :data:`FAULTS`.
    """

    label: str
    status: str
    cost: float
    least: float
    faults: tuple[str, ...]


def judge(problem: Problem) -> tuple[list[Verdict], str]:
    """Solve a problem in both ways; return what is wrong with each answer, and the method."""
    result, oracle = problem.solve(), problem.oracle()
    least = oracle.least_costs()
    says_yes = is_yes(problem.model, result.points)
    proves = problem.population in PROVING
    verdicts = []
    for i, label in enumerate(problem.table.people.index):
        status, cost = str(result.status[i]), float(result.cost[i])
        faults = []
        if status in ("optimal", "feasible", "already_favorable"):
            point = {column: result.points[column].iloc[i] for column in result.points}
            own = oracle.cost_of(label, point)
            faults += ["rule"] * math.isnan(own)
            faults += ["predict"] * (not says_yes[i])
            faults += ["cost"] * (not math.isnan(own) and not _close(own, cost, EXACT))
        faults += _faults_of_status(status, cost, float(least[i]), *_tolerances(problem, label))
        faults += [OPEN] * (proves and status in ("not_found", "time_limit", "feasible"))
        verdicts.append(Verdict(label, status, cost, float(least[i]), tuple(faults)))
    return verdicts, result.method


def _tolerances(problem: Problem, label: str) -> tuple[float, float]:
    """Return by which share, and by how much, an optimum may be off."""
    long = problem.table.long
    if long is None or problem.table.kinds[long] != "amount":
        return EXACT, 1e-12
    stored = problem.table.people[long].dtype
    largest = np.abs(problem.table.background[long].astype(float)).max()
    largest = np.nanmax([largest, abs(float(problem.table.people.at[label, long]))])
    return BETWEEN, 4 * float(np.finfo(stored).eps) * largest * problem.costs.weights[long]


def _faults_of_status(
    status: str, cost: float, least: float, share: float, amount: float
) -> list[str]:
    if status == "already_favorable":
        return [] if least == 0 and cost == 0 else ["status"]
    if least == 0:
        return ["status"]
    if status == "infeasible":
        return [] if math.isinf(least) else ["status"]
    if status == "optimal":
        if math.isinf(least):
            return ["status"]
        return [] if _close(cost, least, share, amount) else ["optimum"]
    cheaper = status == "feasible" and cost < least * (1 - share) - amount
    return ["cheaper"] * bool(cheaper)


def _close(a: float, b: float, share: float, amount: float = 1e-12) -> bool:
    return bool(np.isclose(a, b, rtol=share, atol=amount))
