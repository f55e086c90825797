"""How far behind the boundary advice ends, under each model (Figure 7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.plotting._axes import clean, legend_above
from skcfq.plotting._display import Display, check_protocol, frozen
from skcfq.plotting._people import models_of
from skcfq.plotting._style import BLACK, style
from skcfq.plotting._tables import named, numbers_of
from skcfq.plotting._texts import drawn, number
from skcfq.results import RecourseResult
from skcfq.theory import target_margin
from skcfq.utils import as_objects, check_parameters, take_rows

# More cannot be told apart on paper.
_MOST_STEPS = 250


class MarginDisplay(Display):
    """Empirical distributions of the target margin at recourse points, one line a model.

    Where a line crosses 0 is the share of people whose advice the model refuses. Made by
    :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    margins : dict of str to array-like of shape (n,)
        Target margins in logit units, by model.
    protocol : str

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    margins : dict of str to ndarray
        Sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> from skcfq.plotting import MarginDisplay
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> advice = RecourseSolver(margin=0.5, target=True).solve(reference, X, background=X)
    >>> display = MarginDisplay.from_estimators(reference, stricter, advice, background=X)
    >>> display.shares_refused
    {'reference': 0.0, 'LogisticRegression': 1.0}
    >>> display.plot().ax_.get_xlabel()
    'Target margin after the advice (logit units)'
    """

    def __init__(self, *, margins: dict, protocol: str) -> None:
        read = {name: _sorted(v, name) for name, v in named(margins, "margins", "margins").items()}
        self._margins = read
        self.protocol = check_protocol(protocol)

    @property
    def margins(self) -> dict[str, np.ndarray]:
        """The margins of each model, sorted; arrays cannot be written into."""
        return dict(self._margins)

    @property
    def shares_refused(self) -> dict[str, float]:
        """The share of people with a margin of at most 0, by model."""
        return {name: float(np.mean(values <= 0)) for name, values in self._margins.items()}

    @classmethod
    @check_parameters(result=[RecourseResult])
    def from_estimators(
        cls, reference: Any, deployed: Any, result: RecourseResult, *, background: Any = None
    ) -> MarginDisplay:
        """Compute the margins of a reference and of deployed models after the reference's advice.

        Parameters
        ----------
        reference : fitted estimator
            The model that ``result`` was solved on.
        deployed : fitted estimator, or dict of str to such
            Who decides, by the names of their methods.
        result : RecourseResult
            Actions of the reference; people with one are drawn.
        background : DataFrame or ndarray, default=None
            As in :func:`skcfq.theory.target_margin`.

        Returns
        -------
        display : MarginDisplay
        """
        rows = result.reachable
        if not rows.any():
            raise ValueError("`result` has nobody with advice, so there are no margins.")
        points, target = take_rows(result.points, rows), result.target[rows]
        models = {**models_of({"reference": reference}), **models_of(deployed)}
        margins = {
            name: target_margin(model, points, target=target, background=background)
            for name, model in models.items()
        }
        return cls(margins=margins, protocol=result.protocol)

    @classmethod
    def from_predictions(cls, margins: dict, *, protocol: str) -> MarginDisplay:
        """Take margins that were computed already.

        Parameters
        ----------
        margins : dict of str to array-like of shape (n,)
            Target margins in logit units, by model.
        protocol : str
            How the points were found, in one line.

        Returns
        -------
        display : MarginDisplay
        """
        return cls(margins=margins, protocol=protocol)

    @property
    def title(self) -> str:
        """What the figure is about."""
        return "Target margins after the advice"

    @property
    def description(self) -> str:
        """Medians, and how much advice is refused."""
        refused = self.shares_refused
        cells = [
            f"{name}: median {number(np.median(values))}, of {len(values)} people a share of "
            f"{number(refused[name])} at or below 0"
            for name, values in self._margins.items()
        ]
        return f"Distribution of the target margin in logit units. {'; '.join(cells)}."

    def _labels(self) -> tuple[str, str]:
        return "Target margin after the advice (logit units)", "Share of people at or below"

    def _draw(self, ax: Any) -> None:
        handles, refused = [], self.shares_refused
        for position, values in enumerate(self._margins.values()):
            look = style(position)
            x, shares = _steps(values)
            handles += ax.plot(
                x,
                shares,
                drawstyle="steps-post",
                color=look.color,
                linestyle=look.line,
                marker=look.marker,
                markevery=max(1, len(x) // 6),
                markersize=5,
            )
        ax.axvline(0, color=BLACK, linewidth=0.8)
        ax.set_ylim(-0.02, 1.02)
        clean(ax, "y")
        labels = [f"{name}: {100 * refused[name]:.1f} % refused" for name in self._margins]
        legend_above(ax, handles, [drawn(label) for label in labels])


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the distribution steps, and to which share; of many people, some of them."""
    n = len(values)
    positions = np.unique(np.linspace(0, n, min(n, _MOST_STEPS) + 1).astype(int))
    return np.append(values[0], values)[positions], positions / n


def _sorted(values: Any, name: str) -> np.ndarray:
    try:
        column = numbers_of(as_objects(values), f"margins[{name!r}]")
    except (TypeError, ValueError):
        column = np.zeros((0, 0))
    if column.ndim != 1 or not len(column) or np.isnan(column).any():
        raise ValueError(f"margins[{name!r}] must hold one finite number for each person.")
    return frozen(np.sort(column))
