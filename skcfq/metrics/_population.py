"""The population of a metric: its rows, their weights, and what an empty one gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import ActionSetError, EmptyPopulationWarning, SpaceMismatchError, TargetError
from skcfq.utils import as_row_weights, decision_fault, warn_user

if TYPE_CHECKING:
    from skcfq.results import RecourseResult

# What the record of an action set holds beside rules.
_NO_RULES = ("schema", "version", "cost", "cost_weights", "cost_mix")


def row_weights(sample_weight: Any, result: RecourseResult) -> np.ndarray:
    """Return one weight per row of the result, shape (n,)."""
    n = len(result.status)
    return np.ones(n) if sample_weight is None else as_row_weights(sample_weight, n)


@dataclass(frozen=True, eq=False)
class Population:
    """The people whom a metric is defined over, and what is said where there are none.

    Attributes
    ----------
    metric : str
    people : str
        Who they are.
    result : RecourseResult
        Of the model that refuses them.
    """

    metric: str
    people: str
    result: RecourseResult

    def mean(self, values: np.ndarray, weight: np.ndarray) -> float:
        """Return Σ w·v / Σ w, or NaN with a warning where the population is empty."""
        total = weight.sum()
        if not total > 0:
            return self.nan()
        return float(np.dot(weight, values) / total)

    def median(self, values: np.ndarray, weight: np.ndarray) -> float:
        """Return the median in which each value counts ``weight`` times; NaN as in the mean.

        Where the cumulated weight reaches exactly one half at a value, the median is the mean of
        that value and the next one, which is the usual median when all weights are equal.
        """
        counted = weight > 0
        if not counted.any():
            return self.nan()
        order = np.argsort(values[counted], kind="stable")
        ordered, reached = values[counted][order], np.cumsum(weight[counted][order])
        half = reached[-1] / 2
        tolerance = 1e-12 * reached[-1]
        low = np.searchsorted(reached, half - tolerance)
        high = np.searchsorted(reached, half + tolerance)
        return float((ordered[low] + ordered[min(high, len(ordered) - 1)]) / 2)

    def nan(self) -> float:
        """Return NaN, with a warning that looks at the model first."""
        denied = self.result.denied
        fault = None
        if not denied.any():
            target = self.result.target
            fault = decision_fault(target, target, name="The model")
        warn_empty(self.metric, self.people, fault)
        return float("nan")


def warn_empty(metric: str, people: str, fault: str | None) -> None:
    """Warn that a metric is NaN because its population is empty."""
    remedy = (
        "See first that the model gives the target to somebody; else loosen the action set, give "
        "more rows, or strengthen the solver."
    )
    warn_user(
        f"{metric} is NaN: it is defined over {people}, and there are none. {fault or remedy}",
        EmptyPopulationWarning,
    )


def compared_rows(
    result_reference: RecourseResult, result_deployed: RecourseResult, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the population of a comparison, shape (n,), bool, and the weights of its rows.

    They are the rows reachable under the reference for which the deployed model reaches the target
    too, rows that it favors already included.
    """
    check_comparable(result_reference, result_deployed)
    rows = result_reference.reachable & result_deployed.valid
    return rows, row_weights(sample_weight, result_reference)[rows]


def check_comparable(result_reference: RecourseResult, result_deployed: RecourseResult) -> None:
    """Refuse two results that do not speak of the same rows, targets and encoded units."""
    n, m = len(result_reference.status), len(result_deployed.status)
    if n != m:
        raise ValueError(
            f"`result_reference` has {n} rows and `result_deployed` has {m}. Solve both models on "
            "the same X, for example with RecourseSolver.compare."
        )
    if result_reference.space_fingerprint != result_deployed.space_fingerprint:
        raise SpaceMismatchError(
            "`result_reference` and `result_deployed` were solved in different feature spaces, so "
            "their costs have different units. Train both models on one encoder (give the deployed "
            "model the reference's), or solve both with the same `background`."
        )
    if tuple(result_reference.feature_names) != tuple(result_deployed.feature_names):
        raise SpaceMismatchError(
            "`result_reference` and `result_deployed` were solved under different action sets: "
            f"{list(result_reference.feature_names)} may change in the one, "
            f"{list(result_deployed.feature_names)} in the other. Solve both with one action set."
        )
    _check_same_rules(result_reference, result_deployed)
    if not np.array_equal(result_reference.target, result_deployed.target):
        raise TargetError(
            "`result_reference` and `result_deployed` were solved for different targets. Solve "
            "both with the same `target`; where it is 'opposite', use RecourseSolver.compare, "
            "which takes the targets from the reference."
        )
    _check_same_distance(result_reference, result_deployed)


def _check_same_rules(result_reference: RecourseResult, result_deployed: RecourseResult) -> None:
    """Refuse results whose solvers found other rules, or another cost, at their models."""
    remedy = (
        "Solve both with one action set, for example with RecourseSolver.compare; "
        "RecourseSolver.from_estimator has that of a classifier for other models too."
    )
    first, second = result_reference.cost_function, result_deployed.cost_function
    if first is not None and second is not None and not first.is_like(second):
        raise ActionSetError(
            "`result_reference` and `result_deployed` count different costs, "
            f"{first.norm!r} ({first.weighting}) and {second.norm!r} ({second.weighting}), or "
            f"other weights. {remedy}"
        )
    rules = [_rules_of(result) for result in (result_reference, result_deployed)]
    if None not in rules and rules[0] != rules[1]:
        raise ActionSetError(
            "`result_reference` and `result_deployed` were solved under different action sets, "
            f"{rules[0]!r} and {rules[1]!r}. {remedy}"
        )


def _rules_of(result: RecourseResult) -> dict[str, Any] | None:
    """Return the rules of a result but for their cost, which it may not count; None if unknown."""
    record = result.provenance or {}
    if "action_set" not in record:
        return None
    rules = record["action_set"] or {}
    return {key: rules[key] for key in rules if key not in _NO_RULES}


def _check_same_distance(result_reference: RecourseResult, result_deployed: RecourseResult) -> None:
    """Refuse costs of actions that had to go to different distances behind the boundary."""
    first, second = result_reference.provenance or {}, result_deployed.provenance or {}
    for name in ("margin", "perturbation_radius"):
        asked = first.get(f"required_{name}"), second.get(f"required_{name}")
        if None not in asked and asked[0] != asked[1]:
            raise ValueError(
                f"`result_reference` was solved with {name}={asked[0]:g} and `result_deployed` "
                f"with {name}={asked[1]:g}, so part of the difference is the solver's. Use "
                f"RecourseSolver.compare, or solve both with the same {name} (quantized models "
                "have a perturbation_radius of their own where it is 'auto')."
            )
