"""What became of advice that was given: figures, groups, people, and what would keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from skcfq.audit._document import write_document
from skcfq.audit._issued_document import read_issued, to_issued_document
from skcfq.audit._issued_sections import issued_sections, issued_title, issued_verdict
from skcfq.audit._rendering import LEAST, short_view, write_html, write_markdown
from skcfq.utils import check_parameters
from skcfq.utils.streams import whole


@dataclass(frozen=True, eq=False, repr=False)
class IssuedReport:
    """Which promises of advice that was given the next model breaks.

    Returned by :func:`audit_issued`; :meth:`read` has it back from a file.

    Attributes
    ----------
    figures : DataFrame
        Indexed by figure: ``value``, ``lower``, ``upper`` (two-sided, each at the confidence),
        ``n`` and ``kind``. ``broken`` is the share of outstanding promises that the model breaks.
    groups : DataFrame
        The same by ``feature``, ``group`` and ``figure``.
    small_groups : list of dict
        Groups that are named and not scored: ``feature``, ``group``, ``n``.
    limits : DataFrame
        By ``feature`` and ``group``, everybody first: upper limits of the broken share among people
        to come, which all hold with the confidence (Clopper and Pearson, Bonferroni).
    people : DataFrame
        One row a person who was told something: ``target``, ``decision`` (of the new model at the
        point that was advised), ``valid_until``, ``outstanding``, ``holds``, ``accepted`` (without
        any change), ``margin`` (when it was told), ``margin_new``, ``cost``, ``options``,
        ``options_hold``, and of whose promise breaks ``status_new``, ``cost_new``, ``extra_cost``;
        ``changes``: a list of ``(feature, from, to)``.
    sensitive : DataFrame
        The groups of each of them.
    remedies : dict
        What would keep the outstanding promises: ``"bias"`` on the target's score, and whom it
        accepts besides; the ``"margin"`` that they would have needed; ``"new_advice"``, for how
        many and at which price. Where one is not known, its ``"reason"``.
    model, advice : dict
        Which model, and which advice.
    parameters, environment : dict
    notes : list of str
        What could not be judged, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> from skcfq.audit import IssuedReport, audit_issued
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> told, stricter = (LogisticRegression().fit(X, X[:, 0] > edge) for edge in (99, 109))
    >>> advice = RecourseSolver(target=True, margin=0.1).solve(told, X, background=X)
    >>> report = IssuedReport.read(audit_issued(advice, stricter).to_json())
    >>> len(report.broken), report.remedies["bias"]["n_accepted_more"]
    (100, 10)
    """

    figures: pd.DataFrame
    groups: pd.DataFrame
    small_groups: list[dict[str, Any]]
    limits: pd.DataFrame
    people: pd.DataFrame
    sensitive: pd.DataFrame
    remedies: Mapping[str, Any]
    model: Mapping[str, Any]
    advice: Mapping[str, Any]
    parameters: Mapping[str, Any]
    environment: Mapping[str, str]
    notes: list[str]

    def __repr__(self) -> str:
        outstanding = self.people["outstanding"]
        return (
            f"IssuedReport({self.model['name']}; {int(outstanding.sum())} outstanding promises: "
            f"{len(self.broken)} broken, {int((~outstanding).sum())} expired)"
        )

    @property
    def broken(self) -> pd.DataFrame:
        """The people whose outstanding promise the new model breaks, one row each."""
        failed = (self.people["outstanding"] & ~self.people["holds"]).to_numpy()
        return pd.concat([self.people[failed], self.sensitive[failed]], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the document of :meth:`to_json`."""
        return whole(to_issued_document(self))

    def to_json(self, path: Any = None) -> str | None:
        """Write everything as strict JSON, with a schema, a version and a digest.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        """
        return write_document(to_issued_document(self), path)

    @check_parameters(max_people=[LEAST])
    def to_html(self, path: Any = None, *, max_people: int = 500) -> str | None:
        """Write the report as one HTML page, as :meth:`AuditReport.to_html`.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        max_people : int, default=500
            How many of those whose promise breaks are listed, at most.

        Raises
        ------
        OptionalDependencyError
            jinja2 is not installed: ``pip install 'skcfq[report]'``.
        """
        return write_html(issued_title(self), issued_sections(self, max_people), path)

    @check_parameters(max_people=[LEAST])
    def to_markdown(self, path: Any = None, *, max_people: int = 500) -> str | None:
        """Write what :meth:`to_html` says as Markdown.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        max_people : int, default=500
            As in :meth:`to_html`.

        Raises
        ------
        OptionalDependencyError
            jinja2 is not installed: ``pip install 'skcfq[report]'``.
        """
        return write_markdown(issued_title(self), issued_sections(self, max_people), path)

    def _repr_html_(self) -> str | None:
        labels = {
            "broken": "Outstanding promises that break",
            "new_advice": "Of these, replaceable",
        }
        return short_view(issued_title(self), issued_verdict(self), self.figures, labels)

    @classmethod
    def read(cls, source: Any) -> IssuedReport:
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        source : path, str or dict
            A file, its text, or its content.

        Raises
        ------
        AuditFileError
            It is no such document, a part is missing, or it was changed.
        """
        return cls(**read_issued(source))
