"""Certificates: what is claimed of one person's advice, in a form that others can check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.certificates import (
    PACKAGES,
    SCHEMA,
    VERSION,
    claims_of,
    digest_of,
    scores_margin,
)
from skcfq.models import Predictor, RowHead, as_predictor, predictor_of_same_space
from skcfq.results import RecourseResult
from skcfq.theory._at_points import RADIUS
from skcfq.theory._certified_rules import PersonalRules
from skcfq.theory._model_pairs import margins_at, wanted_classes
from skcfq.theory._neighborhoods import neighborhood
from skcfq.theory._robustness import robustness
from skcfq.utils import check_parameters, strict_json, take_rows


@check_parameters(radius=[None, *RADIUS])
def certify(
    result: RecourseResult,
    reference: Any,
    deployed: Any = None,
    *,
    radius: float | None = None,
    background: Any = None,
) -> list[dict[str, Any]]:
    """Write down, for each person, what is known of the advice so that others can check it.

    Parameters
    ----------
    result : RecourseResult
        What a solver found for the reference.
    reference : estimator or Predictor
        The model that was solved for.
    deployed : estimator or Predictor, optional
        The model that is deployed in its place, in the same feature space.
    radius : float, optional
        Both models are decided in this box around the advice, as by :func:`robustness`; None
        leaves that out, and takes models that cannot be bounded too.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    certificates : list of n dicts
        JSON values without NaN: who, both raw rows, changes, cost, lower bound, status, the rules
        and weights for this person as data, what each model answers, its margin and what is
        proved in the box, fingerprints, versions, and a SHA-256 digest. ``claims`` sorts them
        into what evaluation checks (:func:`skcfq.certificates.check_certificate`), what a search
        proved, and what is only stated.

    Raises
    ------
    ValueError
        `result` was found for another model, or columns have names that are neither texts nor
        whole numbers.
    UnsupportedModelError
        With `radius`, a model that cannot be bounded.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver, theory
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
    >>> result = RecourseSolver(margin=0.5).solve(model, X, background=X)
    >>> first = theory.certify(result, model, radius=0.05, background=X)[0]
    >>> first["status"], first["asked"]["margin"], first["models"]["reference"]["robustness"]
    ('optimal', 0.5, 'robust')
    """
    if not isinstance(result, RecourseResult):
        raise TypeError(
            f"result is {type(result).__name__}: give what RecourseSolver.solve returns."
        )
    first = as_predictor(reference, background=background, example=result.X)
    told = dict(result.provenance or {})
    _check_model(result, first, told)
    statements: dict[str, Any] = {
        "reference": _statements(result, first, reference, radius),
        "deployed": [None] * len(result),
    }
    if deployed is not None:
        second = predictor_of_same_space(first, deployed, background, result.X)
        statements["deployed"] = _statements(result, second, deployed, radius)
    return _documents(result, told, statements)


def _documents(
    result: RecourseResult, told: dict[str, Any], statements: dict[str, list]
) -> list[dict[str, Any]]:
    """Put together what is known of each person."""
    shared, rules = _shared(result, told), PersonalRules.of(result, told)
    people = result.X.index if isinstance(result.X, pd.DataFrame) else range(len(result))
    factual, advice, advised = _rows_of(result.X), _rows_of(result.points), _advised(result)
    certificates = []
    for i, person in enumerate(people):
        has_advice = bool(advised[i])
        document = shared | {
            "person": person,
            "row": i,
            "target": result.target[i],
            "factual": factual[i],
            "advice": advice[i] if has_advice else None,
            "status": result.status[i],
            "cost": result.cost[i] if has_advice else None,
            "lower_bound": result.lower_bound[i],
            "rules": rules.of_person(i),
            "models": {name: statements[name][i] for name in statements},
        }
        certificates.append(_finished(strict_json(document), rules))
    return certificates


def _advised(result: RecourseResult) -> np.ndarray:
    """Return who was advised, or needs no advice, bool of shape (n,)."""
    return result.valid | ~result.denied


def _check_model(result: RecourseResult, predictor: Predictor, told: dict[str, Any]) -> None:
    """Refuse a model that is not the one that was solved for."""
    solved = told.get("model", {}).get("fingerprint")
    other = solved is not None and solved != _fingerprint(predictor)
    if other or result.space_fingerprint != predictor.space.fingerprint:
        raise ValueError(
            "result was found for another model than reference: give the model that was solved "
            "for, and the background that it was solved with."
        )


def _fingerprint(predictor: Predictor) -> str | None:
    return None if isinstance(predictor.head, RowHead) else predictor.fingerprint


def _column_names(X: Any) -> list | None:
    if not isinstance(X, pd.DataFrame):
        return None
    names = X.columns.tolist()
    odd = [name for name in names if isinstance(name, bool) or not isinstance(name, (str, int))]
    if odd:
        raise ValueError(
            f"result.X has the column {odd[0]!r}: a certificate holds names that are texts or "
            "whole numbers. Rename it."
        )
    return names


def _rows_of(X: Any) -> list[dict[str, Any]]:
    """Return each raw row with what is needed to build its table again."""
    if not isinstance(X, pd.DataFrame):
        X = np.asarray(X)
        return [{"values": row, "dtypes": X.dtype.str} for row in X.tolist()]
    # Levels of a category are those of the table, and not of one row.
    dtypes = ["object" if dtype == "category" else str(dtype) for dtype in X.dtypes]
    columns = [X.iloc[:, j].astype(object).tolist() for j in range(X.shape[1])]
    return [{"values": list(row), "dtypes": dtypes} for row in zip(*columns, strict=True)]


def _shared(result: RecourseResult, told: dict[str, Any]) -> dict[str, Any]:
    """Return what is the same for all people."""
    # A probability is another margin for each class, so none is said to be that of all.
    one_margin = told.get("solver", {}).get("target_proba") is None
    rules = told.get("action_set")
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "columns": _column_names(result.X),
        "method": result.method,
        "norm": result.cost_function.norm,
        "mix": result.cost_function.mix,
        "asked": {
            "margin": told.get("required_margin") if one_margin else None,
            "perturbation_radius": told.get("required_perturbation_radius"),
        },
        "fingerprints": {
            "feature_space": result.space_fingerprint,
            "action_set": None if rules is None else digest_of(strict_json(rules)),
        },
        "versions": {name: told.get("versions", {}).get(name) for name in PACKAGES},
    }


def _statements(
    result: RecourseResult, predictor: Predictor, model: Any, radius: float | None
) -> list[dict[str, Any]]:
    """Say of each person what one model answers, and what is proved of it."""
    classes = strict_json(predictor.classes)
    factual, advice = (predictor.predict(rows).tolist() for rows in (result.X, result.points))
    target = wanted_classes(result.target, len(result), predictor)
    margins = margins_at(predictor.row_scores(result.points), target)
    output = predictor.head.output if isinstance(predictor.head, RowHead) else "logits"
    evaluated = None
    if output != "labels" and len(result):
        wanted = [classes[position] for position in target]
        evaluated = scores_margin(model, result.points, classes, wanted, output)
    told = evaluated is not None and np.allclose(
        evaluated, margins, rtol=1e-7, atol=1e-7, equal_nan=False
    )
    advised = _advised(result)
    proved = np.full(len(result), None, dtype=object)
    counterexamples: dict[int, Any] = {}
    if radius is not None and advised.any():
        rows = np.flatnonzero(advised)
        points, labels = take_rows(result.points, rows), result.target[rows]
        found = robustness(predictor, points, radius=radius, target=labels)
        proved[rows] = found.status
        counterexamples = dict(
            zip(rows[found.broken].tolist(), _rows_of(found.counterexamples), strict=True)
        )
    box = None if radius is None else _box(predictor, radius)
    return [
        {
            "name": predictor.name,
            "fingerprint": _fingerprint(predictor),
            "classes": classes,
            "factual": factual[i],
            "advice": advice[i] if advised[i] else None,
            "margin": margins[i] if advised[i] and output != "labels" else None,
            "margin_of": output if told else None,
            "box": box if advised[i] else None,
            "robustness": proved[i],
            "counterexample": counterexamples.get(i),
        }
        for i in range(len(result))
    ]


def _box(predictor: Predictor, radius: float) -> dict[str, Any]:
    """Return how far each raw column goes in the box, None where the map is no straight line."""
    encoded = neighborhood((predictor,), radius, "linf", "numbers").spreads
    spreads: list[float | None] = []
    for block in predictor.space.blocks:
        moving = bool(encoded[block.columns].any())
        scale = getattr(block, "scale", None)
        if not moving or not scale:
            spreads.append(None if moving else 0.0)
        else:
            spreads.append(float(encoded[block.columns][0] / abs(scale)))
    widths = [None if spread is None else radius * spread for spread in spreads]
    return {"radius": radius, "spreads": spreads, "half_widths": widths}


def _finished(document: dict[str, Any], rules: PersonalRules) -> dict[str, Any]:
    """Add the changes, the sorted claims and the digest."""
    document["changes"] = []
    if document["advice"] is not None:
        changed = rules.result.changed[document["row"]]
        before, after = document["factual"]["values"], document["advice"]["values"]
        document["changes"] = [
            {
                "feature": feature["name"],
                "from": [before[column] for column in feature["columns"]],
                "to": [after[column] for column in feature["columns"]],
            }
            for feature, is_changed in zip(document["rules"]["features"], changed, strict=True)
            if is_changed
        ]
    document["fingerprints"]["rules"] = digest_of(document["rules"])
    document["claims"] = claims_of(document)
    document["digest"] = digest_of(document)
    return document
