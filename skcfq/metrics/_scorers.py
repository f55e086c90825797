"""Scorers that measure recourse: callables for ``scoring=`` in searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.metadata_routing import UNUSED

from skcfq.actions import ActionSet
from skcfq.exceptions import ActionSetError, EmptyPopulationWarning, ReferenceRequiredError
from skcfq.metrics._faithfulness import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    validity_drop,
)
from skcfq.metrics._population import warn_empty
from skcfq.models import (
    Predictor,
    as_predictor,
    carried_action_set,
    carried_margin,
    carried_target,
    check_model_is_fitted,
    resolve_target,
    split_model,
    transform_rows,
    with_final,
)
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, ListOf, StrOptions, decision_fault, take_rows, warn_user


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Two models and their results on the sampled rows: all that a metric may read.

    ``deployed_result`` is None where no metric asks what the deployed model would advise.
    """

    reference: Any
    deployed: Any
    reference_result: RecourseResult
    deployed_result: RecourseResult | None
    weight: np.ndarray

    def validity_drop(self, kind: Literal["target", "mismatch"] = "target") -> float:
        result, weight = self.reference_result, self.weight
        return validity_drop(self.reference, self.deployed, result, kind=kind, sample_weight=weight)

    def pair(self, metric: Callable[..., float], **options: Any) -> float:
        results = self.reference_result, self.deployed_result
        return metric(*results, sample_weight=self.weight, **options)

    def faithfulness(self) -> float:
        return 0.0 - self.validity_drop() - self.pair(counterfactual_recourse_gap)

    def feasible_recourse_rate(self) -> float:
        return feasible_recourse_rate(self.reference_result, sample_weight=self.weight)


# Greater is better for every score: drops and gaps are negated.
_OF_REFERENCE: dict[str, Callable[[_Comparison], float]] = {
    "validity_drop": lambda pair: 0.0 - pair.validity_drop(),
    "label_mismatch": lambda pair: 0.0 - pair.validity_drop("mismatch"),
    "feasible_recourse_rate": _Comparison.feasible_recourse_rate,
}
_OF_BOTH: dict[str, Callable[[_Comparison], float]] = {
    "recourse_gap": lambda pair: 0.0 - pair.pair(counterfactual_recourse_gap),
    "signed_recourse_gap": lambda pair: 0.0 - pair.pair(counterfactual_recourse_gap, kind="signed"),
    "direction_similarity": lambda pair: pair.pair(direction_similarity),
    "action_overlap": lambda pair: pair.pair(action_overlap),
    "faithfulness": _Comparison.faithfulness,
}
_METRICS = {**_OF_REFERENCE, **_OF_BOTH}


class RecourseScorer(BaseEstimator):
    """Score how faithful a fitted estimator is to the recourse of its reference.

    The reference's denied rows are given actions, the deployed model is asked about them and, for
    the metrics that need it, solved as well; all metrics of one scorer share this work.

    Parameters
    ----------
    metrics : str or list of str
        ``"validity_drop"``, ``"label_mismatch"``, ``"recourse_gap"`` (mean absolute),
        ``"signed_recourse_gap"``, ``"direction_similarity"``, ``"action_overlap"``,
        ``"feasible_recourse_rate"`` (of the reference) or ``"faithfulness"`` (validity drop and
        absolute gap together). Greater is better: drops and gaps are negated. A string
        gives a float; a list gives a dict, which searches take as several metrics.
    solver : RecourseSolver, optional
        Its clone is used, with the target, action set and seed filled in where it has none.
    reference : estimator, optional
        A *fitted* full-precision model of the raw X that the scored estimator receives. Inside
        searches, wrap it in :class:`sklearn.frozen.FrozenEstimator`, because clones forget a fit.
        By default the ``teacher_`` of the estimator.
    action_set : ActionSet, optional
        Names the columns of the raw X. By default the solver's; else the ``action_set``
        of the estimator, which names the columns that this step of a pipeline receives; else that
        of the reference. Costs are those that the action set states, unless the solver has a cost.
    target : label, optional
        By default the solver's; else that of the estimator; else that of the reference; else the
        last class.
    background : DataFrame or ndarray, optional
        Population for spreads and observed bounds, in the columns of the raw X; needed only where
        the models carry no statistics.
    max_people : int or None, default=2000
        At most so many denied rows are solved, drawn at random; None takes all.
    random_state : int, RandomState instance or None, default=0
        Draws the rows, and seeds a solver that has no seed of its own.

    Notes
    -----
    Definitions are those of :mod:`skcfq.metrics`, over the sampled rows. Choosing by validity drop
    alone rewards lenient models, weak teachers and tight action sets; ``"faithfulness"`` does not
    reward leniency. A search over the rules (``action_set__max_changes``) needs a scorer with
    an action set of its own, or each candidate is measured by its own rules. A score is NaN with a
    warning where the population is empty. ``"label_mismatch"`` counts the people whom the reference
    favors as well, and weighs sampled denied rows by the inverse of their sampling rate.

    Validity drop, label mismatch and feasible recourse rate need no solve of the deployed model,
    so a scorer of these alone takes any deployed model with a ``predict``, and the reference's
    actions are the same for all candidates of a search. The other metrics solve both models with
    :meth:`RecourseSolver.compare`, where the reference may adopt a cheaper action that only
    the deployed model's search found.

    Nothing is ever fitted here.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.metrics import RecourseScorer
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> scorer = RecourseScorer("validity_drop", reference=reference, background=X)
    >>> scorer(stricter, X)
    -1.0
    """

    _parameter_constraints: dict = {
        "metrics": [
            StrOptions(set(_METRICS)),
            ListOf(StrOptions(set(_METRICS)), least=1),
        ],
        "solver": [RecourseSolver, None],
        "reference": "no_validation",
        "action_set": [ActionSet, None],
        "target": "no_validation",
        "background": "no_validation",
        "max_people": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    # `estimator` is what is scored, not metadata that could be routed.
    __metadata_request__score = {"estimator": UNUSED}

    def __init__(
        self,
        metrics: str | list[str],
        *,
        solver: RecourseSolver | None = None,
        reference: Any = None,
        action_set: ActionSet | None = None,
        target: Any = None,
        background: Any = None,
        max_people: int | None = 2000,
        random_state: Any = 0,
    ) -> None:
        self.metrics = metrics
        self.solver = solver
        self.reference = reference
        self.action_set = action_set
        self.target = target
        self.background = background
        self.max_people = max_people
        self.random_state = random_state

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float | dict[str, float]:
        """Score an estimator; the same as :meth:`score`."""
        return self.score(estimator, X, y)

    def score(self, estimator: Any, X: Any, y: Any = None) -> float | dict[str, float]:
        """Score a fitted estimator on raw rows.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier or pipeline.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Rows, as the estimator receives them.
        y : array-like of shape (n,), optional
            Recourse is about decisions: labels only say, where there is nobody to measure, whether
            that lies at the reference.

        Returns
        -------
        score : float or dict of str to float
            Greater is better.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The estimator or the reference is not fitted.
        ReferenceRequiredError
            No reference was given, and the estimator has no ``teacher_``.
        """
        self._validate_params()
        names = [self.metrics] if isinstance(self.metrics, str) else list(self.metrics)
        comparison = self._compare(estimator, X, y, names)
        scores = {
            name: float("nan") if comparison is None else float(_METRICS[name](comparison))
            for name in names
        }
        return scores[self.metrics] if isinstance(self.metrics, str) else scores

    def _compare(self, estimator: Any, X: Any, y: Any, names: list[str]) -> _Comparison | None:
        """Solve what the metrics need; None where the reference denies no row."""
        check_model_is_fitted(estimator, name="estimator", remedy="Scorers never fit.")
        final = split_model(estimator)[1]
        rng = check_random_state(self.random_state)
        solver = self._solver(final, rng)
        reference, deployed, transform = self._models(estimator, solver)
        X, background = transform(X), transform(self.background)
        decisions = np.asarray(reference.predict(X))
        classes = _classes_of(reference)
        target = classes[resolve_target(solver.target, classes, decisions)]
        labels = None if y is None else column_or_1d(y)
        fault = decision_fault(decisions, target, labels, name="The reference")
        rows, weight = self._sample(decisions != target, rng, everyone="label_mismatch" in names)
        if len(rows) == 0:
            warn_empty(f"RecourseScorer({self.metrics!r})", "rows that the reference denies", fault)
            return None
        X = take_rows(X, rows)
        solver.set_params(target=target[rows])
        if set(names) <= set(_OF_REFERENCE):
            result = solver.solve(reference, X, background=background, keep_partial=False)
            other = None
        else:
            result, other = solver.compare(
                reference, deployed, X, background=background, keep_partial=False
            )
        if fault is not None and not result.reachable.any():
            warn_user(f"Nobody has recourse. {fault}", EmptyPopulationWarning)
        return _Comparison(reference, deployed, result, other, weight)

    def _solver(self, final: Any, rng: np.random.RandomState) -> RecourseSolver:
        """Return a solver of one's own, complete but for an action set of the estimator."""
        solver = RecourseSolver() if self.solver is None else clone(self.solver)
        if self.target is not None:
            solver.set_params(target=self.target)
        elif solver.target is None:
            solver.set_params(target=carried_target(final, self.reference))
        if self.action_set is not None:
            solver.set_params(action_set=clone(self.action_set))
        # As in `compare`, also where the reference alone is solved.
        if solver.margin == "auto":
            solver.set_params(margin=0.0)
        elif solver.margin == "promise":
            solver.set_params(margin=carried_margin(final, self.reference))
        if solver.perturbation_radius == "auto":
            solver.set_params(perturbation_radius=0.0)
        if solver.random_state is None:
            solver.set_params(random_state=rng.randint(np.iinfo(np.int32).max))
        return solver

    def _models(self, estimator: Any, solver: RecourseSolver) -> tuple[Any, Any, Callable]:
        """Return reference, deployed model, and the map from raw X to what both of them receive.

        An action set of the final step names the columns which that step receives, so where it is
        used behind preprocessing, the comparison moves behind the preprocessing as well.
        """
        steps, final = split_model(estimator)
        reference = self._reference(final)
        own_rules = solver.action_set is not None
        if not own_rules:
            rules = carried_action_set(final, self.reference)
            solver.set_params(action_set=ActionSet() if rules is None else rules)
        if self.reference is not None:
            if steps and not own_rules and getattr(final, "action_set", None) is not None:
                raise ActionSetError(
                    "`reference` reads the raw X, while the action set of "
                    f"{type(final).__name__} names columns behind the preprocessing steps of the "
                    "pipeline. Give the scorer an `action_set` of its own on the raw columns."
                )
            return reference, estimator, _unchanged
        if steps and own_rules:
            return _behind(steps, reference), estimator, _unchanged
        reference = _on_space_of(final, reference)
        if not steps:
            return reference, estimator, _unchanged
        deployed = with_final(estimator, final, keep_steps=False)
        return reference, deployed, lambda X: None if X is None else transform_rows(steps, X)

    def _reference(self, final: Any) -> Any:
        if self.reference is not None:
            check_model_is_fitted(self.reference, name="reference", remedy="Scorers never fit.")
            return self.reference
        teacher = getattr(final, "teacher_", None)
        if teacher is None:
            raise ReferenceRequiredError(
                f"{type(final).__name__} has no `teacher_` to be compared with. Give the scorer "
                "`reference=`, the fitted full-precision model (wrapped in "
                "sklearn.frozen.FrozenEstimator inside a search)."
            )
        return teacher

    def _sample(
        self, denied: np.ndarray, rng: np.random.RandomState, *, everyone: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the rows to solve: positions and weights, both of shape (n_drawn,).

        With ``everyone``, rows that need no action are kept too; they cost the solver nothing.
        """
        candidates, others = np.flatnonzero(denied), np.flatnonzero(~denied)
        n_drawn = len(candidates)
        if self.max_people is not None:
            n_drawn = min(n_drawn, self.max_people)
        drawn = np.sort(rng.permutation(candidates)[:n_drawn])
        weight = np.full(n_drawn, len(candidates) / max(n_drawn, 1))
        if not everyone:
            return drawn, weight
        return np.concatenate([drawn, others]), np.concatenate([weight, np.ones(len(others))])


def _unchanged(X: Any) -> Any:
    return X


def _classes_of(reference: Any) -> np.ndarray:
    if isinstance(reference, Predictor):
        return reference.classes
    return np.asarray(split_model(reference)[1].classes_)


def _on_space_of(final: Any, teacher: Any) -> Any:
    """Read a teacher on the feature space that its student took over, statistics included.

    A teacher of another library carries no statistics; the student kept those of its training
    rows, and measuring both with them makes their costs comparable.
    """
    space = getattr(final, "feature_space_", None)
    if space is None or hasattr(teacher, "feature_space_"):
        return teacher
    return as_predictor(teacher, space=space)


def _behind(steps: list[tuple[str, Any]], final: Any) -> Pipeline:
    """Put a fitted model behind fitted steps."""
    return Pipeline([*steps, ("reference", FrozenEstimator(final))])


vd_scorer = RecourseScorer("validity_drop")
crg_scorer = RecourseScorer("recourse_gap")
faithfulness_scorer = RecourseScorer("faithfulness")
