"""Raw rows to the encoded rows that an integer network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import FeatureSpaceError

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace


def encode_rows(space: FeatureSpace, X: Any) -> np.ndarray:
    """Encode raw rows, and refuse gaps that nothing fills: they have no integer code.

    Parameters
    ----------
    space : FeatureSpace
    X : DataFrame or array-like of shape (n, n_raw_columns)

    Returns
    -------
    Z : ndarray of shape (n, n_encoded), float64

    Raises
    ------
    FeatureSpaceError
        A column has a gap, and the encoder fills none.
    """
    Z = space.encode(X)
    gaps = np.isnan(Z).any(axis=0)
    if gaps.any():
        names = [block.name for block in space.blocks if gaps[block.columns].any()]
        raise FeatureSpaceError(
            f"The columns {names} have gaps (NaN), and the encoder fills none there; a quantized "
            "network has no code for a gap. Put an imputer into the encoder, or fill them."
        )
    return Z
