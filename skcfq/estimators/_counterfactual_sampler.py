"""Recourse points as further training rows, in the form of imbalanced-learn's samplers."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from sklearn.preprocessing import label_binarize
from sklearn.utils import check_random_state

from skcfq.actions import ActionSet
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._recourse_parameters import RECOURSE_CONSTRAINTS, RecourseParametersMixin
from skcfq.estimators._sampled_tables import like, read_labeled
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, decision_fault, take_rows, warn_user


class CounterfactualSampler(RecourseParametersMixin, BaseSampler):
    """Add the recourse points of refused rows to a training table, labeled with the target.

    Parameters
    ----------
    estimator : classifier
        Model that refuses, and that the points persuade. Fitted or frozen, it is used as it is;
        unfitted, a clone is fitted. Inside a search, wrap a fitted one in
        :class:`sklearn.frozen.FrozenEstimator`, because clones forget a fit.
    solver : RecourseSolver, default=None
        A clone is used, with rules, target and seed filled in where it has none; None is a
        :class:`~skcfq.RecourseSolver` with its defaults.
    action_set : ActionSet, default=None
        What people may change, on the columns of X. None takes the solver's, else the estimator's
        own, else lets every column move inside its observed range.
    target : label, "opposite" or None, default=None
        The label that refused people want, and that their points get. None takes the solver's,
        else the estimator's own, else the last class, each time with a warning where labels are
        text.
    share : float, default=1.0
        Share in (0, 1] of the rows that the estimator refuses, drawn at random (at least one).
        Each drawn row with recourse adds one row.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, and seeds an unfitted estimator and a solver without a seed of its own.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_samples_new,), int64
        Row of X that each returned row comes from: first all rows in their order, then the
        sources of the added ones.
    sampling_strategy_ : dict
        Number of added rows of each label.
    estimator_ : classifier
    predictor_ : Predictor
    solver_ : RecourseSolver
        Complete: asked for ``solve(estimator_, X)``, it gives the points.
    target_ : label or "opposite"
    background_ : DataFrame, ndarray or None
        Up to 2000 rows of X that a search without gradients copies from.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X was a DataFrame with text names.

    Notes
    -----
    The label of an added row is what *the estimator* says about it, not what was observed: a model
    that is trained on these rows learns the estimator's boundary, with its faults. Rows that X
    has already are never changed or dropped, and gaps, text and column types stay, so a step
    that reads mixed tables can follow.

    Where nobody is refused, or no drawn row has recourse, the data come back as they were, with an
    :class:`~skcfq.exceptions.EmptyPopulationWarning`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import CounterfactualSampler
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> sampler = CounterfactualSampler(LogisticRegression(), random_state=0)
    >>> X_more, y_more = sampler.fit_resample(X, np.array([0, 0, 1, 1]))
    >>> X_more.shape, y_more.tolist(), sampler.sample_indices_.tolist()
    ((6, 2), [0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 0, 1])
    """

    _parameter_constraints: dict = {
        **RECOURSE_CONSTRAINTS,
        "share": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        solver: RecourseSolver | None = None,
        action_set: ActionSet | None = None,
        target: Any = None,
        share: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.solver = solver
        self.action_set = action_set
        self.target = target
        self.share = share
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> CounterfactualSampler:
        """Fit the estimator, unless it is fitted, and check the rules against the columns.

        Use :meth:`fit_resample` to get the rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : CounterfactualSampler
        """
        self._read(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the table with the recourse points added.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Numbers, text, categories and gaps, as far as the estimator reads them.
        y : array-like of shape (n_samples,)
            Labels; one column for each class, as ``label_binarize`` writes them, is accepted too.

        Returns
        -------
        X_resampled : DataFrame, ndarray or list of shape (n_samples_new, n_features)
            The container and column types of X. A DataFrame gets a new index 0, 1, ….
        y_resampled : Series, DataFrame, ndarray or list of shape (n_samples_new,)

        Raises
        ------
        ActionSetError, TargetError, UnsupportedModelError
            As :meth:`RecourseSolver.solve`.
        ValueError
            y has a label that the estimator does not know.
        """
        table, labels, one_vs_all = self._read(X, y)
        sources, points, new_labels = self._added(table, self._draw(table))
        if not len(sources):
            self._warn_nothing_added(table, labels)
        self.sample_indices_ = np.concatenate([np.arange(len(labels)), sources])
        counted, counts = np.unique(new_labels, return_counts=True)
        self.sampling_strategy_ = dict(zip(counted.tolist(), counts.tolist(), strict=True))
        all_labels = _append_labels(labels, new_labels)
        if one_vs_all:
            all_labels = label_binarize(all_labels, classes=np.unique(labels))
        table = _append(table, points)
        return (table.tolist() if isinstance(X, list) else table), like(y, all_labels)

    def _read(self, X: Any, y: Any) -> tuple[Any, np.ndarray, bool]:
        """Check the table and its labels, and read the estimator."""
        self._validate_params()
        table, labels, one_vs_all = read_labeled(self, X, y)
        self._read_estimator(table, labels, np.ones(len(labels)))
        strange = ~np.isin(labels, self.predictor_.classes)
        if strange.any():
            raise ValueError(
                f"y has the label {labels[strange].tolist()[0]!r}, but `estimator` knows "
                f"{self.predictor_.classes.tolist()}. Fit the estimator on the same labels."
            )
        return table, labels, one_vs_all

    def _refused(self, table: Any) -> np.ndarray:
        """Return whom the estimator does not give the target, shape (n,), bool."""
        decisions = self.predictor_.predict(table)
        if self.target_ in self.predictor_.classes.tolist():
            return np.asarray(decisions != self.target_)
        return np.ones(len(decisions), dtype=bool)

    def _draw(self, table: Any) -> np.ndarray:
        """Return the positions of the rows that recourse is looked for."""
        candidates = np.flatnonzero(self._refused(table))
        if self.share == 1:
            return candidates
        n_drawn = int(np.ceil(self.share * len(candidates)))
        drawn = check_random_state(self.random_state).permutation(candidates)[:n_drawn]
        return np.sort(drawn)

    def _added(self, table: Any, drawn: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray]:
        """Return sources, points and labels of the rows to add."""
        rows = drawn[:0]
        if len(drawn):
            result = self._solve_whole(take_rows(table, drawn))
            rows = np.flatnonzero(result.reachable)
        if not len(rows):
            return rows, take_rows(table, rows), self.predictor_.classes[:0]
        return drawn[rows], take_rows(result.points, rows), result.target[rows]

    def _warn_nothing_added(self, table: Any, labels: np.ndarray) -> None:
        name, target = type(self.estimator_).__name__, np.asarray(self.target_).item()
        fault = None
        if target in self.predictor_.classes.tolist():
            wanted = np.full(len(labels), target)
            fault = decision_fault(self.predictor_.predict(table), wanted, labels, name="It")
        what = f"`estimator` ({name}) refuses nobody the target {target!r}"
        remedy = "Check `target`."
        if self._refused(table).any():
            what = f"nobody was drawn whom `estimator` ({name}) refuses and who has recourse"
            remedy = "Widen `action_set`, or give a `solver` that searches more."
        warn_user(
            f"CounterfactualSampler adds no row: {what}. {fault or remedy}", EmptyPopulationWarning
        )

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        # Abstract in imbalanced-learn, whose own fit_resample would cast columns back to their
        # first type: a whole number that became 2.5 would come out as 2.
        return self.fit_resample(X, y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = self._estimator_reads("allow_nan")
        tags.input_tags.string = self._estimator_reads("categorical")
        tags.sampler_tags.sample_indices = True
        return tags


def _append(table: Any, points: Any) -> Any:
    """Put points under a table; a column's type widens only where a point needs it."""
    if isinstance(table, pd.DataFrame):
        return pd.concat([table.astype(points.dtypes), points], ignore_index=True)
    return np.concatenate([table, points])


def _append_labels(labels: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Put labels under labels, and keep their type; text may become longer."""
    same = added.astype(str if labels.dtype.kind == "U" else labels.dtype)
    return np.concatenate([labels, same])
