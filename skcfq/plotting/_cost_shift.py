"""What advice costs under the two models, person by person."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.plotting._axes import clean, legend_above, note
from skcfq.plotting._display import Display, check_protocol, frozen
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._people import check_model, failed, solve_pairs
from skcfq.plotting._style import BLACK, BLUE, GRAY, RED
from skcfq.plotting._tables import numbers_of
from skcfq.plotting._texts import number
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import as_objects, check_parameters

# Of so many dots, an image is smaller.
_MOST_DOTS = 500


class CostShiftDisplay(Display):
    """Cost of the cheapest advice under the reference and under the deployed model.

    One dot a person with advice of the reference; people whom that advice fails under the deployed
    model are marked. On the diagonal advice costs the same, above it the deployed model asks for
    more, and at the bottom are people whom it favors already. People for whom the deployed model
    has no action have no dot and are counted below the axis. Made by :meth:`from_estimators`,
    :meth:`from_results` or :meth:`from_predictions`.

    Parameters
    ----------
    cost_reference, cost_deployed : array-like of shape (n,)
        One a person; NaN where the deployed model has no action.
    failed : array-like of shape (n,), bool
        Whom the reference's advice fails.
    protocol : str

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    cost_reference, cost_deployed, failed : ndarray
        Copies that cannot be written into.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> from skcfq.plotting import CostShiftDisplay
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> solver = RecourseSolver(target=True)
    >>> display = CostShiftDisplay.from_estimators(
    ...     reference, stricter, X, solver=solver, background=X
    ... )
    >>> display.failed.tolist()
    [True, True, True, True]
    >>> bool((display.cost_deployed > display.cost_reference).all())
    True
    >>> display.plot().ax_.get_xlabel()
    'Cost under the reference (units of the cost)'
    """

    def __init__(
        self, *, cost_reference: Any, cost_deployed: Any, failed: Any, protocol: str
    ) -> None:
        first = _costs(cost_reference, "cost_reference")
        second = _costs(cost_deployed, "cost_deployed")
        refused = _costs(failed, "failed")
        if not len(first) == len(second) == len(refused) or not np.isin(refused, (0, 1)).all():
            raise ValueError(
                "`failed` must hold one truth value, and `cost_reference` and `cost_deployed` one "
                f"cost for each person; they have {len(refused)}, {len(first)} and {len(second)}."
            )
        if np.isnan(first).any():
            raise ValueError("`cost_reference` has a gap: only people with advice are drawn.")
        self.cost_reference, self.cost_deployed = frozen(first), frozen(second)
        self.failed = frozen(refused.astype(bool))
        self.protocol = check_protocol(protocol)

    @classmethod
    @check_parameters(solver=[RecourseSolver, None])
    def from_estimators(
        cls,
        reference: Any,
        deployed: Any,
        X: Any,
        *,
        solver: RecourseSolver | None = None,
        background: Any = None,
    ) -> CostShiftDisplay:
        """Compare a deployed model with its reference.

        Parameters
        ----------
        reference : fitted estimator
            The full-precision model that advises.
        deployed : fitted estimator
            Who decides.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Raw rows of people who ask.
        solver : RecourseSolver, default=None
            Its clone compares the models; None is one with ``random_state=0``.
        background : DataFrame or ndarray, default=None
            As in :meth:`skcfq.RecourseSolver.compare`.

        Returns
        -------
        display : CostShiftDisplay
        """
        _, pairs = solve_pairs(reference, {"deployed": deployed}, X, solver, background)
        return cls.from_results(*pairs["deployed"], deployed)

    @classmethod
    @check_parameters(result_reference=[RecourseResult], result_deployed=[RecourseResult])
    def from_results(
        cls, result_reference: RecourseResult, result_deployed: RecourseResult, deployed: Any
    ) -> CostShiftDisplay:
        """Take what :meth:`skcfq.RecourseSolver.compare` returned.

        Parameters
        ----------
        result_reference, result_deployed : RecourseResult
            Of the same people.
        deployed : fitted estimator
            Who decides; only its ``predict`` is used, on the reference's points.

        Returns
        -------
        display : CostShiftDisplay
        """
        check_model(deployed, "deployed")
        if len(result_reference) != len(result_deployed):
            raise ValueError("`result_reference` and `result_deployed` are of different people.")
        rows = result_reference.reachable
        if not rows.any():
            raise ValueError("`result_reference` has no row with advice: nothing to draw.")
        return cls(
            cost_reference=result_reference.cost[rows],
            cost_deployed=np.where(result_deployed.valid, result_deployed.cost, np.nan)[rows],
            failed=failed(deployed, result_reference)[rows],
            protocol=result_reference.protocol,
        )

    @classmethod
    def from_predictions(
        cls, cost_reference: Any, cost_deployed: Any, failed: Any, *, protocol: str
    ) -> CostShiftDisplay:
        """Take costs that are known already.

        Parameters
        ----------
        cost_reference, cost_deployed : array-like of shape (n,)
            One a person; NaN where the deployed model has no action.
        failed : array-like of shape (n,), bool
            Whom the reference's advice fails.
        protocol : str
            How the advice was found, in one line.

        Returns
        -------
        display : CostShiftDisplay
        """
        return cls(
            cost_reference=cost_reference,
            cost_deployed=cost_deployed,
            failed=failed,
            protocol=protocol,
        )

    @property
    def title(self) -> str:
        """What the figure is about."""
        return "Cost of advice under the reference and under the deployed model"

    @property
    def description(self) -> str:
        """How many people pay more, less and the same, and how many lost their advice."""
        first, second = self.cost_reference, self.cost_deployed
        n = len(first)
        dearer = int(np.sum(second > first * (1 + 1e-6)))
        cheaper = int(np.sum(second < first * (1 - 1e-6)))
        return (
            f"Of {n} people with advice, it fails {int(self.failed.sum())} under the deployed "
            f"model. Its own cheapest advice is dearer for {dearer} and cheaper for {cheaper}; for "
            f"{self._n_without} it has none. Median cost {number(np.median(first))} under the "
            f"reference, {number(_median(second))} under the deployed model."
        )

    @property
    def _n_without(self) -> int:
        return int(np.isnan(self.cost_deployed).sum())

    def _labels(self) -> tuple[str, str]:
        return "Cost under the reference (units of the cost)", "Cost under the deployed model"

    def _size(self) -> tuple[float, float]:
        return 5.0, 5.2

    def _draw(self, ax: Any) -> None:
        most = 1.04 * max(np.nanmax(np.append(self.cost_deployed, 0)), self.cost_reference.max())
        most = most if most > 0 else 1.0
        line = ax.plot([0, most], [0, most], color=GRAY, linewidth=1, linestyle=(0, (5, 2)))
        handles, labels = line, ["same cost"]
        lines = matplotlib_module("lines")
        # Of many dots, small ones without edges make a small image.
        many = len(self.failed) > _MOST_DOTS
        scale = max(0.25, min(1.0, _MOST_DOTS / len(self.failed)))
        looks = (("o", BLUE, "advice holds"), ("X", RED, "advice fails"))
        for refused, (marker, color, label) in zip((False, True), looks, strict=True):
            own = self.failed == refused
            ax.scatter(
                self.cost_reference[own],
                self.cost_deployed[own],
                scale * (36 if refused else 22),
                color=color,
                marker=marker,
                alpha=None if many else 0.7,
                edgecolors="none" if many else BLACK if refused else "white",
                linewidths=0.4,
                rasterized=many,
                zorder=3 if refused else 2,
                clip_on=False,
            )
            handles.append(lines.Line2D([], [], color=color, marker=marker, linestyle="none"))
            labels.append(f"{label} ({own.sum()})")
        ax.set_xlim(0, most)
        ax.set_ylim(0, most)
        clean(ax, "both")
        legend_above(ax, handles, labels)
        if self._n_without:
            note(
                ax, f"Without a dot: {self._n_without} people, no action under the deployed model."
            )


def _costs(column: Any, name: str) -> np.ndarray:
    try:
        values = numbers_of(as_objects(column), name)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim != 1 or not len(values) or (values < 0).any():
        raise ValueError(f"`{name}` must hold one number of at least 0 for each person.")
    return values


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan
