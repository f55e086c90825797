"""What an audit found: figures, groups, people, and what is needed to check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._comparison import AuditComparison, compare_reports
from skcfq.audit._document import read_document, to_document, write_document
from skcfq.audit._groups import disparities, gaps_of
from skcfq.audit._loss_record import steps_of
from skcfq.audit._metric_frame import metric_frame
from skcfq.audit._model_card import model_card
from skcfq.audit._remedies import controls_of
from skcfq.audit._rendering import notebook_view, to_html, to_markdown
from skcfq.audit._skew_report import SkewReport
from skcfq.utils.streams import whole

# Columns of `people` that tell of a price or a margin, and are missing where there is none.
NUMBERS = ("cost", "cost_deployed", "gap", "cosine", "overlap", "margin", "margin_deployed")


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport:
    """Whether a deployed model keeps the recourse that a reference gave.

    Returned by :func:`audit_recourse`; :meth:`read` has it back from a file.

    Attributes
    ----------
    figures : DataFrame
        Indexed by figure: ``value``, ``lower``, ``upper`` (two-sided, each at the confidence),
        ``n`` (people who are counted) and ``kind``. ``validity_drop`` is the share of advice that
        the deployed model does not honor, ``recourse_gap`` the mean relative change of its price.
    groups : DataFrame
        The same by ``feature``, ``group`` and ``figure``, for groups that are large enough.
    small_groups : list of dict
        Groups that are named and not scored: ``feature``, ``group``, ``n``.
    limits : DataFrame
        By ``feature`` and ``group``, everybody first: upper limits of the validity drop among
        people to come, which all hold with the confidence (Clopper and Pearson, Bonferroni).
    people : DataFrame
        One row a person, in the order of the data: what both models say, the advice (``changes``: a
        list of ``(feature, from, to)``), whether it holds, and prices.
    sensitive : DataFrame
        The groups of each person.
    models : dict
        ``"reference"`` and ``"deployed"``: names, fingerprints, classes, bits and sizes, where
        these are known.
    data : dict
        Rows, columns, columns that neither model reads, and a fingerprint.
    parameters : dict
        Of the audit.
    rules : dict
        What may be changed and at which price, as JSON values.
    protocol : dict
        The lines that stand beside every figure, of both models.
    environment : dict
        Versions.
    notes : list of str
        What could not be judged, and why.
    remedies : dict
        ``"bias"``: ``controls``, what the deployed model does as it is and with one number added to
        the target's score, so that it accepts as many as the reference or keeps all advice, on the
        same people and crosswise. ``"margin"``: ``needed``, the margins at which shares of the
        advice would hold. Or the ``reason`` why that is not known; empty in older documents.
    losses : dict
        ``"steps"`` (:attr:`loss_reasons`), ``"of_lost"``: the step that took the most from the
        margin of each in :attr:`lost`, and ``"retrained"``, the control; or the ``reason``.
    tried : DataFrame or None
        What :func:`try_remedies` found, where it was added.
    skew : SkewReport or None
        Where it was added.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcfq import TableEncoder
    >>> from skcfq.audit import audit_recourse
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(400, random_state=0)
    >>> reference = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
    >>> deployed = make_pipeline(TableEncoder(), LogisticRegression(C=0.01))
    >>> report = audit_recourse(
    ...     reference.fit(credit.data, credit.target),
    ...     deployed.fit(credit.data, credit.target),
    ...     credit.data,
    ...     credit.target,
    ...     action_set=credit.action_set,
    ...     target=credit.favorable,
    ...     sensitive_features="sex",
    ... )
    >>> int(report.figures.loc["validity_drop", "n"])
    127
    >>> sorted(report.groups.index.get_level_values("group").unique())
    ['female', 'male']
    """

    figures: pd.DataFrame
    groups: pd.DataFrame
    small_groups: list[dict[str, Any]]
    limits: pd.DataFrame
    people: pd.DataFrame
    sensitive: pd.DataFrame
    models: Mapping[str, Any]
    data: Mapping[str, Any]
    parameters: Mapping[str, Any]
    rules: Mapping[str, Any]
    protocol: Mapping[str, str]
    environment: Mapping[str, str]
    notes: list[str]
    remedies: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Any] = field(default_factory=dict)
    tried: pd.DataFrame | None = None
    skew: SkewReport | None = None

    def __repr__(self) -> str:
        values = self.figures["value"]
        names = (self.models[role]["name"] for role in ("reference", "deployed"))
        return (
            f"AuditReport({' -> '.join(names)}; {len(self.people)} people, "
            f"{int(self.people['advised'].sum())} with advice: "
            f"validity drop {_shown(values['validity_drop'])}, "
            f"recourse gap {_shown(values['recourse_gap'])}; {len(self.limits) - 1} groups)"
        )

    @property
    def lost(self) -> pd.DataFrame:
        """The people whose advice the deployed model does not honor, one row each.

        ``reason``: the step that took the most from the margin, where that is known.
        """
        failed = (self.people["advised"] & ~self.people["holds"]).to_numpy()
        people, reasons = self.people[failed], self.losses.get("of_lost")
        people = people if reasons is None else people.assign(reason=reasons)
        return pd.concat([people, self.sensitive[failed]], axis=1)

    @property
    def loss_reasons(self) -> pd.DataFrame:
        """What each step takes, as :func:`loss_reasons` tells; empty where it is not known."""
        return steps_of(dict(self.losses))

    def with_sections(
        self, *, tried: pd.DataFrame | None = None, skew: SkewReport | None = None
    ) -> AuditReport:
        """Return the report with what was found beside it, in its files and pages.

        Parameters
        ----------
        tried : DataFrame, optional
            Of :func:`try_remedies`.
        skew : SkewReport, optional
            Of :func:`skew_report`.

        Raises
        ------
        ValueError
            It is neither.
        """
        is_tried = isinstance(tried, pd.DataFrame) and tried.index.names == ["remedy", "setting"]
        if not (tried is None or is_tried) or not isinstance(skew, SkewReport | None):
            raise ValueError(
                f"tried is of type {type(tried).__name__} and skew of type {type(skew).__name__}; "
                "give what try_remedies and skew_report return."
            )
        return replace(
            self,
            tried=self.tried if tried is None else tried,
            skew=self.skew if skew is None else skew,
        )

    @property
    def gaps(self) -> pd.DataFrame:
        """How far groups are apart, by feature and figure: ``gap``, ``worst`` and ``best``."""
        return gaps_of(self.groups)

    @property
    def bias_controls(self) -> pd.DataFrame:
        """The biased controls, by ``name`` and ``chosen_on``; empty where there are none."""
        return controls_of(self.remedies)

    def disparities(self, reference_groups: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Compare every group with one of its feature.

        Parameters
        ----------
        reference_groups : dict of feature to group, optional
            The largest group of each feature by default.

        Returns
        -------
        table : DataFrame
            ``reference``, ``difference`` and ``ratio``, indexed as :attr:`groups`.

        Raises
        ------
        ValueError
            A reference is no group that was scored.
        """
        return disparities(self.groups, reference_groups)

    def compare(self, other: AuditReport) -> AuditComparison:
        """Tell what got worse from this audit to a later one, and for whom.

        Parameters
        ----------
        other : AuditReport
            Of the next release, on the same people or some of them.

        Returns
        -------
        comparison : AuditComparison

        Raises
        ------
        ValueError
            `other` is no report, has none of these people, or labels do not tell people apart.
        """
        if not isinstance(other, AuditReport):
            raise ValueError(f"other={type(other).__name__} is no AuditReport.")
        return compare_reports(self, other)

    def to_metric_frame(self, figures: list[str] | str | None = None) -> Any:
        """Return the figures by group as fairlearn's ``MetricFrame``.

        Its predictions are the decisions of the deployed model, its true labels those of the
        reference. Groups of any size are scored, without intervals.

        Parameters
        ----------
        figures : list of str or str, optional
            Some of those in :attr:`figures`.

        Returns
        -------
        frame : fairlearn.metrics.MetricFrame

        Raises
        ------
        OptionalDependencyError
            fairlearn is not installed: ``pip install 'skcfq[fairness]'``.
        ValueError
            There is no such figure, or the report has no groups.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq.audit import audit_recourse
        >>> X = np.arange(200.0).reshape(-1, 1)
        >>> models = [LogisticRegression().fit(X, X[:, 0] > cut) for cut in (99, 109)]
        >>> side = {"side": np.where(X[:, 0] % 2, "odd", "even")}
        >>> report = audit_recourse(*models, X, target=True, sensitive_features=side)
        >>> report.to_metric_frame("validity_drop").by_group["validity_drop"].to_dict()
        {'even': 1.0, 'odd': 1.0}
        """
        return metric_frame(self.people, self.sensitive, list(self.figures.index), figures)

    def to_dict(self) -> dict[str, Any]:
        """Return the document of :meth:`to_json`."""
        return whole(to_document(self))

    def to_json(self, path: Any = None) -> str | None:
        """Write everything as strict JSON, with a schema, a version and a digest.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        """
        return write_document(to_document(self), path)

    def to_html(self, path: Any = None, *, max_people: int = 500) -> str | None:
        """Write the report as one HTML page, which opens offline, on a phone, and in print.

        Parameters
        ----------
        path : str or path, optional
            None returns the text.
        max_people : int, default=500
            How many of those who lost their advice are listed, at most; the page says how many
            there are beside them, and :meth:`to_json` has all.

        Raises
        ------
        OptionalDependencyError
            jinja2 or matplotlib is not installed: ``pip install 'skcfq[report]'``.
        """
        return to_html(self, path, max_people=max_people)

    def to_markdown(self, path: Any = None, *, max_people: int = 500) -> str | None:
        """Write what :meth:`to_html` says as Markdown; pictures in words.

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
        return to_markdown(self, path, max_people=max_people)

    def to_model_card(self, model: Any) -> Any:
        """Return a scikit-learn model card with the verdict, figures, limits and groups.

        Nobody's rows or advice are in it: cards are published.

        Parameters
        ----------
        model : estimator or skops.card.Card
            What the card is of, the deployed model or the reference; or a card that is there
            already, to which a section is added.

        Returns
        -------
        card : skops.card.Card
            ``card.save("README.md")`` writes it.

        Raises
        ------
        OptionalDependencyError
            skops is not installed: ``pip install skops``.
        ValueError
            `model` is neither.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq.audit import audit_recourse
        >>> X = np.arange(200.0).reshape(-1, 1)
        >>> models = [LogisticRegression().fit(X, X[:, 0] > cut) for cut in (99, 109)]
        >>> card = audit_recourse(*models, X, target=True).to_model_card(models[1])
        >>> card.select("Recourse audit/People to come").title
        'People to come'
        """
        return model_card(self, model)

    def _repr_html_(self) -> str | None:
        return notebook_view(self)

    @classmethod
    def read(cls, source: Any) -> AuditReport:
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
        return cls(**read_document(source))


def _shown(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "unknown"
