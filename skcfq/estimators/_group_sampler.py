"""Resampling by group, or by group and label, in the form of imbalanced-learn's samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import clone
from sklearn.preprocessing import label_binarize
from sklearn.utils import check_random_state, get_tags

from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._sampled_tables import groups_in, like, read_labeled
from skcfq.training import draw_seed
from skcfq.utils import HasMethods, take_rows


class GroupSampler(BaseSampler):
    """Resample a training table by group and label, with any sampler of imbalanced-learn.

    What that sampler does to classes is done to groups of people. It stands before an estimator in
    an :class:`imblearn.pipeline.Pipeline`, is used in ``fit`` only, and needs no groups to predict.

    Parameters
    ----------
    sensitive_features : str, int or list of these
        Column of X that holds the group of each row, by name or position; several are crossed.
    sampler : sampler, default=None
        A clone is used; None is a :class:`~imblearn.over_sampling.RandomOverSampler`, which repeats
        rows until all groups are as large as the largest one. Its ``sampling_strategy`` speaks
        of cells: ``"female"`` or ``"female & Black"``, and with ``by_label`` ``"female: yes"``.
    by_label : bool, default=True
        Whether a cell is a group with a label, or a group.
    random_state : int, RandomState instance or None, default=None
        Seeds a sampler without a seed of its own.

    Attributes
    ----------
    sampler_ : sampler
    sampling_strategy_ : dict
        What the sampler was to do to each cell.
    sample_indices_ : ndarray of shape (n_samples_new,), int64
        Row of X that each returned row is; missing where the sampler makes rows up.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X was a DataFrame with text names.

    Notes
    -----
    The columns of groups stay in X, because whatever follows sees the same columns in ``predict``.
    A model that is not to read them has a step of its own that drops them, behind the sampler::

        make_pipeline(GroupSampler("sex"), make_column_transformer(("drop", ["sex"]),
                      remainder="passthrough", verbose_feature_names_out=False)
                      .set_output(transform="pandas"), QATClassifier())

    With ``by_label`` every group gets the same share of each label, in training: that moves the
    decisions of groups whose shares differ among people. Rows that a sampler makes up have the
    label of their cell; without ``by_label`` they have none, so it must select rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.estimators import GroupSampler
    >>> X = pd.DataFrame({"sex": ["f", "m", "m", "m"], "age": [20, 30, 40, 50]})
    >>> sampler = GroupSampler("sex", by_label=False, random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, [1, 0, 1, 1])
    >>> X_new["sex"].tolist(), y_new, sampler.sampling_strategy_
    (['f', 'm', 'm', 'm', 'f', 'f'], [1, 0, 1, 1, 1, 1], {'f': 2})
    """

    _parameter_constraints: dict = {
        "sensitive_features": "no_validation",
        "sampler": [HasMethods(["fit_resample"]), None],
        "by_label": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        sensitive_features: Any,
        *,
        sampler: Any = None,
        by_label: bool = True,
        random_state: Any = None,
    ) -> None:
        self.sensitive_features = sensitive_features
        self.sampler = sampler
        self.by_label = by_label
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X: Any, y: Any) -> GroupSampler:
        """Check the table and its groups; use :meth:`fit_resample` to get the rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : GroupSampler
        """
        self._read(X, y)
        return self

    @all_or_nothing
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the resampled table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            What the sampler reads: text and gaps for one that selects rows at random.
        y : array-like of shape (n_samples,)

        Returns
        -------
        X_resampled : DataFrame, ndarray or list of shape (n_samples_new, n_features)
            A DataFrame gets a new index 0, 1, ….
        y_resampled : Series, DataFrame, ndarray or list of shape (n_samples_new,)

        Raises
        ------
        ValueError
            Groups are missing, or rows would have no label.
        """
        table, labels, one_vs_all, cells = self._read(X, y)
        names, codes = np.unique(cells, return_inverse=True)
        if len(names) == 1 and len(np.unique(labels)) > 1:
            rows: Any = np.arange(len(labels))
            self.sampling_strategy_ = {}
            resampled, drawn = take_rows(table, rows), codes
        else:
            resampled, drawn = self.sampler_.fit_resample(table, cells.astype(str))
            drawn = np.searchsorted(names, np.asarray(drawn))
            self.sampling_strategy_ = dict(self.sampler_.sampling_strategy_)
            rows = getattr(self.sampler_, "sample_indices_", None)
        if rows is None:
            new_labels = self._labels_of_cells(labels, codes)[drawn]
        else:
            self.sample_indices_, new_labels = np.asarray(rows), labels[rows]
            if getattr(self.sampler_, "shrinkage", None) is None:
                # Types of columns stay; imbalanced-learn casts some of them there and back.
                resampled = take_rows(table, self.sample_indices_)
        if isinstance(resampled, pd.DataFrame):
            resampled = resampled.reset_index(drop=True)
        if one_vs_all:
            new_labels = label_binarize(new_labels, classes=np.unique(labels))
        return (resampled.tolist() if isinstance(X, list) else resampled), like(y, new_labels)

    def _read(self, X: Any, y: Any) -> tuple[Any, np.ndarray, bool, np.ndarray]:
        """Check the table, prepare the sampler, and return the cell of every row."""
        self._validate_params()
        table, labels, one_vs_all = read_labeled(self, X, y)
        cells = self._groups(table)
        if self.by_label:
            cells[:] = [f"{group}: {label}" for group, label in zip(cells, labels, strict=True)]
        self.sampler_ = RandomOverSampler() if self.sampler is None else clone(self.sampler)
        given = self.sampler_.get_params()
        if "random_state" in given and given["random_state"] is None:
            seed = draw_seed(check_random_state(self.random_state))
            self.sampler_.set_params(random_state=seed)
        if hasattr(self, "sample_indices_"):
            del self.sample_indices_
        return table, labels, one_vs_all, cells

    def _groups(self, table: Any) -> np.ndarray:
        return groups_in(table, self.sensitive_features)

    def _labels_of_cells(self, labels: np.ndarray, codes: np.ndarray) -> np.ndarray:
        if not self.by_label:
            raise ValueError(
                f"sampler ({type(self.sampler_).__name__}) makes up rows, which have a group, but "
                "no label. Give by_label=True, or a sampler that selects rows."
            )
        return labels[np.unique(codes, return_index=True)[1]]

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        # Abstract in imbalanced-learn, whose own fit_resample knows no cells.
        return self.fit_resample(X, y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(RandomOverSampler() if self.sampler is None else self.sampler)
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.string = inner.input_tags.string
        tags.sampler_tags.sample_indices = True
        return tags
