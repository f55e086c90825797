"""An audit from two models and a table to a report."""

from __future__ import annotations

import os
import re
import reprlib
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skcfq.actions import ActionSet
from skcfq.audit._asking import ROLES, People
from skcfq.audit._batches import Batch
from skcfq.audit._checkpoint import Checkpoint
from skcfq.audit._figures import figures_of
from skcfq.audit._groups import by_group, joint_limits, read_groups
from skcfq.audit._latency import latencies
from skcfq.audit._loss_record import losses_of
from skcfq.audit._models import (
    data_record,
    environment_record,
    model_record,
    read_columns,
)
from skcfq.audit._remedies import cheap_remedies
from skcfq.audit._report import AuditReport
from skcfq.audit._run import run_record
from skcfq.exceptions import FeatureSpaceError
from skcfq.models import (
    Predictor,
    as_predictor,
    carried_action_set,
    carried_target,
    second_predictor,
)
from skcfq.solvers import RecourseSolver
from skcfq.utils import (
    Interval,
    as_table,
    check_parameters,
    plain,
)

_SHARE = Interval(Real, 0, 1, closed="neither")
_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
STATUSES = ("status", "status_deployed")
NO_RULES = "No rules were given, and no model carries any: every column may change, also an age."


@check_parameters(
    action_set=[ActionSet, None],
    solver=[RecourseSolver, None],
    confidence=[_SHARE],
    min_group_size=[_AT_LEAST_ONE],
    batch_size=[_AT_LEAST_ONE],
    checkpoint=[str, os.PathLike, None],
    latency=["boolean"],
    verbose=["verbose"],
)
def audit_recourse(
    reference: Any,
    deployed: Any,
    X: Any,
    y: Any = None,
    *,
    action_set: ActionSet | None = None,
    target: Any = None,
    sensitive_features: Any = None,
    background: Any = None,
    solver: RecourseSolver | None = None,
    person: Any = None,
    confidence: float = 0.95,
    min_group_size: int = 30,
    batch_size: int = 10_000,
    checkpoint: str | os.PathLike | None = None,
    retrained: Any = None,
    latency: bool = False,
    verbose: int = 0,
) -> AuditReport:
    """Audit whether a deployed model keeps the recourse that a reference gives (§3.3).

    Parameters
    ----------
    reference, deployed : fitted classifier, Predictor, or path
        Any two of the same raw columns that :func:`skcfq.models.as_predictor` reads.
    X : DataFrame or ndarray of shape (n, p)
        People, best of after the training. What neither model reads is left out.
    y : array-like of shape (n,), optional
        True labels; without them there is no accuracy.
    action_set, target : optional
        What people may change, and want. By default those of a model.
    sensitive_features : str, list of str, Series, DataFrame or dict, optional
        Columns of X, or labels of the rows. Of several, their crossings are groups too.
    background : DataFrame or ndarray, optional
        Population that prices refer to, usually the training rows. By default, X.
    solver : RecourseSolver, optional
        With other parameters than the defaults; ``action_set`` and ``target`` given here win.
    person : str, optional
        Column of X that names people; no model reads it. By default the index.
    confidence : float, default=0.95
        Of each interval, and of all limits together.
    min_group_size : int, default=30
        Groups with fewer rows are named, and not scored.
    batch_size : int, default=10000
        Rows that are solved at once; bounds the memory.
    checkpoint : str or path, optional
        Folder that keeps finished batches: the same call goes on after an interruption.
    retrained : fitted classifier, Predictor, or path, optional
        The deployed model's training in full precision: parts retraining from rounding.
    latency : bool, default=False
        Time both models; such a report is another each time.
    verbose : int, default=0

    Returns
    -------
    report : AuditReport
        Of advice without a margin, as in :meth:`RecourseSolver.compare`.

    Raises
    ------
    ValueError, SpaceMismatchError, FeatureSpaceError, AuditFileError

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> models = [LogisticRegression().fit(X, X[:, 0] > cut) for cut in (99, 109)]
    >>> report = audit_recourse(*models, X, target=True)
    >>> report.figures.loc[["validity_drop", "recourse_gap_ratio"], "value"].round(2).tolist()
    [1.0, 0.2]
    """
    given, models = table_of_people(X), (reference, deployed, retrained)[: 3 - (retrained is None)]
    sensitive = read_groups(sensitive_features, given).set_axis(_people_of(given, person))
    X, ignored = rows_read(given, models, person)
    people = _read(models, X, _labels(y, len(X)), background, solver, action_set, target)
    told = people.ask(batch_size, _opened(checkpoint, people, batch_size), bool(verbose))
    asked = {"confidence": float(confidence), "min_group_size": int(min_group_size)}
    return _report(people, told, sensitive, asked, **_about(models, people, latency, ignored))


def _about(models: tuple[Any, ...], people: People, latency: bool, ignored: list) -> dict[str, Any]:
    """Say which models and rows were read."""
    measured = latencies(people.models, people.X) if latency else [{}, {}]
    read = zip(ROLES, models[:2], people.models, measured, strict=True)
    control = people.control
    return {
        "models": {role: model_record(given, one) | more for role, given, one, more in read},
        "data": data_record(people.X, ignored),
        "control": None if control is None else model_record(models[2], control),
    }


def _opened(checkpoint: Any, people: People, batch_size: int) -> Checkpoint | None:
    if checkpoint is None:
        return None
    return Checkpoint.opened(checkpoint, run_record(people, batch_size))


def _report(
    asked: People,
    told: Batch,
    sensitive: pd.DataFrame,
    parameters: dict[str, Any],
    control: dict[str, Any] | None,
    **parts: Any,
) -> AuditReport:
    """Work out the figures of the people, and put everything together."""
    table, losses = losses_of(told.table, control)
    confidence, least = parameters["confidence"], parameters["min_group_size"]
    people = table.assign(changes=pd.Series(told.changes, dtype=object))
    groups, small = by_group(table, sensitive, confidence, least)
    parameters = parameters | {
        "sensitive_features": list(sensitive.columns),
        "with_labels": "right" in table,
        "target": _plain_target(table["target"].to_numpy()),
    }
    return AuditReport(
        figures=figures_of(table, confidence),
        groups=groups,
        small_groups=small,
        limits=joint_limits(table, sensitive, confidence, least),
        people=people.set_axis(sensitive.index),
        sensitive=sensitive,
        parameters=parameters,
        rules=told.rules,
        protocol=_protocol(told),
        notes=_notes(*asked.models, table, asked.solver.action_set),
        remedies=cheap_remedies(table, asked.models[1], asked.X, asked.y),
        losses=losses,
        environment=told.environment | environment_record(),
        **parts,
    )


def _read(
    models: tuple[Any, ...],
    X: Any,
    y: np.ndarray | None,
    background: Any,
    solver: RecourseSolver | None,
    action_set: Any,
    target: Any,
) -> People:
    """Read both models, the second on the space of the first, and who asks them."""
    population = X if background is None else rows_read(background, models, None)[0]
    first = as_predictor(models[0], background=population, example=X)
    second, *control = (second_predictor(first, one, population, X) for one in models[1:])
    solver = solver_of(solver, action_set, target, models)
    return People((first, second), solver, X, y, population, *control)


def table_of_people(X: Any) -> Any:
    """Return a table that has rows.

    Raises
    ------
    ValueError
    """
    table = as_table(X)
    if table.ndim != 2 or len(table) == 0:
        raise ValueError(
            f"X is {reprlib.repr(X)}, a table without rows or no table: give the people whom the "
            "audit is about, one row each."
        )
    return table


def _people_of(X: Any, person: Any) -> pd.Index:
    if person is None:
        return X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(X))
    known = X.columns.tolist() if isinstance(X, pd.DataFrame) else []
    if not any(type(person) is type(name) and person == name for name in known):
        raise ValueError(
            f"person={reprlib.repr(person)} is no column of X. Name the column that tells people "
            "apart, or leave it out: then the index does."
        )
    return pd.Index(X[person], name=person)


def rows_read(X: Any, models: tuple[Any, ...], person: Any) -> tuple[Any, list]:
    """Return X with the columns that a model reads, and the names of the others."""
    X = as_table(X)
    told = [columns for columns in map(read_columns, models) if columns is not None]
    if not isinstance(X, pd.DataFrame) or not (told or person is not None):
        return X, []
    read = {name for columns in told for name in columns} if told else set(X.columns) - {person}
    order = told[0] if told and set(told[0]) == read else [c for c in X.columns if c in read]
    missing = [name for name in order if name not in X.columns]
    if missing:
        raise FeatureSpaceError(f"X lacks the columns {missing}, which the models read.")
    ignored = [name for name in X.columns if name not in read and name != person]
    return (X if order == list(X.columns) else X[order]), ignored


def _labels(y: Any, n: int) -> np.ndarray | None:
    if y is None:
        return None
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(f"y has the shape {labels.shape}; give one label for each of {n} rows.")
    return labels


def solver_of(
    solver: RecourseSolver | None, action_set: Any, target: Any, models: tuple[Any, ...]
) -> RecourseSolver:
    """Return the solver with the rules and the target that were given, or that a model carries."""
    solver = RecourseSolver(random_state=0) if solver is None else clone(solver)
    rules = next((one for one in (action_set, solver.action_set) if one is not None), None)
    wanted = next((one for one in (target, solver.target) if one is not None), None)
    return solver.set_params(
        action_set=carried_action_set(*models) if rules is None else rules,
        target=carried_target(*models) if wanted is None else wanted,
    )


def _plain_target(target: np.ndarray) -> Any:
    """Return the target of everybody as a Python scalar, None where there are several."""
    first = target[0]
    return plain(first) if (target == first).all() else None


def _protocol(told: Batch) -> dict[str, str]:
    """Return the lines of the last batch, with what they count counted over everybody."""
    lines = {}
    for (role, said), name in zip(told.protocol.items(), STATUSES, strict=True):
        denied = (told.table[name] != "already_favorable").sum()
        proved = told.table[name].isin(["optimal", "infeasible"]).sum()
        line = re.sub(r"denied=\d+ of \d+", f"denied={denied} of {len(told.table)}", said)
        lines[role] = re.sub(r"proved=\d+( \([^)]*\))?", f"proved={proved}", line)
    return lines


def _notes(first: Predictor, second: Predictor, table: pd.DataFrame, rules: Any) -> list[str]:
    """Say what could not be judged, and what stands in the way of reading a figure."""
    notes = [] if rules is not None else [NO_RULES]
    for model in (first, second):
        if getattr(model.head, "output", "") == "labels":
            notes.append(
                f"{model.name} gives labels alone: its margins are not known, and its prices are "
                "those of a search that sees decisions only."
            )
    proved = [table[name].isin(["optimal", "infeasible"]).any() for name in STATUSES]
    if proved[0] and not proved[1]:
        notes.append(
            f"Prices under {first.name} are proved, those under {second.name} are searched: part "
            "of the recourse gap may be the search's."
        )
    if not table["advised"].any():
        notes.append("Nobody was refused and could be advised: there is no advice to keep.")
    return notes
