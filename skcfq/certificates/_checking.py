"""Refusing certificates of which a claim does not hold, and saying what was looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.certificates._document import SCHEMA, VERSION, WITH_ADVICE, claims_of, digest_of
from skcfq.certificates._evaluation import answer_of, as_json, scores_margin, table_of
from skcfq.certificates._linking import broken_links
from skcfq.certificates._rules import broken_rules, changes_between, cost_between, same_number
from skcfq.certificates._schema import form_problems

_STATUSES = (*WITH_ADVICE, "infeasible", "not_found")


@dataclass(frozen=True)
class CertificateReport:
    """What came of checking one certificate.

    Returned by :func:`check_certificate`, never made by a user.

    Attributes
    ----------
    failures : tuple of str
        Claims that do not hold, and why.
    evaluated : tuple of str
        Claims that were evaluated again.
    proof_by_search : tuple of str
        Claims that a search proved, by the word of who signed; they were not proved again.
    stated : tuple of str
        Claims that were not checked for another reason, such as a model that was not given.
    """

    failures: tuple[str, ...]
    evaluated: tuple[str, ...]
    proof_by_search: tuple[str, ...]
    stated: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether no claim failed."""
        return not self.failures

    def __repr__(self) -> str:
        word = "accepted" if self.accepted else f"refused: {'; '.join(self.failures)}"
        return (
            f"CertificateReport({word}; {len(self.evaluated)} claims evaluated, "
            f"{len(self.proof_by_search)} proved by search, {len(self.stated)} stated)"
        )


def check_certificate(
    certificate: Any, *, reference: Any, deployed: Any = None, action_set: Any = None
) -> CertificateReport:
    """Evaluate again every claim of a certificate that evaluation can check.

    Models are asked about raw rows; changes, rules, columns that follow from others and the cost
    are counted again from what the certificate says of them, without solver, action set or tensor.
    Nothing may be missing: the form of a certificate, its claims among it, follows from what it
    states.

    Parameters
    ----------
    certificate : dict or str
        As :func:`skcfq.theory.certify` made it, or its JSON text.
    reference : estimator or callable
        With ``predict`` on raw rows, or a function that returns labels of raw rows. Margins are
        checked where it has ``decision_function`` or ``predict_proba``.
    deployed : estimator or callable, optional
        The same of the deployed model; without it, claims on it are not checked.
    action_set : ActionSet or dict, optional
        The rules, or their document, whose fingerprint must be that of the certificate, and whose
        rules across features it must hold.

    Returns
    -------
    report : CertificateReport
        A certificate that cannot be read is refused there, not by an error.

    Raises
    ------
    ValueError
        `certificate` is a text that is no strict JSON.
    TypeError
        A parameter is of no use as one.

    Notes
    -----
    The digest tells a certificate that was damaged, not one that was forged: whoever changes it
    can count the digest again, and the fingerprint of the rules too. Sign the file where that
    matters. Rules across features are evaluated as the certificate holds them, as premises and
    conclusions on raw columns; that these say what their texts say is the signer's word, since the
    language of rules is read by the action set alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver, theory
    >>> from skcfq.certificates import check_certificate
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
    >>> result = RecourseSolver(random_state=0).solve(model, X, background=X)
    >>> certificate = theory.certify(result, model, background=X)[0]
    >>> report = check_certificate(certificate, reference=model)
    >>> report.accepted, report.proof_by_search
    (True, ('lower bound of the cost',))
    >>> check_certificate(certificate | {"cost": 0.1}, reference=model).accepted
    False
    """
    document = _read(certificate)
    models = {"reference": reference, "deployed": deployed}
    for name, model in models.items():
        known = callable(getattr(model, "predict", model)) and not isinstance(model, type)
        if not known and not (name == "deployed" and model is None):
            raise TypeError(f"{name} is {model!r}: give a model with predict, or a function.")
    return _report(document, models, _rules_document(action_set))


def _report(
    document: Mapping, models: Mapping[str, Any], rules: Mapping | None
) -> CertificateReport:
    """Make every check that what was given allows, and sort the claims by what came of it."""
    failures: list[str] = []
    claims: dict[str, list[str]] = {"evaluation": [], "proof_by_search": [], "stated": []}
    try:
        claims = claims_of(document)
    except Exception as error:  # as in _failures
        failures.append(f"the certificate cannot be read: {error!r}")
    for check in (_form, _answers, _people, _proofs):
        failures += _failures(check, document, models)
    if rules is not None:
        failures += _failures(_action_set, document, {"action_set": rules})
    if models["deployed"] is None:
        left = [claim for claim in claims["evaluation"] if claim.endswith("of the deployed")]
        claims["evaluation"] = [claim for claim in claims["evaluation"] if claim not in left]
        claims["stated"] += left
    stated = [*claims["stated"], *_without_scores(document, models, claims)]
    evaluated = [claim for claim in claims["evaluation"] if claim not in stated]
    (evaluated if rules is not None else stated).append("fingerprint of the action set")
    return CertificateReport(
        tuple(failures), tuple(evaluated), tuple(claims["proof_by_search"]), tuple(stated)
    )


def _failures(check: Callable, document: Mapping, given: Mapping) -> Iterator[str]:
    """Return what one check finds, be it that it cannot be made."""
    try:
        yield from check(document, given)
    # A certificate comes from strangers: what it makes a model or this code raise has no class.
    except Exception as error:
        yield f"the certificate cannot be read: {error!r}"


def _action_set(document: Mapping, given: Mapping) -> Iterator[str]:
    rules, stated = given["action_set"], document["rules"]
    if digest_of(rules) != document["fingerprints"]["action_set"]:
        yield "fingerprint of the action set: action_set is another one"
    if [rule["text"] for rule in stated["across_features"]] != rules.get("constraints", []):
        yield "rules across features: they are not those of the action set"
    if stated["max_changes"] != rules.get("max_changes"):
        yield "max_changes: it is not that of the action set"


def _read(certificate: Any) -> Mapping:
    if isinstance(certificate, str):
        try:
            certificate = json.loads(certificate, parse_constant=_no_number)
        except ValueError as error:
            raise ValueError(f"certificate is no strict JSON: {error}. Give its text.") from error
    if not isinstance(certificate, Mapping):
        raise TypeError(
            f"certificate is {certificate!r}: give a dict of theory.certify, or its JSON text."
        )
    return certificate


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _rules_document(action_set: Any) -> Mapping | None:
    if action_set is None or isinstance(action_set, Mapping):
        return action_set
    to_dict: Callable[[], Mapping] | None = getattr(action_set, "to_dict", None)
    if to_dict is None or isinstance(action_set, type):
        raise TypeError(f"action_set is {action_set!r}: give an ActionSet, or its dict.")
    return to_dict()


def _without_scores(document: Mapping, models: Mapping, claims: Mapping) -> list[str]:
    """Return the margins that cannot be evaluated, because the model given has no scores."""
    names = ("decision_function", "predict_proba")
    return [
        claim
        for name, model in models.items()
        for claim in claims["evaluation"]
        if claim == f"margin of the {name}" and not any(hasattr(model, one) for one in names)
    ]


def _form(document: Mapping, models: Mapping) -> Iterator[str]:
    yield from form_problems(document)
    if document["digest"] != digest_of(document):
        yield "digest: the content is not what was certified"
    if (document["schema"], document["version"]) != (SCHEMA, VERSION):
        yield f"schema: {document['schema']!r} {document['version']!r} is not known"
    if document["claims"] != claims_of(document):
        yield "claims: they are not sorted by what it takes to check them"
    if document["fingerprints"]["rules"] != digest_of(document["rules"]):
        yield "fingerprint of the rules: they are not those that were certified"


def _answers(document: Mapping, models: Mapping) -> Iterator[str]:
    """Ask the models that were given."""
    for name, stated in document["models"].items():
        model = models[name]
        if stated is None or model is None:
            continue
        yield from _names(document, name, model)
        for row in ("factual", "advice"):
            if document[row] is None:
                continue
            table = table_of(document[row], document["columns"])
            if answer_of(model, table) != stated[row]:
                yield f"answers of the {name}: it does not give {stated[row]!r} to the {row} row"
        yield from _margin(document, name, model)
        yield from _counterexample(document, name, model)


def _names(document: Mapping, name: str, model: Any) -> Iterator[str]:
    """Compare classes and columns with those of a model that has them."""
    classes = getattr(model, "classes_", None)
    stated = document["models"][name]["classes"]
    if classes is not None and [as_json(one) for one in np.asarray(classes).tolist()] != stated:
        yield f"answers of the {name}: its classes are others"
    columns, known = document["columns"], getattr(model, "feature_names_in_", None)
    if columns is not None and known is not None and list(known) != columns:
        yield f"answers of the {name}: its columns are others"


def _margin(document: Mapping, name: str, model: Any) -> Iterator[str]:
    stated = document["models"][name]
    if stated["margin"] is None or not stated["margin_of"] or document["advice"] is None:
        return
    table = table_of(document["advice"], document["columns"])
    given = stated["classes"], [document["target"]], stated["margin_of"]
    found = scores_margin(model, table, *given)
    # Of a probability next to 0 or 1, only the answer is known.
    if found is None or np.isnan(found[0]):
        return
    if not same_number(found[0], stated["margin"], 1e-6):
        yield f"margin of the {name}: it is {found[0]:g}, not {stated['margin']:g}"


def _counterexample(document: Mapping, name: str, model: Any) -> Iterator[str]:
    stated = document["models"][name]
    if stated["robustness"] != "broken":
        if stated["counterexample"] is not None:
            yield f"counterexample of the {name}: its box is not called broken"
        return
    claim, row, box = f"counterexample of the {name}", stated["counterexample"], stated["box"]
    if answer_of(model, table_of(row, document["columns"])) == document["target"]:
        yield f"{claim}: the model gives it the target"
    points = zip(document["advice"]["values"], row["values"], box["half_widths"], strict=True)
    for position, (center, value, width) in enumerate(points):
        if value == center or width is None:
            # A width of None is that of a column whose encoding is no straight line.
            continue
        if center is None and width:
            # What stands for the gap in the model's eyes is the center.
            continue
        slack = width * 1e-6 + (1e-9 * abs(center) if width else 0.0)
        if width == 0 or value is None or abs(value - center) > width + slack:
            yield f"{claim}: column {position} lies outside the box"


def _people(document: Mapping, models: Mapping) -> Iterator[str]:
    """Count changes, rules and cost again."""
    status, target = document["status"], document["target"]
    reference = document["models"]["reference"]
    if status not in _STATUSES:
        yield f"status: {status!r} is not known"
    if (status == "already_favorable") != (reference["factual"] == target):
        yield f"status: {status!r} is not what the reference says of the factual row"
    if document["advice"] is None:
        if status in ("optimal", "feasible", "already_favorable"):
            yield f"status: {status!r} without advice"
        if document["cost"] is not None or document["changes"]:
            yield "cost: there is no advice"
        return
    if status not in WITH_ADVICE:
        yield f"status: {status!r} with advice"
    if reference["advice"] != target:
        yield "status: the reference does not give the target to the advice"
    asked, margin = document["asked"]["margin"], reference["margin"]
    is_asked = status != "already_favorable" and None not in (asked, margin)
    if is_asked and margin < asked - 1e-9 * max(1.0, abs(asked)):
        yield "margin of the reference: it is below the one that was asked for"
    if changes_between(document) != document["changes"]:
        yield "changes: they are not the difference of the two rows"
    yield from broken_rules(document)
    yield from broken_links(document)
    cost = cost_between(document)
    if cost is not None and not same_number(cost, document["cost"], 1e-9):
        yield f"cost: it is {cost:g}, not {document['cost']:g}"
    if status == "already_favorable" and document["changes"]:
        yield "changes: who has the target needs none"


def _proofs(document: Mapping, models: Mapping) -> Iterator[str]:
    """Refuse what is said of proofs where it contradicts itself."""
    bound, cost = document["lower_bound"], document["cost"]
    if cost is not None and (bound is None or not 0 <= bound <= cost * (1 + 1e-9)):
        yield "lower bound: it is above the cost, or none"
    elif document["status"] == "optimal" and not same_number(bound, cost, 2e-6):
        yield "lower bound: it does not reach the cost, so nothing is proved optimal"
    for name, stated in document["models"].items():
        if stated is None:
            continue
        word, box = stated["robustness"], stated["box"]
        if box is not None and not _is_box(box):
            yield f"box of the {name}: it is not as many spreads wide as its radius says"
        if word not in (None, "robust", "broken", "open"):
            yield f"robustness of the {name}: {word!r} is not known"
        if (word is None) != (box is None) or (word and document["advice"] is None):
            yield f"robustness of the {name}: it needs advice, and a box"
        if word in ("robust", "open") and stated["advice"] != document["target"]:
            yield f"robustness of the {name}: the advice itself breaks it"


def _is_box(box: Mapping) -> bool:
    """Return whether half widths are so many spreads as the radius says."""
    spreads, radius = box["spreads"], box["radius"]
    widths = [None if one is None else radius * one for one in spreads]
    return (
        radius >= 0 and widths == box["half_widths"] and min(filter(None, spreads), default=0) >= 0
    )
