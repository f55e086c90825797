"""The population in front of steps, as far as the space behind them tells of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skcfq.encoding._blocks import Block, TableBlock
from skcfq.encoding._expressions import Expression, Lookup, Value
from skcfq.encoding._functions import Affine
from skcfq.encoding._space import FeatureSpace
from skcfq.encoding._statistics import NO_STATISTICS, TELLING_ROWS, ColumnStatistics
from skcfq.utils import snap_integers

# Shares of levels are read off means, which are right to the last digits only.
_TOLERANCE = 1e-9


def space_in_front(last: FeatureSpace, encoder: Any, X: Any) -> FeatureSpace | None:
    """Return a space as seen from the raw columns in front of a fitted encoder, statistics too.

    Parameters
    ----------
    last : FeatureSpace
        Reads the encoder's output, with full statistics of it.
    encoder : fitted transformer
    X : DataFrame or ndarray of shape (n, p)
        Some raw rows in front of the encoder, for the names and types of the columns. Nothing is
        told of their values.

    Returns
    -------
    space : FeatureSpace or None
        None where a column's statistics cannot be taken back: its scale is no line, or its levels
        were put in fewer columns than there are. Gaps count as the encoder filled them.

    Raises
    ------
    UnreadableStepError
        A step mixes columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.array([[20.0], [40.0], [60.0]])
    >>> scaler = StandardScaler().fit(X)
    >>> last = FeatureSpace.from_frame(scaler.transform(X))
    >>> space = space_in_front(last, scaler, X[:1])
    >>> space.blocks[0].statistics.minimum, space.blocks[0].statistics.maximum
    (20.0, 60.0)
    """
    # The readers need scikit-learn; a model file is served without it.
    from skcfq.encoding._readers import read_encoder

    reading = read_encoder(encoder, X, last=last)
    blocks = []
    for i, block in enumerate(reading.blocks):
        parts = [(j, e) for j, e in enumerate(reading.outputs) if e.source == i]
        statistics = NO_STATISTICS
        if block.width:
            found = _statistics_of(parts, block, last)
            if found is None:
                return None
            statistics = found
        blocks.append(replace(block, statistics=statistics))
    return FeatureSpace(tuple(blocks), tuple(block.name for block in blocks), reading.is_frame)


def _statistics_of(
    parts: list[tuple[int, Expression]], block: Block, last: FeatureSpace
) -> ColumnStatistics | None:
    """Return what the outputs that come of one raw column tell of it; None where it is too little.

    Parameters
    ----------
    parts : list of (position in the encoder's output, expression)
    block : Block
        The raw column, all the way.
    last : FeatureSpace
    """
    used = [(last.blocks[j].statistics, e) for j, e in parts if last.blocks[j].width]
    codes = [e.values for _, e in used if isinstance(e, Lookup)]
    if codes and isinstance(block, TableBlock):
        return _of_levels([told for told, _ in used], codes, block.n_levels)
    told, value = used[0]
    assert isinstance(value, Value)
    if not value.functions:
        return told
    if len(value.functions) > 1 or not isinstance(value.functions[0], Affine):
        return None
    return _of_line(told, value.functions[0], value.fill)


def _of_levels(
    told: list[ColumnStatistics], codes: list[np.ndarray], n_levels: int
) -> ColumnStatistics | None:
    """Solve for the shares of the levels whose mean codes are known."""
    means = [one.mean for one in told]
    if any(mean is None for mean in means):
        return None
    table = np.vstack([*codes, np.ones(n_levels)])
    shares, _, rank, _ = np.linalg.lstsq(table, np.array([*means, 1.0]), rcond=None)
    if rank < n_levels or (shares < -_TOLERANCE).any():
        return None
    shares = np.where(shares < _TOLERANCE, 0.0, shares)
    return ColumnStatistics(told[0].n, told[0].missing, frequencies=shares / shares.sum())


def _of_line(told: ColumnStatistics, line: Affine, fill: Any) -> ColumnStatistics | None:
    """Take the statistics of a scaled column back to the column."""
    if told.quantiles is None:
        return None
    assert told.mean is not None
    assert told.std is not None
    assert told.mad is not None

    def back(values: Any) -> np.ndarray:
        return snap_integers(line.inverse(np.asarray(values, dtype=np.float64)))

    upward = 1 if line.scale > 0 else -1
    quantiles = back(told.quantiles[::upward])
    low, high = back([told.minimum, told.maximum][::upward])
    return replace(
        told,
        mean=float(line.inverse(np.array(told.mean))),
        std=told.std / abs(line.scale),
        mad=told.mad / abs(line.scale),
        minimum=float(low),
        maximum=float(high),
        quantiles=quantiles,
        is_whole=told.n >= TELLING_ROWS and _are_whole(quantiles, told.n, fill),
    )


def _are_whole(quantiles: np.ndarray, n: float, fill: Any) -> bool:
    """Tell whether the n values have nothing but whole numbers among their quantiles.

    A quantile is a value, or between two rows the mean of their values. What fills gaps is no
    value of anybody, and may lie between others too.
    """
    filled = np.zeros(len(quantiles), dtype=bool)
    if fill is not None and float(fill) % 1 != 0:
        filled = np.isclose(quantiles, float(fill))
        filled[1:-1] |= filled[2:] | filled[:-2]
    ranks = np.linspace(0, 1, len(quantiles)) * n
    between = np.isclose(ranks, np.rint(ranks))
    between[[0, -1]] = False
    own = snap_integers(np.where(between, 2 * quantiles, quantiles)[~filled])
    return len(own) > 0 and bool((own == np.rint(own)).all())
