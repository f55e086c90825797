"""What one call of a solver is about: parameters and arguments, read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions import ActionSet, compile_cost
from skcfq.models import as_predictor, carried_action_set, carried_target, resolve_target
from skcfq.solvers._parameters import (
    overrides_by_position,
    required_margin,
    required_radius,
    second_predictor,
)
from skcfq.solvers.problems import Task
from skcfq.utils import take_rows

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
    predictor = as_predictor(model, background=background)
    others = tuple(second_predictor(predictor, variant, background) for variant in variants)
    X = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    decisions = predictor.predict(X)
    wanted, rules = solver.target, solver.action_set
    if wanted is None:
        wanted = carried_target(model, deployed)
    if rules is None:
        rules = carried_action_set(model, deployed)
    target = resolve_target(wanted, predictor.classes, decisions)
    actions = (ActionSet() if rules is None else rules).compile(predictor.space)
    return Task(
        predictor,
        X,
        target,
        actions,
        compile_cost(actions, solver.cost, solver.cost_weights),
        required_margin(solver.margin, solver.target_proba, predictor, target),
        others,
        overrides_by_position(overrides, X),
        solver.target_proba,
        solver.weight_radius,
        None
        if background is None
        else take_rows(background, np.arange(len(background))[:_EXAMPLES]),
        required_radius(solver.perturbation_radius, solver.method, (predictor, *others)),
        decisions,
        n_alternatives=solver.n_alternatives,
        target_given=wanted is not None,
        action_set=rules,
    )
