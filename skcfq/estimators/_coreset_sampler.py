"""A small part of a training table that teaches the most, in the form of a sampler."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from imblearn.base import BaseSampler
from sklearn.preprocessing import label_binarize
from sklearn.utils import check_random_state, get_tags

from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._sampled_tables import groups_in, like, read_labeled
from skcfq.models import as_predictor
from skcfq.training import (
    draw_seed,
    equal_quotas,
    fit_model,
    fitted_or_clone,
    inclusion_probabilities,
    proportional_quotas,
    rectifier_network,
    row_gradient_norms,
    systematic_draw,
)
from skcfq.utils import HasMethods, Interval, StrOptions, take_rows


class CoresetSampler(BaseSampler):
    r"""Keep the rows of a table from which a model would learn the most.

    Rows are drawn without replacement, each with a probability that grows with its loss, or with
    the norm of the gradient of its loss, under a model: for a training that is to be short, or as
    the calibration rows of :class:`~skcfq.PTQClassifier`.

    Parameters
    ----------
    estimator : classifier
        Model that is asked. Fitted or frozen, it is used as it is; unfitted, a clone is fitted.
        Inside a search, wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`.
    size : float or int, default=0.2
        Share of the rows that are kept, or their number.
    criterion : {"gradient", "loss"}, default="gradient"
        ``"loss"`` is :math:`-\log p_y(x)`; ``"gradient"`` the norm of its gradient with respect to
        all weights, of models that :class:`~skcfq.PTQClassifier` can quantize.
    sensitive_features : str, int, list of these or None, default=None
        Column of X that holds the group of each row, by name or position; several are crossed.
        As many rows of each group are kept, as far as it has so many. None: of all together.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, and seeds an unfitted estimator.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_samples_new,), int64
        The rows of X that are kept, rising.
    sample_weight_ : ndarray of shape (n_samples_new,)
        How many rows of X each stands for: 1 over the probability that it was drawn with.
    sampling_strategy_ : dict
        Number of kept rows of each label.
    scores_ : ndarray of shape (n_samples,)
        Of each row of X.
    estimator_ : classifier
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X was a DataFrame with text names.

    Notes
    -----
    Labels keep their shares, within each group where groups are given. Rows that are hard are
    kept more often than they occur, mislabeled ones among them, and in a pipeline nothing makes up
    for it: a model that is trained on them is less accurate than one that is trained on as many
    rows at random. Outside of one, ``sample_weight_`` does (Horvitz and Thompson)::

        X_core, y_core = sampler.fit_resample(X, y)
        model.fit(X_core, y_core, sample_weight=sampler.sample_weight_)

    References
    ----------
    M. Paul, S. Ganguli and G. K. Dziugaite, Deep Learning on a Data Diet, NeurIPS 2021.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import CoresetSampler
    >>> X, y = [[-3.0], [-2.0], [-0.1], [0.1], [2.0], [3.0]], [0, 0, 0, 1, 1, 1]
    >>> sampler = CoresetSampler(LogisticRegression(), size=2, random_state=0)
    >>> sampler.fit_resample(X, y)[1], sampler.scores_.round(2).tolist()
    ([0, 1], [0.25, 0.41, 0.68, 0.68, 0.41, 0.25])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "size": [Interval(Real, 0, 1, closed="right"), Interval(Integral, 1, None, closed="left")],
        "criterion": [StrOptions({"gradient", "loss"})],
        "sensitive_features": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        size: float | int = 0.2,
        criterion: str = "gradient",
        sensitive_features: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.criterion = criterion
        self.sensitive_features = sensitive_features
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> CoresetSampler:
        """Fit the estimator, unless it is fitted; use :meth:`fit_resample` to get the rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : CoresetSampler
        """
        self._read(X, y)
        return self

    @all_or_nothing
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the rows that are kept.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Numbers, text, categories and gaps, as far as the estimator reads them.
        y : array-like of shape (n_samples,)

        Returns
        -------
        X_resampled : DataFrame, ndarray or list of shape (n_samples_new, n_features)
            A DataFrame gets a new index 0, 1, ….
        y_resampled : Series, DataFrame, ndarray or list of shape (n_samples_new,)

        Raises
        ------
        UnsupportedModelError
            ``criterion="gradient"`` for a model whose layers cannot be read.
        ValueError
            Groups are missing, or y has a label that the estimator does not know.
        """
        table, labels, one_vs_all, cells, rng = self._read(X, y)
        groups, group = np.unique(cells, return_inverse=True)
        n_kept = self.size if isinstance(self.size, Integral) else math.ceil(self.size * len(group))
        quotas = equal_quotas(np.bincount(group, minlength=len(groups)), min(n_kept, len(group)))
        kept, weights = [], np.zeros(len(labels))
        for members, quota in zip(range(len(groups)), quotas, strict=True):
            of_labels = [
                np.flatnonzero((group == members) & (labels == one)) for one in np.unique(labels)
            ]
            sizes = np.array([len(rows) for rows in of_labels])
            for rows, some in zip(of_labels, proportional_quotas(sizes, quota), strict=True):
                chances = inclusion_probabilities(self.scores_[rows], int(some))
                drawn = systematic_draw(chances, rng)
                kept.append(rows[drawn])
                weights[rows[drawn]] = 1.0 / chances[drawn]
        self.sample_indices_ = np.sort(np.concatenate(kept))
        self.sample_weight_ = weights[self.sample_indices_]
        new_labels = labels[self.sample_indices_]
        names, counts = np.unique(new_labels, return_counts=True)
        self.sampling_strategy_ = dict(zip(names.tolist(), counts.tolist(), strict=True))
        resampled = take_rows(table, self.sample_indices_)
        if hasattr(resampled, "reset_index"):
            resampled = resampled.reset_index(drop=True)
        if one_vs_all:
            new_labels = label_binarize(new_labels, classes=np.unique(labels))
        return (resampled.tolist() if isinstance(X, list) else resampled), like(y, new_labels)

    def _read(
        self, X: Any, y: Any
    ) -> tuple[Any, np.ndarray, bool, np.ndarray, np.random.RandomState]:
        """Check the table, and ask the estimator about it."""
        self._validate_params()
        table, labels, one_vs_all = read_labeled(self, X, y)
        cells = np.zeros(len(labels), dtype=object)
        if self.sensitive_features is not None:
            cells = groups_in(table, self.sensitive_features)
        rng = check_random_state(self.random_state)
        model, fitted = fitted_or_clone(self.estimator)
        seed = draw_seed(rng)
        if not fitted:
            fit_model(model, table, labels, np.ones(len(labels)), seed)
        self.estimator_ = model
        self.scores_ = self._scores(table, labels)
        if not np.isfinite(self.scores_).all():
            row = int(np.flatnonzero(~np.isfinite(self.scores_))[0])
            raise ValueError(
                f"X has a value in row {row} that is too far from what `estimator` was fitted on: "
                f"the {self.criterion} of its row is not finite. Check the units of the columns."
            )
        return table, labels, one_vs_all, cells, rng

    def _scores(self, table: Any, labels: np.ndarray) -> np.ndarray:
        predictor = as_predictor(self.estimator_, background=table)
        strange = ~np.isin(labels, predictor.classes)
        if strange.any():
            raise ValueError(
                f"y has the label {labels[strange].tolist()[0]!r}, but `estimator` knows "
                f"{predictor.classes.tolist()}. Fit the estimator on the same labels."
            )
        codes = np.searchsorted(predictor.classes, labels)
        if self.criterion == "loss":
            shares = np.asarray(self.estimator_.predict_proba(table))
            own = shares[np.arange(len(codes)), codes]
            return -np.log(np.maximum(own, np.finfo(np.float64).tiny))
        network = rectifier_network(predictor)
        rows = torch.from_numpy(predictor.space.encode(table)).double()
        return row_gradient_norms(network, rows, torch.from_numpy(codes)).numpy()

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        # Abstract in imbalanced-learn, whose own fit_resample would cast columns.
        return self.fit_resample(X, y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        try:
            inner = get_tags(self.estimator).input_tags
        except (AttributeError, TypeError):
            inner = None
        tags.input_tags.allow_nan = bool(getattr(inner, "allow_nan", False))
        tags.input_tags.string = bool(getattr(inner, "categorical", False))
        tags.sampler_tags.sample_indices = True
        return tags
