"""What methods can require of a task: each function says why it is not met, and what to do.

They are called in the order in which a method names them, so a later one may rely on earlier ones.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from skcfq.models import RowHead

if TYPE_CHECKING:
    from skcfq.solvers.problems._task import Task

# What an action set says of the table and of costs, but not of what people may change.
_NO_LIMITS = ("ordinal", "one_hot", "cost", "cost_weights", "cost_mix")
# Numbers without a grid about which proofs take seconds at most.
_FEW = 4


def differentiable(task: Task) -> str | None:
    """Require logits on encoded rows, with gradients, of every model."""
    closed = _closed_model(task)
    return None if closed is None else f"{closed} Use method='black_box'."


def linear(task: Task) -> str | None:
    """Require that every model is linear."""
    curved = _nonlinear_model(task)
    return None if curved is None else f"{curved} Use method='gradient'."


def nominal_weights(task: Task) -> str | None:
    """Require that answers need not survive errors of the weights."""
    if not task.weight_radius:
        return None
    # Methods for models that are not linear would be refused for this same reason.
    obstacle = _closed_model(task) or _nonlinear_model(task) or no_downstream_errors(task)
    remedy = obstacle or "Use method='auto'."
    return (
        f"weight_radius={task.weight_radius:g} needs a linear model and an exact method. {remedy} "
        "For actions that hold on other versions of a model, give `variants=` to solve() instead."
    )


def no_downstream_errors(task: Task) -> str | None:
    """Require that errors of the weights do not meet implied changes."""
    if task.weight_radius and task.actions.downstream:
        return "weight_radius does not cover implied changes. Leave one of the two out."
    return None


# Errors of the weights are written out in a linear problem, so whoever solves one may be asked for
# them; those of implied changes are not.
LINEAR_PROBLEM = (differentiable, linear, no_downstream_errors)


def two_classes(task: Task) -> str | None:
    """Require two classes."""
    if len(task.predictor.classes) > 2:
        return "it is for two classes. Use method='milp', 'lp' or 'qp'."
    return None


def one_model(task: Task) -> str | None:
    """Require that there are no variants of the model."""
    if task.variants:
        return "it is for one model. Use method='milp', 'lp' or 'qp' with variants."
    return None


def separable_cost(task: Task) -> str | None:
    """Require that the cost, or its square, is a sum over features."""
    if task.cost.norm == "mixed":
        return "the mixed cost is not a sum over features. Use method='qp' or 'milp'."
    return None


def l1_cost(task: Task) -> str | None:
    """Require the l1 cost."""
    if task.cost.norm != "l1":
        return f"it is for cost='l1', not {task.cost.norm!r}. Use method='qp'."
    return None


def euclidean_cost(task: Task) -> str | None:
    """Require a cost that contains the l2 norm."""
    if task.cost.norm == "l1":
        return "it is for cost='l2' and 'mixed'. Use method='lp'."
    return None


def finite(task: Task) -> str | None:
    """Require that people have finitely many actions that differ to the models.

    Numbers have grids, or are read as integer codes or compared with thresholds, and are moved by
    nothing but themselves.
    """
    tied = task.actions.has_linking or task.actions.downstream
    if not tied and all(model.integers is not None for model in task.models):
        return None
    shaken = task.perturbation_radius > 0
    if not tied and not shaken and all(model.trees is not None for model in task.models):
        return None
    return gridded(task)


def finite_or_smooth(task: Task) -> str | None:
    """Require finitely many actions, or a continuum on which bounds of networks close in.

    That is where no model reads codes, nothing but its margin decides what is an answer, and the
    cost is a sum or the root of one.
    """
    open_ = task.perturbation_radius > 0 or task.actions.has_linking or task.cost.norm == "mixed"
    if not open_ and all(model.integers is None for model in task.models):
        return None
    return finite(task)


def gridded(task: Task) -> str | None:
    """Require that every number has a grid."""
    for feature in task.actions.numeric:
        if feature.step is None and feature.values is None:
            return (
                f"{feature.name!r} moves continuously. Give it a grid with `steps` of the action "
                "set, or use method='gradient'."
            )
    return None


def few_continuous(task: Task) -> str | None:
    """Require that at most four numbers have no grid."""
    free = [one for one in task.actions.numeric if one.step is None and one.values is None]
    if len(free) > _FEW:
        return f"{len(free)} numbers move continuously, and proofs about more than {_FEW} are slow."
    return None


def rules_given(task: Task) -> str | None:
    """Require that somebody said what people may change."""
    given = {} if task.action_set is None else task.action_set.get_params(deep=False)
    if not any(_says_something(given[name]) for name in given if name not in _NO_LIMITS):
        return "no action set is given, and then too much may change. Use method='gradient'."
    return None


def convex_rules(task: Task) -> str | None:
    """Require continuous features, and rules that neither count nor choose."""
    rule = _discrete_rule(task)
    if rule is not None:
        return f"{rule} makes the problem mixed-integer. Use method='milp'."
    return None


def _closed_model(task: Task) -> str | None:
    """Return why the first model that is only a function of raw rows has no gradients."""
    for model in task.models:
        if isinstance(model.head, RowHead):
            return f"{model.name} is closed ({model.head.reason})."
    return None


def _nonlinear_model(task: Task) -> str | None:
    """Return which model is the first that is not linear."""
    for model in task.models:
        if not model.is_linear:
            return f"{model.name} is not linear."
    return None


def _discrete_rule(task: Task) -> str | None:
    """Return the first rule that a convex problem cannot express."""
    actions = task.actions
    if actions.categorical:
        return f"the category {actions.categorical[0].name!r}"
    for feature in actions.numeric:
        if feature.step is not None or feature.values is not None:
            return f"the grid of {feature.name!r}"
        if feature.min_change is not None:
            return f"min_change for {feature.name!r}"
    if actions.max_changes is not None and actions.max_changes < actions.n_features:
        return f"max_changes={actions.max_changes}"
    if actions.has_implications:
        return "an if-then rule"
    return None


def _says_something(rule: Any) -> bool:
    return rule is not None and (not isinstance(rule, Sized) or len(rule) > 0)
