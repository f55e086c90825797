"""Why people were refused: principal reasons, from the features that were scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._contributions import Reference, contributions_of
from skcfq.exceptions import BackgroundRequiredError
from skcfq.models import Predictor, as_predictor, carried_target, resolve_target
from skcfq.utils import (
    Interval,
    StrOptions,
    as_objects,
    as_table,
    check_parameters,
    plain,
    take_rows,
)

# A contribution below this share of the person's largest is rounding.
_ROUNDING = 1e-9
# What is told of a reason, and the type that holds it; people are positions at first.
_COLUMNS = {
    "person": np.int64,
    "rank": np.int64,
    "feature": object,
    "code": object,
    "value": object,
    "contribution": np.float64,
}


@check_parameters(
    max_reasons=[Interval(Integral, 1, None, closed="left")],
    reference=[StrOptions({"background", "accepted"})],
    n_background=[Interval(Integral, 1, None, closed="left")],
    n_permutations=[Interval(Integral, 1, None, closed="left")],
    random_state=["random_state"],
)
def reason_codes(
    model: Any,
    X: Any,
    mapping: Mapping | None = None,
    *,
    background: Any,
    target: Any = None,
    max_reasons: int = 4,
    reference: str = "background",
    n_background: int = 100,
    n_permutations: int = 10,
    random_state: Any = 0,
) -> pd.DataFrame:
    r"""Give the principal reasons for which people were refused.

    A reason is a raw feature that lowered the person's margin, compared with a stated reference. It
    says why somebody was refused and not what to do, so features that nobody can change are among
    them; what to do is another question, for :class:`~skcfq.RecourseSolver`.

    Parameters
    ----------
    model : estimator or Predictor
        The model that decided: any fitted classifier that :func:`~skcfq.models.as_predictor` reads.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows. Those that have the target are left out.
    mapping : dict of feature to str or int, default=None
        The text or code of each feature that the model reads; None takes its name. One code is
        given once a person, for the feature that lowers the margin most.
    background : DataFrame or ndarray of shape (m, n_raw_columns)
        The population that people are compared with.
    target : label or array-like of shape (n,), default=None
        The label that people want, or one a row; None takes the model's own, else the last.
    max_reasons : int, default=4
    reference : {"background", "accepted"}, default="background"
        Whose average: everybody's in `background`, or that of those who get the target.
    n_background, n_permutations : int, default=100 and 10
        For models that are not linear: rows that are drawn from these; and, of more than 10
        features, orders for each of these rows, with their reverses.
    random_state : int, RandomState or None, default=0
        For both draws.

    Returns
    -------
    reasons : DataFrame
        One row a reason, the strongest first: ``person`` (the index label of ``X``), ``rank`` (from
        1), ``feature``, ``code``, ``value`` (the raw value), ``contribution`` (negative logits).
        Whom no feature sets back, compared with the reference, has one row of rank 0 without a
        feature. ``reasons.attrs`` tells the method and the reference.

    Raises
    ------
    ValueError
        `mapping` lacks a feature that the model reads, or nobody to compare with is there.

    Notes
    -----
    The score is the logit of the target less that of the class that the person was given. Of a
    linear model, a feature contributes :math:`w \cdot (z - \bar z)` over its encoded columns, with
    :math:`\bar z` their mean in the reference. Of others, contributions are Shapley values against
    its rows: exact up to 10 features (Lundberg and Lee, NeurIPS 2017), from antithetic orders above
    (Mitchell et al., JMLR 23, 2022). Nobody's reasons depend on who else is in the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.audit import reason_codes
    >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 2, 1, 0]})
    >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
    >>> codes = {"income": "Income too low", "debt": "Debt too high"}
    >>> reasons = reason_codes(model, X, codes, background=X, target="grant")
    >>> reasons[["person", "rank", "code", "value"]].head(2)
       person  rank            code value
    0       0     1  Income too low  10.0
    1       0     2   Debt too high   3.0
    """
    return _Reasons(mapping, target, max_reasons).table(
        model, X, Reference(background, reference, n_background, n_permutations, random_state)
    )


@dataclass(frozen=True)
class _Reasons:
    """What one call is about: the codes of features, the label that is wanted, how many reasons."""

    mapping: Any
    target: Any
    max_reasons: int

    def table(self, model: Any, X: Any, reference: Reference) -> pd.DataFrame:
        """Return the table of :func:`reason_codes`."""
        X = as_table(X)
        if reference.background is None:
            raise BackgroundRequiredError(
                "background is None: give the rows that people are compared with."
            )
        reference = replace(reference, background=as_table(reference.background))
        predictor = as_predictor(model, background=reference.background, example=X)
        features = _read_features(predictor)
        codes = _codes(self.mapping, features)
        decisions = predictor.predict(X)
        wanted = carried_target(model) if self.target is None else self.target
        position = resolve_target(wanted, predictor.classes, decisions)
        rows = np.flatnonzero(decisions != predictor.classes[position])
        labels = predictor.classes.tolist()
        given = np.array([labels.index(one) for one in decisions[rows].tolist()], dtype=np.int64)
        people = take_rows(X, rows)
        method, found = contributions_of(predictor, people, position[rows], given, reference)
        columns = [values for _, values in predictor.space.columns_of(X)[0]]
        lines: list[tuple] = []
        for row, parts in zip(rows.tolist(), found, strict=True):
            chosen = _ranked(parts, features, codes, self.max_reasons)
            for rank, k in enumerate(chosen, start=1):
                value = as_objects(columns[k][row : row + 1])[0]
                lines.append((row, rank, features[k], codes[features[k]], value, float(parts[k])))
            if not chosen:
                lines.append((row, 0, None, None, None, np.nan))
        table = _table(X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(X)), lines)
        table.attrs = {"method": method, "reference": reference.kind}
        return table


def _read_features(predictor: Predictor) -> dict[int, Any]:
    """Return the names of the features that the model reads, by their place in the space."""
    blocks = predictor.space.blocks
    columns = predictor.space.raw_columns
    return {k: plain(columns[k]) for k, block in enumerate(blocks) if block.width}


def _codes(mapping: Any, features: Mapping[int, Any]) -> dict[Any, Any]:
    """Return the code of each feature.

    Raises
    ------
    ValueError
        One is missing or is neither text nor whole number, or a name is none of a feature.
    """
    names = list(features.values())
    if mapping is None:
        return {name: name for name in names}
    if not isinstance(mapping, Mapping):
        raise ValueError(
            f"mapping is of type {type(mapping).__name__}: give a dict from features to texts or "
            "codes, such as {'income': 'Income too low'}."
        )
    missing = [name for name in names if name not in mapping]
    if missing:
        raise ValueError(
            f"mapping has no code for {missing[0]!r}, which the model reads ({len(missing)} "
            "missing in all). Give each feature one, as each may be a reason."
        )
    for name, code in mapping.items():
        if isinstance(code, bool) or not isinstance(code, (str, int)) or code == "":
            raise ValueError(f"mapping gives {name!r} the code {code!r}: give a text or a number.")
    return {name: mapping[name] for name in names}


def _table(people: pd.Index, lines: list[tuple]) -> pd.DataFrame:
    """Return the table of some reasons."""
    table = {
        name: pd.Series([line[place] for line in lines], dtype=kind)
        for place, (name, kind) in enumerate(_COLUMNS.items())
    }
    rows = table["person"].to_numpy()
    table["person"] = pd.Series(people.take(rows).to_numpy(), dtype=people.dtype)
    return pd.DataFrame(table)


def _ranked(
    parts: np.ndarray, features: Mapping[int, Any], codes: Mapping[Any, Any], max_reasons: int
) -> list[int]:
    """Return the features that lower a margin most, one for each code."""
    least = -_ROUNDING * np.abs(parts).max(initial=0.0)
    chosen: list[int] = []
    given: set[Any] = set()
    for k in np.argsort(parts, kind="stable").tolist():
        if parts[k] >= least or len(chosen) == max_reasons:
            break
        if k in features and codes[features[k]] not in given:
            given.add(codes[features[k]])
            chosen.append(k)
    return chosen
