"""An audit as fairlearn's MetricFrame: the same figures, by its groups."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.audit._figures import FIGURES, Figure, value_of
from skcfq.exceptions import OptionalDependencyError
from skcfq.utils import is_list

if TYPE_CHECKING:
    import pandas as pd


def metric_frame(
    people: pd.DataFrame, sensitive: pd.DataFrame, known: Sequence[str], figures: Any
) -> Any:
    """Return a MetricFrame of some figures, whose predictions are the deployed model's.

    Parameters
    ----------
    people, sensitive : DataFrame
        Of a report.
    known : list of str
        Figures of the report.
    figures : list of str, str or None
        All of them by default.

    Raises
    ------
    OptionalDependencyError
        fairlearn is not installed.
    ValueError
        The report has no such figure, or no groups.
    """
    try:
        from fairlearn.metrics import MetricFrame
    except ImportError as error:
        raise OptionalDependencyError(
            "to_metric_frame needs the package fairlearn: pip install 'skcfq[fairness]'."
        ) from error
    asked: Any = known if figures is None else figures
    names = list(asked) if is_list(asked) else [asked]
    if not names or any(not isinstance(name, str) or name not in known for name in names):
        told = reprlib.repr(figures)
        raise ValueError(f"figures={told}: the report has {', '.join(known)}; name some of these.")
    if sensitive.columns.empty:
        raise ValueError("The report has no groups: give sensitive_features to audit_recourse.")
    rows = np.arange(len(people))
    return MetricFrame(
        metrics={name: partial(_metric, FIGURES[name], people) for name in names},
        y_true=people["decision_reference"].to_numpy(),
        y_pred=people["decision_deployed"].to_numpy(),
        sensitive_features=sensitive.reset_index(drop=True),
        sample_params={name: {"rows": rows} for name in names},
    )


def _metric(figure: Figure, people: pd.DataFrame, y_true: Any, y_pred: Any, rows: Any) -> float:
    return value_of(figure, people.iloc[np.asarray(rows, dtype=np.intp)])
