"""What the recourse transformer and the sampler share: a model that is read, and its solver."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skcfq.actions import ActionSet
from skcfq.exceptions import TargetError
from skcfq.models import (
    Predictor,
    as_predictor,
    carried_action_set,
    carried_target,
    default_target,
    resolve_target,
)
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.training import draw_seed, fit_model, fitted_or_clone
from skcfq.utils import HasMethods, NestedParametersMixin, is_list, take_rows

RECOURSE_CONSTRAINTS: dict = {
    "estimator": [HasMethods(["fit", "predict"])],
    "solver": [RecourseSolver, None],
    "action_set": [ActionSet, None],
    "target": "no_validation",
    "random_state": ["random_state"],
}

# Rows of the population from which a search without gradients may copy.
_EXAMPLES = 2000


class RecourseParametersMixin(NestedParametersMixin):
    """Reads ``estimator`` by the one rule for models, and completes ``solver`` for it.

    A subclass's ``fit`` calls :meth:`_read_estimator`, and :meth:`_solve_whole` afterwards.
    """

    estimator: Any
    solver: RecourseSolver | None
    action_set: ActionSet | None
    target: Any
    random_state: Any

    def _default_object(self, name: str) -> BaseEstimator | None:
        makers: dict[str, Callable[[], BaseEstimator]] = {
            "action_set": self._default_rules,
            "solver": RecourseSolver,
        }
        return makers[name]() if name in makers else None

    def _default_rules(self) -> ActionSet:
        """Return the rules that ``action_set=None`` stands for; a key alters these."""
        own = None if self.solver is None else self.solver.action_set
        if own is not None:
            return clone(own)
        return carried_action_set(self.estimator) or ActionSet()

    def _read_estimator(self, X: Any, y: Any, sample_weight: np.ndarray) -> None:
        """Fit a clone of the estimator, or adopt it, and prepare its solver.

        Sets ``estimator_``, ``predictor_``, ``solver_``, ``target_`` and ``background_``.
        """
        rng = check_random_state(self.random_state)
        model, fitted = fitted_or_clone(self.estimator)
        seed = draw_seed(rng)
        if not fitted:
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None: "
                    f"its `estimator` {type(model).__name__} is not fitted yet. Pass y, or give a "
                    "fitted estimator (wrapped in sklearn.frozen.FrozenEstimator inside a search)."
                )
            fit_model(model, X, y, sample_weight, seed)
        predictor = as_predictor(model, background=X, sample_weight=sample_weight)
        solver = self._complete_solver(model, predictor, rng)
        self.estimator_ = model
        self.predictor_ = predictor
        self.solver_ = solver
        self.target_ = _one_target(solver.target, predictor.classes)
        self.background_ = (
            None if predictor.differentiable else take_rows(X, np.arange(len(X))[:_EXAMPLES])
        )

    def _complete_solver(
        self, model: Any, predictor: Predictor, rng: np.random.RandomState
    ) -> RecourseSolver:
        """Return a clone of the solver with rules that fit, one target and one seed."""
        solver = RecourseSolver() if self.solver is None else clone(self.solver)
        rules = solver.action_set if self.action_set is None else clone(self.action_set)
        if rules is None:
            rules = carried_action_set(model) or ActionSet()
        # Rules that do not fit the table are told now, not when the first person is refused.
        rules.compile(predictor.space)
        solver.set_params(action_set=rules)
        wanted = solver.target if self.target is None else self.target
        if wanted is None:
            wanted = carried_target(model)
        solver.set_params(target=wanted)
        if not isinstance(solver.random_state, Integral):
            # Drawn once, so that the same rows get the same advice every time.
            source = solver.random_state
            solver.set_params(random_state=draw_seed(rng if source is None else source))
        return solver

    def _solve_whole(self, X: Any) -> RecourseResult:
        """Solve; Ctrl-C leaves nothing, since rows without advice would look like advice."""
        return self.solver_.solve(
            self.predictor_, X, background=self.background_, keep_partial=False
        )

    def _needs_labels(self) -> bool:
        """Whether ``fit`` has to fit the estimator."""
        try:
            check_is_fitted(self.estimator)
        except (NotFittedError, TypeError):
            return True
        return False

    def _estimator_reads(self, kind: str) -> bool:
        """Return a tag of the estimator's input; what is no estimator reads nothing."""
        try:
            return bool(getattr(get_tags(self.estimator).input_tags, kind))
        except (AttributeError, TypeError):
            return False


def _one_target(target: Any, classes: np.ndarray) -> Any:
    """Check a label or the word "opposite", and fill in the last class."""
    if target is None:
        return classes[default_target(classes)]
    if callable(target) or is_list(target):
        raise TargetError(
            f"target={target!r} is neither a label nor 'opposite', and which rows will come is "
            "not known yet. For one target a row, use RecourseSolver(target=...).solve."
        )
    resolve_target(target, classes, classes[:1])
    return target
