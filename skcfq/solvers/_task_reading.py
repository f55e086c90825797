"""What one call of a solver is about: parameters and arguments, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from skcfq.actions import ActionSet, compile_cost, read_overrides
from skcfq.encoding import warn_of_one_hot_groups
from skcfq.models import (
    carried_action_set,
    carried_target,
    remembered_predictor,
    resolve_target,
    second_predictor,
)
from skcfq.solvers._parameters import (
    asked_margin,
    follows_rounding,
    overrides_by_position,
    required_margin,
    required_radius,
)
from skcfq.solvers.problems import Task
from skcfq.utils import as_table, is_list, take_rows

# Rows of the background from which a search without gradients may copy.
_EXAMPLES = 2000


def read_task(
    solver: Any,
    model: Any,
    X: Any,
    background: Any,
    overrides: Any = None,
    variants: Sequence[Any] = (),
    deployed: Any = None,
) -> Task:
    """Return the task of a call.

    Parameters
    ----------
    solver : RecourseSolver
        Its parameters are valid.
    model, X, background, overrides, variants
        As :meth:`RecourseSolver.solve`.
    deployed : fitted estimator, optional
        A second model, whose rules and target count where neither solver nor model has any.
    """
    X = as_table(X)
    predictor = remembered_predictor(model, background, X)
    check_is_list_of_models(variants)
    others = tuple(second_predictor(predictor, variant, background, X) for variant in variants)
    decisions = predictor.predict(X)
    wanted, rules = solver.target, solver.action_set
    if wanted is None:
        wanted = carried_target(model, deployed)
    if rules is None:
        rules = carried_action_set(model, deployed)
    if rules is None:
        warn_of_one_hot_groups(X if background is None else background)
    target = resolve_target(wanted, predictor.classes, decisions)
    # Of two models, the student knows what its teacher's advice needs.
    margin = asked_margin(solver.margin, deployed, model)
    actions = (ActionSet() if rules is None else rules).compile(predictor.space)
    # All of them, now: people who need no action are in no batch.
    read_overrides(overrides, X, actions)
    return Task(
        predictor,
        X,
        target,
        actions,
        compile_cost(actions, solver.cost, solver.cost_weights),
        required_margin(margin, solver.target_proba, predictor, target),
        others,
        overrides_by_position(overrides, X),
        solver.target_proba,
        float(solver.weight_radius),
        None if background is None else take_rows(background, slice(_EXAMPLES)),
        required_radius(solver.perturbation_radius, solver.method, (predictor, *others)),
        decisions,
        n_alternatives=solver.n_alternatives,
        single_precision=follows_rounding(solver.margin, solver.method),
        target_given=wanted is not None,
        action_set=rules,
        asked_margin=margin,
    )


def second_task(solver: Any, first: Task, deployed: Any, background: Any) -> Task:
    """Return the task of the second model of a comparison, about the same people and rules."""
    predictor = second_predictor(first.predictor, deployed, background, first.X)
    margin = required_margin(first.asked_margin, solver.target_proba, predictor, first.target)
    decisions = predictor.predict(first.X)
    return replace(first, predictor=predictor, decisions=decisions, margin=margin)


def read_starts(start: Any, X: Any) -> list[Any]:
    """Return the tables of points to start from: one, or none.

    Parameters
    ----------
    start : DataFrame, ndarray or None
    X : DataFrame or ndarray of shape (n, n_raw_columns)

    Raises
    ------
    ValueError
        It is no table, or has other rows or columns than X.
    """
    if start is None:
        return []
    table = as_table(start, "start")
    if table.shape != X.shape:
        shown = f"has shape {table.shape}" if table.ndim else f"is {start!r}"
        raise ValueError(
            f"`start` {shown}, and X has shape {X.shape}. Give one raw point for each row of X, in "
            "the columns of X, such as another model's `result.points`; or None."
        )
    return [table]


def check_is_list_of_models(variants: Any) -> None:
    """Refuse what is no list of further models.

    Raises
    ------
    ValueError
    """
    # A pipeline and an ensemble hold several estimators, and are one model all the same.
    is_one = hasattr(variants, "predict") or callable(variants)
    if is_one or not is_list(variants):
        raise ValueError(
            f"`variants` is {variants!r}: give a list of further models, such as [model], or ()."
        )
