"""Advice that was given, held against the model that comes next."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions import ActionSet
from skcfq.audit._audit import changes_by_person, rows_read, solver_of
from skcfq.audit._figures import figures_of
from skcfq.audit._groups import by_group, joint_limits, read_groups
from skcfq.audit._issued_figures import ISSUED_FIGURES
from skcfq.audit._issued_report import IssuedReport
from skcfq.audit._kept_promises import advice_record, bias_remedy, margin_remedy, new_advice
from skcfq.audit._models import environment_record, model_record
from skcfq.audit._promises import day_of, last_days, promises_table
from skcfq.models import Predictor, as_predictor
from skcfq.results import IssuedAdvice, RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, check_parameters, strict_json

_SHARE = Interval(Real, 0, 1, closed="neither")
_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_NEW_COLUMNS = ("status_new", "cost_new", "extra_cost")


@check_parameters(
    action_set=[ActionSet, None],
    solver=[RecourseSolver, None],
    confidence=[_SHARE],
    min_group_size=[_AT_LEAST_ONE],
)
def audit_issued(
    advice: Any,
    new_model: Any,
    *,
    valid_until: Any = None,
    on: Any = None,
    sensitive_features: Any = None,
    background: Any = None,
    action_set: ActionSet | None = None,
    solver: RecourseSolver | None = None,
    confidence: float = 0.95,
    min_group_size: int = 30,
) -> IssuedReport:
    """Audit which promises of advice that was given the next model breaks.

    Parameters
    ----------
    advice : RecourseResult, IssuedAdvice, path, str or dict
        What people were told: a result of ``solve``, or what its ``to_json`` wrote.
    new_model : fitted classifier, Predictor, or path
        Quantized, retrained, or both: any that :func:`skcfq.models.as_predictor` reads.
    valid_until : date, str, or list-like of shape (n,), optional
        Last day of everybody's advice, or of each of the n people of the advice.
    on : date or str, optional
        The day on which the promises are looked at: those whose last day is before it have
        expired, and are told apart. Without it none has.
    sensitive_features : str, list of str, Series, DataFrame or dict, optional
        Columns of the advice's rows, or labels of its n people.
    background : DataFrame or ndarray, optional
        Population that prices refer to, and of whom a bias would accept more. By default the
        people of the advice.
    action_set : ActionSet, optional
        What people may change in new advice. By default the rules of the advice.
    solver : RecourseSolver, optional
        That looks for new advice; by default with ``margin="auto"``. An ``action_set`` wins.
    confidence : float, default=0.95
        Of each interval, and of all limits together.
    min_group_size : int, default=30
        Groups with fewer people who were told something are named, and not scored.

    Returns
    -------
    report : IssuedReport

    Raises
    ------
    AdviceFileError
        The file of the advice is none.
    ValueError, FeatureSpaceError
        Nobody was told anything; the model does not decide what people want, or needs columns that
        the advice does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> from skcfq.audit import audit_issued
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> told, stricter = (LogisticRegression().fit(X, X[:, 0] > edge) for edge in (99, 109))
    >>> advice = RecourseSolver(target=True, margin=0.1).solve(told, X, background=X)
    >>> report = audit_issued(advice, stricter, valid_until="2026-12-31", on="2026-06-30")
    >>> report
    IssuedReport(LogisticRegression; 100 outstanding promises: 100 broken, 0 expired)
    >>> report.remedies["new_advice"]["n_advised"]
    100
    """
    advice = _read(advice)
    told = np.flatnonzero(advice.reachable)
    until, day = last_days(valid_until, len(advice)), day_of(on, "on")
    if day is not None and not any(until):
        raise ValueError("on is given, and valid_until is not: no promise is known to end.")
    sensitive = read_groups(sensitive_features, advice.X).iloc[told]
    population = _rows(advice.X if background is None else background, new_model)
    model = as_predictor(new_model, background=population, example=_rows(advice.X, new_model))
    _check(advice, model, told)
    advice = _of_columns(advice, new_model)
    table = promises_table(advice, model, told, [until[i] for i in told], day)
    table, protocol = _with_new_advice(
        table, advice, told, model, new_model, population, (action_set, solver)
    )
    changes = changes_by_person(advice)
    people = table.assign(changes=pd.Series([changes[i] for i in told], dtype=object))
    counted = table.assign(advised=table["outstanding"])
    groups, small = by_group(table, sensitive, confidence, min_group_size, ISSUED_FIGURES)
    return IssuedReport(
        figures=figures_of(table, confidence, ISSUED_FIGURES),
        groups=groups,
        small_groups=small,
        limits=joint_limits(counted, sensitive, confidence, min_group_size),
        people=people.set_axis(advice.people[told]),
        sensitive=sensitive.set_axis(advice.people[told]),
        remedies={
            "bias": bias_remedy(model, table, population, confidence),
            "margin": margin_remedy(table),
            "new_advice": advice_record(table, protocol),
        },
        model=model_record(new_model, model),
        advice=_advice_record(advice),
        parameters={
            "confidence": float(confidence),
            "min_group_size": int(min_group_size),
            "sensitive_features": list(sensitive.columns),
            "on": day,
            "population": "advice" if background is None else "background",
        },
        environment=environment_record(),
        notes=_notes(model, table, any(until)),
    )


def _read(advice: Any) -> IssuedAdvice:
    if isinstance(advice, IssuedAdvice):
        return advice
    return (IssuedAdvice.of if isinstance(advice, RecourseResult) else IssuedAdvice.read)(advice)


def _rows(X: Any, model: Any) -> Any:
    return rows_read(X, (model,), None)[0]


def _of_columns(advice: IssuedAdvice, model: Any) -> IssuedAdvice:
    """Return the advice with the columns that a model reads alone."""
    others = tuple(replace(one, points=_rows(one.points, model)) for one in advice.alternatives)
    tables = {"X": _rows(advice.X, model), "points": _rows(advice.points, model)}
    return replace(advice, **tables, alternatives=others)


def _check(advice: IssuedAdvice, model: Predictor, told: np.ndarray) -> None:
    if not len(told):
        raise ValueError("advice holds no promise: nobody was told what to change.")
    known = model.classes.tolist()
    for target in pd.unique(pd.Series(advice.target[told])).tolist():
        if target not in known:
            raise ValueError(
                f"People were told how to get {target!r}, which new_model does not decide: it says "
                f"{known}."
            )


def _with_new_advice(
    table: pd.DataFrame,
    advice: IssuedAdvice,
    told: np.ndarray,
    model: Predictor,
    new_model: Any,
    population: Any,
    asked: tuple[ActionSet | None, RecourseSolver | None],
) -> tuple[pd.DataFrame, str]:
    """Add the columns of new advice for whose promise breaks, expired ones included."""
    broken = np.flatnonzero(~table["holds"])
    rules, given = asked
    own = None if given is None else given.action_set
    rules = next((one for one in (rules, own, advice.action_set) if one is not None), None)
    given = RecourseSolver(margin="auto", random_state=0) if given is None else given
    wanted = table["target"].to_numpy()[broken]
    target = wanted if len(set(wanted.tolist())) > 1 else wanted[0] if len(wanted) else None
    solver = solver_of(given, rules, target, (new_model,))
    found, protocol = new_advice(advice, model, told[broken], solver, population)
    found = found.set_axis(broken).reindex(range(len(table)))
    texts = [one if isinstance(one, str) else None for one in found["status_new"]]
    columns = {name: found[name].astype(float) for name in _NEW_COLUMNS[1:]}
    return table.assign(status_new=pd.Series(texts, dtype=object), **columns), protocol


def _advice_record(advice: IssuedAdvice) -> dict[str, Any]:
    """Say which advice it was."""
    provenance = advice.provenance or {}
    return strict_json(
        {
            "model": provenance.get("model"),
            "protocol": advice.protocol,
            "method": advice.method,
            "feature_space": advice.space_fingerprint,
            "n_people": len(advice),
            "n_denied": int(advice.denied.sum()),
            "n_told": int(advice.reachable.sum()),
        }
    )


def _notes(model: Predictor, table: pd.DataFrame, dated: bool) -> list[str]:
    notes = []
    if table["margin_new"].isna().all():
        notes.append(f"{model.name} gives labels alone: how far promises are from it is not known.")
    if not dated:
        notes.append("No last day is known: every promise counts as outstanding.")
    if not table["outstanding"].any():
        notes.append("All promises have expired: there is none to break.")
    return notes
