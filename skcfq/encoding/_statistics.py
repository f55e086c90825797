"""Weighted statistics of one column; whole-number weights count as repeated rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcfq.exceptions import BackgroundRequiredError

N_QUANTILES = 101
# Rows from which on it is believed that a column takes whole numbers, or two values, only.
_TELLING_ROWS = 20
# What may be kept of the statistics, from the least to the most.
STATISTICS_LEVELS = ("none", "bounds", "full")


@dataclass(frozen=True, eq=False)
class ColumnStatistics:
    """What is known of one raw column in the background population.

    Rows of weight zero do not count at all, not even for the observed range.

    Attributes
    ----------
    n : float
        Sum of the weights of the rows where the column is present.
    missing : float
        Weighted share of the rows where it has a gap.
    mean, std, mad, minimum, maximum : float or None
        Of a numeric column, in raw units, over the rows where it is present. ``std`` divides by
        the sum of the weights; ``mad`` is the median absolute deviation from the median.
        NaN where no row is present.
    quantiles : ndarray of shape (101,) or None
        Quantiles 0, 0.01, …, 1 of a numeric column, in raw units.
    encoded_std, encoded_mad : float or None
        Of the encoded column, gaps counted as the value that fills them.
    frequencies : ndarray of shape (n_levels,) or None
        Weighted share of each level of a table column among the rows with a recognized one.
    is_whole, is_binary : bool
        Whether a numeric column holds nothing but whole numbers, and whether it holds exactly
        two values, in at least 20 rows where it is present.
    """

    n: float
    missing: float
    mean: float | None = None
    std: float | None = None
    mad: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    quantiles: np.ndarray | None = None
    encoded_std: float | None = None
    encoded_mad: float | None = None
    frequencies: np.ndarray | None = None
    is_whole: bool = False
    is_binary: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as lists and numbers; what does not apply is left out."""
        out: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                out[name] = [float(v) for v in value]
            elif isinstance(value, bool):
                if value:
                    out[name] = value
            elif value is not None:
                out[name] = float(value)
        return out

    def kept(self, level: str) -> ColumnStatistics:
        """Return what a level tells.

        Parameters
        ----------
        level : {"none", "bounds", "full"}
            ``"bounds"`` tells what default costs, observed bounds and categories need: the range
            of a number and the spread of its encoded column, shares of levels (for a column that
            lies in [0, 1], its mean, the share of ones), number of rows and share of gaps.
            Every level tells which numbers are whole, and which take two values: without that,
            advice would be another one.

        Examples
        --------
        >>> told = ColumnStatistics(9.0, 0.0, mean=4.0, minimum=1.0, maximum=7.0).kept("bounds")
        >>> told.mean, told.minimum, told.maximum
        (None, 1.0, 7.0)
        """
        if level == "full":
            return self
        if level == "none":
            return replace(NO_STATISTICS, is_whole=self.is_whole, is_binary=self.is_binary)
        is_share = (
            self.minimum is not None
            and self.maximum is not None
            # Of an empty column, whose range is NaN, nothing is given away.
            and not (self.minimum < 0 or self.maximum > 1)
        )
        return ColumnStatistics(
            self.n,
            self.missing,
            mean=self.mean if is_share else None,
            minimum=self.minimum,
            maximum=self.maximum,
            encoded_std=self.encoded_std,
            frequencies=self.frequencies,
            is_whole=self.is_whole,
            is_binary=self.is_binary,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ColumnStatistics:
        """Rebuild what :meth:`to_dict` returned."""
        fields: dict[str, Any] = {}
        for name, value in data.items():
            fields[name] = np.asarray(value) if isinstance(value, list) else value
        return cls(**fields)


NO_STATISTICS = ColumnStatistics(n=0.0, missing=float("nan"))


def statistic_of(block: Any, name: str, purpose: str) -> Any:
    """Return one statistic of a block, or say where it can come from.

    Parameters
    ----------
    block : Block
    name : str
        Attribute of :class:`ColumnStatistics`.
    purpose : str
        What needs it, as the subject of a sentence.

    Raises
    ------
    BackgroundRequiredError
        It is not known.
    """
    value = getattr(block.statistics, name)
    if value is None:
        level = "full" if name in ("quantiles", "mad", "encoded_mad", "std", "mean") else "bounds"
        raise BackgroundRequiredError(
            f"{purpose} needs a background population, and there is no {_WORDS.get(name, name)} "
            f"of the column {block.name!r}. Give `background=`, the rows that it is to be taken "
            f"from; a model file carries it after export(path, statistics={level!r})."
        )
    return value


_WORDS = {
    "minimum": "observed range",
    "maximum": "observed range",
    "quantiles": "quantiles",
    "encoded_std": "spread",
    "encoded_mad": "median absolute deviation",
    "frequencies": "share of each level",
}


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return weighted quantiles by the averaged inverse of the distribution function.

    The median of this family is the usual one, 0 and 1 give the observed range, and weights that
    are whole numbers count as repeated rows.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite or infinite numbers, no NaN.
    weights : ndarray of shape (n,)
        Positive.
    levels : ndarray of shape (k,)
        In [0, 1].

    Returns
    -------
    quantiles : ndarray of shape (k,)
        NaN where n is 0.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), np.array([0.5]))
    array([2.])
    """
    if len(values) == 0:
        return np.full(len(levels), np.nan)
    if weights.min() == weights.max():
        # Without an order of the rows a sort is several times faster.
        values, cumulated = np.sort(values), np.cumsum(weights)
    else:
        order = np.argsort(values, kind="stable")
        values, cumulated = values[order], np.cumsum(weights[order])
    total = cumulated[-1]
    # The slack makes the answer the same for weights that are multiplied by a constant.
    slack = 1e-12 * total
    last = len(values) - 1
    lower = np.minimum(np.searchsorted(cumulated, levels * total - slack, side="left"), last)
    upper = np.minimum(np.searchsorted(cumulated, levels * total + slack, side="right"), last)
    with np.errstate(invalid="ignore"):
        middle = values[lower] / 2 + values[upper] / 2
    return np.where(lower == upper, values[lower], middle)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted median; NaN of nothing."""
    return float(weighted_quantiles(values, weights, np.array([0.5]))[0])


def weighted_mean_std(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and population standard deviation; NaN of nothing."""
    if len(values) == 0:
        return float("nan"), float("nan")
    if values.min() == values.max():
        return float(values[0]), 0.0
    # Squares of very large or very small numbers leave the range of float64.
    unit = float(np.abs(values).max())
    unit = unit if unit > 1e150 or unit < 1e-150 else 1.0
    shares, values = weights / weights.sum(), values / unit
    mean = float(shares @ values)
    return mean * unit, float(np.sqrt(shares @ (values - mean) ** 2)) * unit


def weighted_mad(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted median absolute deviation from the weighted median."""
    if len(values) == 0:
        return float("nan")
    return weighted_median(np.abs(values - weighted_median(values, weights)), weights)


def numeric_statistics(
    raw: np.ndarray, encoded: np.ndarray, weights: np.ndarray
) -> ColumnStatistics:
    """Describe a numeric column from its raw and encoded values, both of shape (n,)."""
    present = ~np.isnan(raw)
    values, value_weights = raw[present], weights[present]
    mean, std = weighted_mean_std(values, value_weights)
    mad = weighted_mad(values, value_weights)
    quantiles = weighted_quantiles(values, value_weights, np.linspace(0, 1, N_QUANTILES))
    if np.array_equal(raw, encoded, equal_nan=True):
        encoded_std, encoded_mad = std, mad
    else:
        known = ~np.isnan(encoded)
        encoded_std = weighted_mean_std(encoded[known], weights[known])[1]
        encoded_mad = weighted_mad(encoded[known], weights[known])
    return ColumnStatistics(
        n=float(value_weights.sum()),
        missing=_share(~present, weights),
        mean=mean,
        std=std,
        mad=mad,
        minimum=float(values.min()) if len(values) else float("nan"),
        maximum=float(values.max()) if len(values) else float("nan"),
        quantiles=quantiles,
        encoded_std=encoded_std,
        encoded_mad=encoded_mad,
        is_whole=len(values) >= _TELLING_ROWS and _are_whole(values),
        is_binary=len(values) >= _TELLING_ROWS and _are_two(values),
    )


def _are_whole(values: np.ndarray) -> bool:
    # Beyond this, float64 holds whole numbers only, and they tell nothing.
    return bool((np.abs(values) < 2**53).all() and (values == np.rint(values)).all())


def _are_two(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(low < high and np.isfinite([low, high]).all()) and bool(
        ((values == low) | (values == high)).all()
    )


def table_statistics(
    levels: np.ndarray, n_levels: int, missing: np.ndarray, weights: np.ndarray
) -> ColumnStatistics:
    """Describe a table column from its levels (-1 is unrecognized), shape (n,)."""
    known = levels >= 0
    counts = np.bincount(levels[known], weights=weights[known], minlength=n_levels)
    total = counts.sum()
    return ColumnStatistics(
        n=float(weights[~missing].sum()),
        missing=_share(missing, weights),
        frequencies=counts / total if total > 0 else counts,
    )


def plain_statistics(missing: np.ndarray, weights: np.ndarray) -> ColumnStatistics:
    """Describe a column that is not encoded: how often it is present."""
    return ColumnStatistics(n=float(weights[~missing].sum()), missing=_share(missing, weights))


def _share(mask: np.ndarray, weights: np.ndarray) -> float:
    total = weights.sum()
    return float(weights[mask].sum() / total) if total > 0 else float("nan")
