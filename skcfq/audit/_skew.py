"""From two or more models and a table to a report on skew."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions import ActionSet
from skcfq.audit._audit import rows_read, solver_of, table_of_people
from skcfq.audit._groups import groups_of, read_groups
from skcfq.audit._people import people_table
from skcfq.audit._skew_columns import SkewColumns
from skcfq.audit._skew_report import SkewReport
from skcfq.exceptions import SpaceMismatchError, UnsupportedModelError
from skcfq.metrics.skew import (
    EVERYBODY,
    PairedChanges,
    changes_of_figures,
    forgotten_people,
    layer_changes,
)
from skcfq.models import (
    Predictor,
    as_predictor,
    carried_target,
    label_position,
    second_predictor,
)
from skcfq.solvers import RecourseSolver
from skcfq.utils import (
    Interval,
    Progress,
    as_objects,
    check_parameters,
    missing_mask,
    plain,
)

_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_Table = dict[tuple[str, ...], dict[Any, Any]]


@check_parameters(
    action_set=[ActionSet, None],
    solver=[RecourseSolver, None],
    recourse=[bool],
    surface=[bool],
    near=[Interval(Real, 0, None, closed="left")],
    confidence=[Interval(Real, 0, 1, closed="neither")],
    min_group_size=[_AT_LEAST_ONE],
    n_resamples=[Interval(Integral, 100, 100_000, closed="both")],
    random_state=["random_state"],
    verbose=["verbose"],
)
def skew_report(
    reference: Any,
    deployed: Any,
    X: Any,
    y: Any,
    sensitive_features: Any,
    *,
    action_set: ActionSet | None = None,
    target: Any = None,
    background: Any = None,
    solver: RecourseSolver | None = None,
    recourse: bool = True,
    surface: bool = True,
    near: float = 0.5,
    confidence: float = 0.95,
    min_group_size: int = 30,
    n_resamples: int = 1000,
    random_state: Any = 0,
    verbose: int = 0,
) -> SkewReport:
    r"""Report how compression skews a model against groups, figure by figure, before and after.

    The chain of Bellam and Kim (2025): weights and activations change, logits lose variance,
    decisions move to the boundary, loss and errors grow, for some groups more than for others, and
    gradients and curvature of their loss follow. Beside it: what becomes of people's recourse.

    Parameters
    ----------
    reference : fitted classifier, Predictor, or path
    deployed : the same, or list of such
        Several are one method with several seeds: figures are means over them.
    X, y, sensitive_features
        As in :func:`audit_recourse`: n people that no model was trained on, with their labels.
    action_set, target, background, solver : optional
        As in :func:`audit_recourse`. Without a target there is neither acceptance nor recourse.
    recourse, surface : bool, default=True
        Whether to solve for recourse, which takes longest, and to look at gradients and curvature.
    near : float, default=0.5
        Margin in logits below which a person is near the boundary.
    confidence : float, default=0.95
        Of each interval alone.
    min_group_size : int, default=30
        Groups with fewer rows are named, and not scored.
    n_resamples, random_state, verbose : int, default=1000, 0 and 0

    Returns
    -------
    report : SkewReport

    Raises
    ------
    ValueError, SpaceMismatchError, FeatureSpaceError

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.random.RandomState(0).normal(size=(400, 2))
    >>> y = X[:, 0] + X[:, 1] > 0
    >>> models = [LogisticRegression().fit(X * used, y) for used in ([1, 1], [1, 0])]
    >>> few = {"group": np.where(X[:, 1] > 0.5, "few", "many")}
    >>> report = skew_report(*models, X, y, few, recourse=False)
    >>> report.figures.loc[("group", "few", "accuracy"), ["before", "after"]].round(2).tolist()
    [1.0, 0.61]
    """
    X, models = table_of_people(X), [reference, *_models_of(deployed)]
    sensitive = read_groups(sensitive_features, X)
    wanted = carried_target(*models) if target is None else target
    columns, population = _read(models, X, y, background, wanted, float(near))
    if wanted is not None:
        label_position(wanted, columns.reference.classes)
    if recourse and wanted is not None:
        how = solver_of(solver, action_set, wanted, tuple(models))
        columns = replace(columns, recourse=_solved(columns, population, how, bool(verbose)))
    asked = {"target": plain(wanted), "near": float(near), "confidence": float(confidence)}
    asked |= {"min_group_size": int(min_group_size), "n_resamples": int(n_resamples)}
    return _report(columns, population, sensitive, asked, surface, random_state)


def _read(
    models: list[Any], X: Any, y: Any, background: Any, target: Any, near: float
) -> tuple[SkewColumns, Any]:
    """Read the models on one space; return the people, and the population of the prices."""
    X, _ = rows_read(X, tuple(models), None)
    labels = _labels(y, len(X))
    population = X if background is None else rows_read(background, tuple(models), None)[0]
    first = as_predictor(models[0], background=population, example=X)
    others = [second_predictor(first, model, population, X) for model in models[1:]]
    return SkewColumns(first, others, X, labels, target, near), population


def _report(
    columns: SkewColumns,
    population: Any,
    sensitive: pd.DataFrame,
    asked: dict[str, Any],
    surface: bool,
    random_state: Any,
) -> SkewReport:
    """Work out the figures of everybody and of each group that is large enough."""
    groups = {key: np.flatnonzero(rows) for key, rows in groups_of(sensitive).items()}
    least = asked["min_group_size"]
    kept = {key: rows for key, rows in groups.items() if len(rows) >= least}
    resampling = asked["confidence"], asked["n_resamples"], random_state
    figures, gaps = _figures(columns, kept, surface, *resampling)
    first, others = columns.reference, list(columns.deployed)
    return SkewReport(
        figures=figures,
        gaps=gaps,
        layers=_layers(first, others, columns.X, population, kept),
        forgotten=_forgotten(columns, kept) if len(others) > 1 else None,
        small_groups=[
            {"feature": feature, "group": group, "n": len(rows)}
            for (feature, group), rows in groups.items()
            if len(rows) < least
        ],
        notes=_notes(columns, surface),
        parameters={
            "reference": first.name,
            "deployed": [model.name for model in others],
            "n_people": len(columns.y),
        }
        | asked,
    )


def _models_of(deployed: Any) -> list[Any]:
    models = list(deployed) if isinstance(deployed, (list, tuple)) else [deployed]
    if not models:
        raise ValueError("`deployed` is an empty list; give one model or several.")
    return models


def _labels(y: Any, n: int) -> np.ndarray:
    labels = as_objects(y)
    if labels.shape != (n,) or missing_mask(labels).any():
        raise ValueError(f"`y` has the shape {labels.shape}; give one label for each of {n} rows.")
    return labels


def _solved(
    columns: SkewColumns, population: Any, solver: RecourseSolver, shown: bool
) -> list[pd.DataFrame]:
    """Return people as an audit has them, one table for each deployed model."""
    first, X, tables = columns.reference, columns.X, []
    with Progress("skew", "model", len(columns.deployed), shown=shown) as progress:
        for model in columns.deployed:
            results = solver.compare(first, model, X, background=population, keep_partial=False)
            tables.append(people_table(first, model, results, columns.y))
            progress.update(1)
    return tables


def _figures(
    columns: SkewColumns,
    groups: dict[tuple[str, str], np.ndarray],
    surface: bool,
    confidence: float,
    n_resamples: int,
    random_state: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return figures by feature, group and figure, and gaps by feature and figure."""
    everybody = columns.of_group(np.arange(len(columns.y)), surface)
    rows: _Table = {}
    gaps: _Table = {}
    for feature in dict.fromkeys(feature for feature, _ in groups) or [""]:
        own = {group: rows for (name, group), rows in groups.items() if name == feature}
        parts = {EVERYBODY: everybody} | {
            group: columns.of_group(people, surface) for group, people in own.items()
        }
        found = changes_of_figures(parts, confidence, n_resamples, random_state)
        _write(found, feature, rows, gaps)
    return _frame(rows, ["feature", "group", "figure"]), _frame(gaps, ["feature", "figure"])


def _write(found: dict[str, PairedChanges], feature: str, rows: _Table, gaps: _Table) -> None:
    """Write the changes of one feature's groups down; everybody once."""
    tables = {name: changes.by_group.to_dict(orient="index") for name, changes in found.items()}
    for name, table in tables.items():
        rows.setdefault(("", EVERYBODY, name), table[EVERYBODY])
    for group in next(iter(tables.values())):
        if group != EVERYBODY:
            rows |= {(feature, str(group), name): table[group] for name, table in tables.items()}
    if feature:
        gaps |= {(feature, name): changes.gap.to_dict() for name, changes in found.items()}


def _frame(rows: _Table, names: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(rows, names=names) if rows else None
    frame = pd.DataFrame(list(rows.values()), index=index)
    return frame.astype({"n": np.int64}) if "n" in frame else frame


def _layers(
    first: Predictor,
    others: list[Predictor],
    X: Any,
    population: Any,
    groups: dict[tuple[str, str], np.ndarray],
) -> pd.DataFrame | None:
    """Return what layers change, by feature, group and layer: means over the models."""
    parts: dict[tuple[str, str], Any] = {}
    features = dict.fromkeys(feature for feature, _ in groups) or [""]
    try:
        for feature in features:
            labels = np.full(len(X), None, dtype=object)
            for (name, group), rows in groups.items():
                if name == feature:
                    labels[rows] = group
            tables = [
                layer_changes(first, model, X, labels, background=population) for model in others
            ]
            mean = sum(tables[1:], tables[0]) / len(tables)
            for group in mean.index.get_level_values("group").unique():
                key = ("", EVERYBODY) if group == EVERYBODY else (feature, group)
                if key in groups or not key[0]:
                    parts.setdefault(key, mean.xs(group, level="group"))
    except (UnsupportedModelError, SpaceMismatchError):
        return None
    return pd.concat(parts, names=["feature", "group"]).astype({"n": np.int64})


def _forgotten(columns: SkewColumns, groups: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    own, theirs = columns.decisions
    members = {("", EVERYBODY): np.arange(len(own))} | groups
    rows: _Table = {}
    for key, people in members.items():
        shares = forgotten_people(own[people], list(theirs[:, people]))
        rows[key] = shares.to_dict(orient="index")[EVERYBODY]
    return _frame(rows, ["feature", "group"])


def _notes(columns: SkewColumns, surface: bool) -> list[str]:
    notes = []
    models = [columns.reference, *columns.deployed]
    silent = [model.name for model in models if getattr(model.head, "output", "") == "labels"]
    if silent:
        notes.append(f"{', '.join(dict.fromkeys(silent))}: labels alone, so there are no logits.")
    if columns.target is None:
        notes.append("No target was given: nobody is accepted or refused, and none has recourse.")
    elif columns.recourse is None:
        notes.append("Recourse was not solved for.")
    if surface and columns.networks is None:
        notes.append("Gradients and curvature are not known: not all models are networks.")
    elif surface:
        notes.append(
            "Gradients and curvature of quantized networks are those of the straight-through "
            "network at the dequantized weights."
        )
    if len(columns.deployed) == 1:
        notes.append("One deployed model: intervals say nothing of other seeds.")
    return notes
