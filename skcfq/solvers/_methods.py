"""Which method answers which question, and what each one asks of the model and the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import RowHead

if TYPE_CHECKING:
    from skcfq.solvers._task import Task


class Method(NamedTuple):
    """What a method is: whether its answers are proved, and how many people it takes at once."""

    exact: bool
    batch_size: int


METHODS = {
    "exact": Method(exact=True, batch_size=4096),
    "lp": Method(exact=True, batch_size=256),
    "qp": Method(exact=True, batch_size=256),
    "milp": Method(exact=True, batch_size=64),
    "gradient": Method(exact=False, batch_size=1024),
    "black_box": Method(exact=False, batch_size=1024),
    "pgd": Method(exact=False, batch_size=1024),
}


def choose_method(task: Task) -> str:
    """Return the fastest method that proves its answers, or the best search where none does."""
    if not all(model.differentiable for model in (task.predictor, *task.variants)):
        return "black_box"
    for name in ("exact", "lp", "qp", "milp"):
        if why_not(name, task) is None:
            return name
    return "gradient"


def check_method(name: str, task: Task) -> None:
    """Raise where a method cannot answer the question.

    Raises
    ------
    UnsupportedModelError
        With the reason and another method that can.
    """
    reason = why_not(name, task)
    if reason is not None:
        raise UnsupportedModelError(f"method={name!r} does not apply: {reason}")
    if task.weight_radius and not METHODS[name].exact:
        remedy = why_not("milp", task) or "Use method='auto'."
        raise UnsupportedModelError(
            f"weight_radius={task.weight_radius:g} needs a linear model and an exact method, not "
            f"method={name!r}. {remedy} For actions that hold on other versions of a model, give "
            "`variants=` to solve() instead."
        )


def why_not(name: str, task: Task) -> str | None:
    """Return why a method does not apply, or None."""
    if name == "black_box":
        return None
    for model in (task.predictor, *task.variants):
        if isinstance(model.head, RowHead):
            return f"{model.name} is closed ({model.head.reason}). Use method='black_box'."
    if not METHODS[name].exact:
        return None
    for model in (task.predictor, *task.variants):
        if model.linear is None:
            return f"{model.name} is not linear. Use method='gradient'."
    return _why_not_exact(name, task)


def _why_not_exact(name: str, task: Task) -> str | None:
    norm = task.cost.norm
    if task.weight_radius and task.actions.downstream:
        return "weight_radius does not cover implied changes. Leave one of the two out."
    if name == "exact":
        if len(task.predictor.classes) > 2:
            return "it is for two classes. Use method='milp', 'lp' or 'qp'."
        if task.variants:
            return "it is for one model. Use method='milp', 'lp' or 'qp' with variants."
        if norm == "mixed":
            return "the mixed cost is not a sum over features. Use method='qp' or 'milp'."
        if task.actions.has_linking:
            return "constraints tie features together. Use method='milp', or 'lp' or 'qp'."
        return None
    if name == "lp" and norm != "l1":
        return f"it is for cost='l1', not {norm!r}. Use method='qp'."
    if name == "qp" and norm == "l1":
        return "it is for cost='l2' and 'mixed'. Use method='lp'."
    if name in ("lp", "qp"):
        discrete = _discrete_rule(task)
        if discrete is not None:
            return f"{discrete} makes the problem mixed-integer. Use method='milp'."
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
