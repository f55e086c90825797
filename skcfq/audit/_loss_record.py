"""Why advice was lost, as an audit keeps it: steps of each batch, then a record of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.audit._losses import margin_steps, summary_of
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.results import RecourseResult

# Of the columns that a batch carries beside those of the people.
_TAKEN = "taken by "
_COLUMNS = ("margin_lost", "margin_lost_of_failed", "n_largest", "validity_drop")


def with_steps(
    table: pd.DataFrame,
    models: tuple[Predictor, Predictor],
    control: Predictor | None,
    result: RecourseResult,
) -> pd.DataFrame:
    """Add what each step takes from the margin of each piece of advice.

    Parameters
    ----------
    table : DataFrame
        As :func:`people_table` makes it.
    models : (Predictor, Predictor)
    control : Predictor or None
        The same training as the deployed model's, in full precision.
    result : RecourseResult
        Of the reference.
    """
    rows = np.flatnonzero(table["advised"])
    everyone = (*models, *(() if control is None else (control,)))
    if not len(rows) or any(getattr(one.head, "output", "") == "labels" for one in everyone):
        return table
    points = take_rows(result.points, rows)
    lost = margin_steps(*models, control, points, result.target[rows])
    return table.join(lost.add_prefix(_TAKEN).set_axis(rows))


def losses_of(told: pd.DataFrame, control: dict[str, Any] | None) -> tuple[pd.DataFrame, dict]:
    """Part the people from what steps took, and return both.

    Parameters
    ----------
    told : DataFrame
    control : dict or None
        What is known of the retrained model.

    Returns
    -------
    table : DataFrame
        Without the columns of :func:`with_steps`.
    losses : dict
        ``"steps"``: the rows of :func:`loss_reasons`; ``"of_lost"``: the step that took the most,
        for each whose advice fails; ``"retrained"``, where there is one. Or the ``reason``.
    """
    names = [name for name in told.columns if name.startswith(_TAKEN)]
    table, about = told.drop(columns=names), {} if control is None else {"retrained": control}
    advised = table["advised"].to_numpy()
    lost = told.loc[advised, names].rename(columns=lambda name: name.removeprefix(_TAKEN))
    if not advised.any():
        return table, about | {"reason": "there is no advice to lose"}
    if not names:
        return table, about | {"reason": "a model gives labels alone: it has no margin"}
    if not np.isfinite(lost.to_numpy()).all():
        return table, about | {"reason": "some margins have no end"}
    failed = ~table.loc[advised, "holds"].to_numpy()
    steps = summary_of(lost, table.loc[advised, "margin"].to_numpy(dtype=float), failed)
    most = lost.columns[lost.to_numpy()[failed].argmax(axis=1)].tolist()
    steps = steps.astype(object).where(steps.notna(), None)
    return table, about | {"steps": steps.reset_index().to_dict("records"), "of_lost": most}


def steps_of(losses: dict[str, Any]) -> pd.DataFrame:
    """Return the steps of a record as a table, empty where they are not known."""
    table = pd.DataFrame(losses.get("steps", []), columns=["step", *_COLUMNS]).set_index("step")
    return table.astype(dict.fromkeys(_COLUMNS, np.float64) | {"n_largest": np.int64})
