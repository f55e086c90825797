"""Whether an audit stays within limits: criteria, each passed, exceeded or not judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from skcfq.audit._groups import CROSSED
from skcfq.audit._issued_report import IssuedReport
from skcfq.audit._report import AuditReport
from skcfq.theory import binomial_limit
from skcfq.utils import Interval, atomic_write, check_parameters

EVERYBODY = "everybody"
_WORDS = {True: "passed", False: "exceeded", None: "not judged"}
_COLUMNS = ["criterion", "feature", "group", "limit", "value", "outcome", "reason"]
_SHARE = Interval(Real, 0, 1, closed="both")


@dataclass(frozen=True)
class Criterion:
    """One comparison of a value with its limit.

    Attributes
    ----------
    name : {"validity_drop", "recourse_gap", "group_gap", "audit"}
    feature, group : str
        Where; the feature of everybody is empty.
    limit, value : float
        The value is the estimate, or its upper limit. NaN where there is none.
    reason : str
        Why it could not be judged.
    """

    name: str
    feature: str
    group: str
    limit: float
    value: float
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the value is within the limit; None where there is no value."""
        return bool(self.value <= self.limit) if np.isfinite(self.value) else None

    @property
    def place(self) -> str:
        """Where it was judged, in words."""
        return f"{self.feature}: {self.group}" if self.feature else self.group


@dataclass(frozen=True)
class AuditVerdict:
    """Whether an audit stays within limits, made by :func:`check_audit`.

    Attributes
    ----------
    criteria : tuple
        One entry for each criterion and place: ``name``, ``feature``, ``group``, ``limit``,
        ``value``, ``passed`` and ``reason``.
    confidence : float or None
        Of the upper limits that were compared; None where estimates were.

    Examples
    --------
    >>> from skcfq.audit import AuditVerdict
    >>> AuditVerdict.not_judged("both models are the same").passed is None
    True
    """

    criteria: tuple[Criterion, ...]
    confidence: float | None = None

    @classmethod
    def not_judged(cls, reason: str) -> AuditVerdict:
        """Return the verdict of an audit that could not be made.

        Parameters
        ----------
        reason : str
        """
        if not isinstance(reason, str) or not reason:
            raise TypeError(f"reason={reason!r}: say in words why nothing could be judged.")
        return cls((Criterion("audit", "", EVERYBODY, np.nan, np.nan, reason),))

    @property
    def passed(self) -> bool | None:
        """True, False where one limit is exceeded, None where a criterion could not be judged.

        A group in which nobody was advised does not count as long as others of its feature do.
        """
        if any(one.passed is False for one in self.criteria):
            return False
        told = dict.fromkeys(map(_key, self.criteria), False)
        for one in self.criteria:
            told[_key(one)] |= one.passed is not None
        return True if told and all(told.values()) else None

    @property
    def outcome(self) -> str:
        """``"passed"``, ``"exceeded"`` or ``"not judged"``."""
        return _WORDS[self.passed]

    def __repr__(self) -> str:
        counts = dict.fromkeys(_WORDS.values(), 0)
        for one in self.criteria:
            counts[_WORDS[one.passed]] += 1
        told = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        return f"AuditVerdict({self.outcome}: {told})"

    def to_frame(self) -> pd.DataFrame:
        """Return one row a criterion and place, in the order in which they were judged."""
        rows = [
            (one.name, one.feature, one.group, one.limit, one.value, _WORDS[one.passed], one.reason)
            for one in self.criteria
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def to_junit(self, path: Any = None) -> str | None:
        """Write JUnit XML, one test case for each criterion and place.

        What exceeds its limit is a failure. A criterion that could not be judged is an error, and
        a single group that could not is skipped.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        """
        cases = [self._case(one) for one in self.criteria]
        counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in _TAGS}
        suite = ElementTree.Element(
            "testsuite",
            name="skcfq audit",
            tests=str(len(cases)),
            failures=str(counts["failure"]),
            errors=str(counts["error"]),
            skipped=str(counts["skipped"]),
        )
        suite.extend(cases)
        ElementTree.indent(suite)
        content = ElementTree.tostring(suite, encoding="unicode", xml_declaration=False)
        content = f'<?xml version="1.0" encoding="utf-8"?>\n{content}\n'
        if path is None:
            return content
        atomic_write(path, content)
        return None

    def _case(self, one: Criterion) -> ElementTree.Element:
        case = ElementTree.Element(
            "testcase", classname=f"skcfq.audit.{one.name}", name=_printable(one.place)
        )
        if one.passed is False:
            message = f"{one.value:.6g} exceeds {one.limit:.6g}"
            ElementTree.SubElement(case, "failure", message=message)
        elif one.passed is None:
            others = any(c.passed is not None for c in self.criteria if _key(c) == _key(one))
            tag = "skipped" if others else "error"
            ElementTree.SubElement(case, tag, message=_printable(f"not judged: {one.reason}"))
        return case


_TAGS = ("failure", "error", "skipped")


def _key(one: Criterion) -> tuple[str, str]:
    return one.name, one.feature


def _printable(text: str) -> str:
    """Return a text without what XML 1.0 cannot hold, such as control characters."""
    allowed = (
        char if char.isprintable() or char in "\t\n" else f"\\x{ord(char):02x}" for char in text
    )
    return "".join(allowed).replace("\ufffe", "?").replace("\uffff", "?")


@check_parameters(
    report=[AuditReport, IssuedReport],
    max_validity_drop=[_SHARE, None],
    max_recourse_gap=[Interval(Real, 0, None, closed="left"), None],
    max_group_gap=[_SHARE, None],
    confidence=[Interval(Real, 0, 1, closed="neither"), None],
)
def check_audit(
    report: AuditReport | IssuedReport,
    *,
    max_validity_drop: float | None = None,
    max_recourse_gap: float | None = None,
    max_group_gap: float | None = None,
    confidence: float | None = None,
) -> AuditVerdict:
    r"""Compare an audit with limits.

    Parameters
    ----------
    report : AuditReport or IssuedReport
        Of advice that was given, the validity drop is the share of outstanding promises that
        break.
    max_validity_drop : float, optional
        Of all people who were advised.
    max_recourse_gap : float, optional
        Mean relative change of the price, either way.
    max_group_gap : float, optional
        By how much the validity drop of a group may exceed the lowest one of its feature.
    confidence : float, optional
        Upper limits are compared instead of estimates. It is the report's.

    Returns
    -------
    verdict : AuditVerdict

    Raises
    ------
    ValueError
        No limit is given, `confidence` is not the report's, or the report has no recourse gap.

    Notes
    -----
    With a confidence, the validity drop is judged by the joint limit of ``report.limits``, the
    recourse gap by the upper end of its two-sided interval, and the gap of group :math:`g` by
    :math:`\max(0, U_g - \min_{h \ne g} L_h)`, where all :math:`U` and :math:`L` (Clopper and
    Pearson) hold together (Bonferroni over all groups that were scored). Each of the three holds
    with the confidence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq.audit import audit_recourse, check_audit
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 99)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 109)
    >>> report = audit_recourse(reference, stricter, X, target=True)
    >>> check_audit(report, max_validity_drop=0.05, max_recourse_gap=10)
    AuditVerdict(exceeded: 1 passed, 1 exceeded)
    """
    limits = (max_validity_drop, max_recourse_gap, max_group_gap)
    if all(limit is None for limit in limits):
        raise ValueError(
            "No limit is given: give max_validity_drop, max_recourse_gap or max_group_gap."
        )
    if max_recourse_gap is not None and isinstance(report, IssuedReport):
        raise ValueError("max_recourse_gap: advice that was given has no recourse gap.")
    known = report.parameters["confidence"]
    if confidence is not None and confidence != known:
        raise ValueError(
            f"confidence={confidence}, but the limits of the report hold with {known}: audit again "
            f"with confidence={confidence}."
        )
    criteria: list[Criterion] = []
    if max_validity_drop is not None:
        criteria.append(_validity_drop(report, max_validity_drop, confidence))
    if max_recourse_gap is not None:
        criteria.append(_recourse_gap(report, max_recourse_gap, confidence))
    if max_group_gap is not None:
        criteria.extend(_group_gaps(report, max_group_gap, confidence))
    return AuditVerdict(tuple(criteria), confidence)


def _validity_drop(report: Any, limit: float, confidence: float | None) -> Criterion:
    told = report.limits["rate" if confidence is None else "limit"].to_numpy(dtype=float)
    advised = report.limits["n_people"].to_numpy() > 0
    value = float(told[0]) if advised[0] else np.nan
    reason = "" if advised[0] else "nobody was advised"
    return Criterion("validity_drop", "", EVERYBODY, float(limit), value, reason)


def _recourse_gap(report: Any, limit: float, confidence: float | None) -> Criterion:
    told = report.figures["value" if confidence is None else "upper"]
    value = float(told["recourse_gap"])
    reason = "" if np.isfinite(value) else "too few people have a price under both models"
    return Criterion("recourse_gap", "", EVERYBODY, float(limit), value, reason)


def _group_gaps(report: Any, limit: float, confidence: float | None) -> Iterator[Criterion]:
    """Yield how far each group is above the lowest one of its feature."""
    groups = report.limits.iloc[1:]
    features = list(report.sensitive.columns)
    features += [CROSSED.join(features)] if len(features) > 1 else []
    if not features:
        yield Criterion("group_gap", "", EVERYBODY, float(limit), np.nan, "there are no groups")
    for feature in features:
        part = groups[groups.index.get_level_values("feature") == feature]
        failed, people = part["n_failures"].to_numpy(), part["n_people"].to_numpy()
        names = part.index.get_level_values("group")
        if len(part) < 2:
            reason = "fewer than two groups are large enough"
            yield Criterion("group_gap", feature, "all", float(limit), np.nan, reason)
            continue
        lower, upper = _ends(failed, people, confidence, len(groups))
        for k, name in enumerate(names):
            others = np.delete(lower, k)[np.delete(people, k) > 0]
            reason = "nobody was advised" if people[k] == 0 else ""
            if not reason and not len(others):
                reason = "nobody was advised in other groups"
            value = np.nan if reason else max(0.0, float(upper[k] - others.min()))
            yield Criterion("group_gap", feature, str(name), float(limit), value, reason)


def _ends(
    failed: np.ndarray, people: np.ndarray, confidence: float | None, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return least and largest validity drop of each group; without a confidence, its estimate."""
    if confidence is None:
        rate = failed / np.maximum(people, 1)
        return rate, rate
    each = 1 - (1 - confidence) / (2 * n_groups)
    upper = binomial_limit(failed, people, confidence=each)
    return 1 - binomial_limit(people - failed, people, confidence=each), upper
