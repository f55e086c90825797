"""Advice that was given, held against the model that comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions import ActionSet
from skcfq.audit._audit import rows_read, solver_of
from skcfq.audit._batches import changes_by_person
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
        That looks for new advice; by default at the prices of the advice, with ``margin="auto"``.
        An ``action_set`` wins.
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
    asked = _Promises.read(_read(advice), new_model, background)
    n = len(asked.advice)
    until, day = last_days(valid_until, n), day_of(on, "on")
    if day is not None and not any(until):
        raise ValueError("on is given, and valid_until is not: no promise is known to end.")
    sensitive = read_groups(sensitive_features, asked.advice.X).iloc[asked.told]
    table, protocol = asked.table(until, day, action_set, solver)
    parameters = {"confidence": float(confidence), "min_group_size": int(min_group_size), "on": day}
    parameters["population"] = "advice" if background is None else "background"
    remedies = asked.remedies(table, confidence) | {"new_advice": advice_record(table, protocol)}
    parts = asked.parts(table) | {"notes": _notes(asked.model, table, any(until))}
    return _report(table, sensitive, parameters, remedies=remedies, **parts)


@dataclass(frozen=True, eq=False)
class _Promises:
    """Advice that was given, and the model that it is held against.

    Attributes
    ----------
    advice : IssuedAdvice
    told : ndarray of int
        Positions of the people who were told something.
    given : object
        The model, as the caller gave it.
    model : Predictor
    population : DataFrame or ndarray
    """

    advice: IssuedAdvice
    told: np.ndarray
    given: Any
    model: Predictor
    population: Any

    @classmethod
    def read(cls, advice: IssuedAdvice, given: Any, background: Any) -> _Promises:
        """Read the model; refuse advice that holds no promise of its."""
        told = np.flatnonzero(advice.reachable)
        if not len(told):
            raise ValueError("advice holds no promise: nobody was told what to change.")
        population = _rows(advice.X if background is None else background, given)
        model = as_predictor(given, background=population, example=_rows(advice.X, given))
        known = model.classes.tolist()
        for target in pd.unique(pd.Series(advice.target[told])).tolist():
            if target not in known:
                raise ValueError(
                    f"People were told how to get {target!r}, which new_model does not decide: it "
                    f"says {known}."
                )
        return cls(advice, told, given, model, population)

    def table(
        self,
        until: list[str | None],
        day: str | None,
        action_set: ActionSet | None,
        solver: RecourseSolver | None,
    ) -> tuple[pd.DataFrame, str]:
        """Return the table of promises with new advice for whose breaks, and how it was found."""
        advice = _of_columns(self.advice, self.given)
        days = [until[i] for i in self.told]
        table = promises_table(advice, self.model, self.told, days, day)
        # Those that have expired are looked at too.
        broken = np.flatnonzero(~table["holds"])
        rules = (action_set, None if solver is None else solver.action_set, advice.action_set)
        wanted = table["target"].to_numpy()[broken]
        several = len(set(wanted.tolist())) > 1
        solver = solver_of(
            _solver_like(advice) if solver is None else solver,
            next((one for one in rules if one is not None), None),
            wanted if several or not len(wanted) else wanted[0],
            (self.given,),
        )
        found, protocol = new_advice(advice, self.model, self.told[broken], solver, self.population)
        found = found.set_axis(broken).reindex(range(len(table)))
        texts = [one if isinstance(one, str) else None for one in found["status_new"]]
        numbers = found[["cost_new", "extra_cost"]].astype(float)
        status = pd.Series(texts, dtype=object)
        return pd.concat([table.assign(status_new=status), numbers], axis=1), protocol

    def remedies(self, table: pd.DataFrame, confidence: float) -> dict[str, Any]:
        """Return what would keep the promises as they are."""
        bias = bias_remedy(self.model, table, self.population, confidence)
        return {"bias": bias, "margin": margin_remedy(table)}

    def parts(self, table: pd.DataFrame) -> dict[str, Any]:
        """Return what the report says of the people, the model and the advice."""
        changes = changes_by_person(self.advice)
        own = pd.Series([changes[i] for i in self.told], dtype=object)
        return {
            "people": table.assign(changes=own),
            "labels": self.advice.people[self.told],
            "model": model_record(self.given, self.model),
            "advice": _advice_record(self.advice),
        }


def _report(
    table: pd.DataFrame,
    sensitive: pd.DataFrame,
    parameters: dict[str, Any],
    *,
    people: pd.DataFrame,
    labels: pd.Index,
    **parts: Any,
) -> IssuedReport:
    """Work out the figures of the promises, and put everything together."""
    confidence, least = parameters["confidence"], parameters["min_group_size"]
    groups, small = by_group(table, sensitive, confidence, least, ISSUED_FIGURES)
    counted = table.assign(advised=table["outstanding"])
    return IssuedReport(
        figures=figures_of(table, confidence, ISSUED_FIGURES),
        groups=groups,
        small_groups=small,
        limits=joint_limits(counted, sensitive, confidence, least),
        people=people.set_axis(labels),
        sensitive=sensitive.set_axis(labels),
        parameters=parameters | {"sensitive_features": list(sensitive.columns)},
        environment=environment_record(),
        **parts,
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


def _solver_like(advice: IssuedAdvice) -> RecourseSolver:
    """Return a solver at the prices of the advice; a margin of another model's logits is none."""
    then = (advice.provenance or {}).get("solver") or {}
    weights = then.get("cost_weights")
    if isinstance(weights, Mapping) and not isinstance(advice.X, pd.DataFrame):
        weights = None  # Positions of columns, which a document holds as texts.
    return RecourseSolver(
        cost=then.get("cost"), cost_weights=weights, margin="auto", random_state=0
    )


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
