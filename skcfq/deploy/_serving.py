"""Raw rows to logits: a few by themselves, many in blocks, no table of encoded rows in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skcfq.deploy._arithmetic import IntegerNetwork
from skcfq.deploy._first_layer import FirstLayer, UnusualRowsError
from skcfq.deploy._one_row import OneRow
from skcfq.deploy._products import ExactNetwork, Scratch, row_blocks
from skcfq.encoding import FeatureSpace

# Rows that are served one by one: reading a column takes some time, however short it is.
_FEW = 16
# Rows of a block at least, for the same reason.
_FEWEST = 512


class Serving:
    """A network behind the raw columns that it reads, compiled for speed.

    Parameters
    ----------
    network : ExactNetwork
    space : FeatureSpace
    names : list or None
        The columns of the DataFrame that the classifier was fitted on, None for an array.
    """

    def __init__(self, network: ExactNetwork, space: FeatureSpace, names: list | None) -> None:
        self._network, self._space = network, space
        self._first = FirstLayer(network, space)
        self._one_row = OneRow(network, self._first, space.n_raw)
        by_name = list(space.raw_columns) if space.is_frame else None
        self._names = by_name if names is None else names
        # Where a space goes by names of another order, a row has to be put in order first.
        self._has_order = by_name is None or by_name == self._names

    @classmethod
    def of(cls, network: IntegerNetwork, space: FeatureSpace, names: list | None) -> Serving | None:
        """Compile a network; None where its products may not be exact."""
        return None if network.exact is None else cls(network.exact, space, names)

    def few(self, X: Any) -> np.ndarray | None:
        """Return the logits of a few usual rows, of shape (n, n_classes); None for all else.

        Parameters
        ----------
        X : anything
            Of a DataFrame, the columns are checked, by name and order; of everything else, their
            number.
        """
        try:
            if self._is_matrix(X):
                usual = 0 < len(X) <= _FEW and X.shape[1] == self._space.n_raw
                return self._of_matrix(X) if usual and np.isfinite(X).all() else None
            rows = self._plain_rows(X)
            return None if rows is None else self._one_row.logits(rows)
        except UnusualRowsError:
            return None

    def _plain_rows(self, X: Any) -> list[Any] | None:
        """Return a few rows as lists; None where there are others, or that cannot be."""
        if type(X) is list and 0 < len(X) <= _FEW:
            return X if all(type(row) in (list, tuple) for row in X) else None
        if type(X) is np.ndarray and X.ndim == 2 and 0 < len(X) <= _FEW:
            return X.tolist() if X.dtype.char in "dlqO" else None
        if isinstance(X, pd.DataFrame) and 0 < len(X) <= _FEW and self._has_order:
            if self._names is not None and X.columns.tolist() != self._names:
                return None
            return [X.iloc[0].tolist()] if len(X) == 1 else X.to_numpy(dtype=object).tolist()
        return None

    def logits(self, X: Any) -> np.ndarray:
        """Return the logits of raw rows, float64 of shape (n, n_classes).

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, n_raw)

        Raises
        ------
        UnusualRowsError
            Rows have to be encoded, or are wrong.
        FeatureSpaceError
            X is no such table.
        """
        return self._collected(X, self._network.n_classes)

    def decisions(self, X: Any) -> np.ndarray:
        """Return the position of the largest logit, the first of equal ones, shape (n,)."""
        return self._collected(X, None)

    def _collected(self, X: Any, width: int | None) -> np.ndarray:
        """Return the logits, or with no width the positions of the largest, block by block."""
        n, logits_of = self._reader(X)
        shape, dtype = ((n,), np.intp) if width is None else ((n, width), np.float64)
        out = np.empty(shape, dtype=dtype)
        for rows in row_blocks(n, self._network.width, at_least=_FEWEST):
            logits = logits_of(rows)
            out[rows] = logits.argmax(axis=1) if width is None else logits
        return out

    def _reader(self, X: Any) -> tuple[int, Callable[[slice], np.ndarray]]:
        """Return the number of rows, and a function from some of them to their logits."""
        if self._is_matrix(X):
            return len(X), lambda rows: self._of_matrix(X[rows])
        found, n = self._space.columns_of(X)
        network, scratch = self._network, Scratch()
        sums_of = self._first.reader([column for _, column in found], scratch)

        def logits_of(rows: slice) -> np.ndarray:
            codes = network.layers[0].run_sums(sums_of(rows), scratch)
            return network.after_first(codes, scratch) * network.logit_scale

        return n, logits_of

    def _is_matrix(self, X: Any) -> bool:
        """Tell whether X has one type, and all columns go through one line each."""
        usual = type(X) is np.ndarray and X.ndim == 2 and X.dtype == np.float64
        return usual and self._space.is_affine

    def _of_matrix(self, X: np.ndarray) -> np.ndarray:
        Z = self._space.encode(X, copy=False)
        if not np.isfinite(Z).all():
            raise UnusualRowsError
        return self._network.totals(Z) * self._network.logit_scale
