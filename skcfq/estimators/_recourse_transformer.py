"""Recourse as a step of a pipeline: rows in, the rows that people should move to out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skcfq.actions import ActionSet
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._recourse_parameters import RECOURSE_CONSTRAINTS, RecourseParametersMixin
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import check_feature_names_in, check_sample_weight, validate_table

STATUS_COLUMN = "recourse_status"


class RecourseTransformer(RecourseParametersMixin, TransformerMixin, BaseEstimator):
    """Replace each refused row by the cheapest admissible one that the estimator accepts.

    Rows that have the target stay as they are, and so does a row without recourse; ``add_status``
    tells the two apart, and :meth:`solve` tells everything.

    Parameters
    ----------
    estimator : classifier
        Model whose decisions are to change. Fitted or frozen, it is used as it is; unfitted, a
        clone is fitted. Inside a search, wrap a fitted one in
        :class:`sklearn.frozen.FrozenEstimator`, because clones forget a fit.
    solver : RecourseSolver, default=None
        A clone is used, with rules, target and seed filled in where it has none; None is a
        :class:`~skcfq.RecourseSolver` with its defaults.
    action_set : ActionSet, default=None
        What people may change, on the columns of X. None takes the solver's, else the estimator's
        own, else lets every column move inside its observed range.
    target : label, "opposite" or None, default=None
        The outcome that people want. None takes the solver's, else the estimator's own, else the
        last class, each time with a warning where labels are text.
    add_status : bool, default=False
        Whether a last column ``recourse_status`` holds the status of each row, as in
        :class:`~skcfq.RecourseResult`. An array becomes one of objects then.
    random_state : int, RandomState instance or None, default=None
        Seeds an unfitted estimator, and a solver without a seed of its own.

    Attributes
    ----------
    estimator_ : classifier
        The model that is asked.
    predictor_ : Predictor
        The same model, read, with the statistics of its training rows or else of X in ``fit``.
    solver_ : RecourseSolver
        Complete, with a fixed seed: the same rows get the same advice.
    target_ : label or "opposite"
    background_ : DataFrame, ndarray or None
        Up to 2000 rows of X that a search without gradients copies from; None for every model
        that has gradients.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X was a DataFrame with text names.

    Notes
    -----
    As a step before a deployed model, it answers how many people get the target if all follow the
    advice. A pipeline transforms in ``predict`` too, so such a pipeline's decisions are about the
    rows *after* the advice.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import ActionSet, RecourseTransformer
    >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 1, 2, 0]})
    >>> rules = ActionSet(steps={"income": 1}, immutable=["debt"])
    >>> advice = RecourseTransformer(
    ...     LogisticRegression(), action_set=rules, target="grant", add_status=True
    ... )
    >>> advice.fit_transform(X, ["refuse", "refuse", "grant", "grant"])
       income  debt    recourse_status
    0    25.0   3.0            optimal
    1    26.0   1.0            optimal
    2    30.0   2.0  already_favorable
    3    40.0   0.0  already_favorable
    """

    _parameter_constraints: dict = {**RECOURSE_CONSTRAINTS, "add_status": ["boolean"]}

    def __init__(
        self,
        estimator: Any,
        *,
        solver: RecourseSolver | None = None,
        action_set: ActionSet | None = None,
        target: Any = None,
        add_status: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.solver = solver
        self.action_set = action_set
        self.target = target
        self.add_status = add_status
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> RecourseTransformer:
        """Fit the estimator, unless it is fitted, and check the rules against the columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Raw rows, as the whole estimator receives them. Spreads and observed bounds come from
            them where the estimator carries none.
        y : array-like of shape (n_samples,), default=None
            Labels; not needed where the estimator is fitted.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : RecourseTransformer

        Raises
        ------
        ActionSetError
            The rules do not fit the columns of X, or contradict each other.
        TargetError
            The target is no class.
        UnsupportedModelError
            The estimator is no classifier.
        """
        self._validate_params()
        X = validate_table(self, X, reset=True)
        if y is not None:
            check_consistent_length(X, y)
        weights = check_sample_weight(sample_weight, X)
        self._check_status_column()
        self._read_estimator(X, y, weights)
        return self

    def transform(self, X: Any) -> Any:
        """Return the rows after the advice.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        points : DataFrame or ndarray of shape (n_samples, n_features [+ 1])
            The container, index and column types of X: a column changes its type only where the
            advice needs values that it cannot hold.
        """
        check_is_fitted(self, "predictor_")
        result = self._solve_whole(validate_table(self, X, reset=False))
        if not self.add_status:
            return result.points
        if isinstance(result.points, pd.DataFrame):
            return result.points.assign(**{STATUS_COLUMN: result.status})
        status = result.status.astype(object)[:, None]
        return np.concatenate([result.points.astype(object), status], axis=1)

    def solve(self, X: Any, *, overrides: Any = None) -> RecourseResult:
        """Return all that is known about the advice: statuses, costs, changes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        overrides : dict of row label to rules, default=None
            Rules of single people, as in :meth:`RecourseSolver.solve`.

        Returns
        -------
        result : RecourseResult
            Its ``points`` are what :meth:`transform` returns.
        """
        check_is_fitted(self, "predictor_")
        X = validate_table(self, X, reset=False)
        return self.solver_.solve(
            self.predictor_, X, background=self.background_, overrides=overrides
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of X, and ``recourse_status`` if it is added.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the columns; those seen in ``fit``, or x0, x1, …, by default.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self, "n_features_in_")
        names = check_feature_names_in(self, input_features)
        return np.append(names, STATUS_COLUMN) if self.add_status else names

    def _check_status_column(self) -> None:
        if self.add_status and STATUS_COLUMN in getattr(self, "feature_names_in_", ()):
            raise ValueError(
                f"add_status=True adds the column {STATUS_COLUMN!r}, which X has already. Rename "
                "it in X, or give add_status=False."
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._needs_labels()
        tags.input_tags.allow_nan = self._estimator_reads("allow_nan")
        tags.input_tags.categorical = self._estimator_reads("categorical")
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
