"""The boundaries of two models in the plane of two features, and one person's advice (Figure 2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.plotting._axes import clean, legend_above
from skcfq.plotting._display import Display, check_protocol, frozen
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._people import check_model
from skcfq.plotting._planes import decided, plane_of, solve_in_plane
from skcfq.plotting._style import BLACK, BLUE, DASHED, RED
from skcfq.plotting._tables import numbers_of
from skcfq.plotting._texts import drawn, number
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import as_objects, check_parameters

_REGIONS = ("#f4f4f4", "#fbe3c4", "#cdeade", "#dbe9f4")
_NAMES = (
    "neither grants",
    "only the reference grants",
    "only the deployed model grants",
    "both grant",
)
_HATCHES = (None, "///", "\\\\\\", None)


class BoundaryDisplay(Display):
    """Who grants where, in the plane of two numeric features; all others stay as one person's.

    Made by :meth:`from_estimators` or :meth:`from_results`.

    Parameters
    ----------
    x, y : array-like of shape (n_columns,) and (n_rows,)
        Values of the two features at which the models were asked, ascending.
    grants_reference, grants_deployed : array-like of shape (n_rows, n_columns), bool
        Whether each model gives the target there.
    person : array-like of shape (2,)
    advice : array-like of shape (2,)
        Where the reference's advice leads.
    advice_fails : bool
    advice_deployed : array-like of shape (2,), default=None
        Where the deployed model's own advice leads; None where it has none.
    features : pair of str
        Labels of the axes.
    protocol : str

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.

    Notes
    -----
    Both models were asked through their own ``predict`` at each point of the grid, whole numbers
    alone where the column holds integers. What lies between the points is not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> from skcfq.plotting import BoundaryDisplay
    >>> X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    >>> reference = LogisticRegression().fit(X, X["a"] + X["b"] > 0)
    >>> stricter = LogisticRegression().fit(X, X["a"] + X["b"] > 0.3)
    >>> denied = X[~reference.predict(X)].head(1)
    >>> display = BoundaryDisplay.from_estimators(
    ...     reference, stricter, denied, ("a", "b"),
    ...     solver=RecourseSolver(target=True), background=X,
    ... )
    >>> display.advice_fails
    True
    >>> display.plot().ax_.get_xlabel()
    'a'
    """

    def __init__(
        self,
        *,
        x: Any,
        y: Any,
        grants_reference: Any,
        grants_deployed: Any,
        person: Any,
        advice: Any,
        advice_fails: bool,
        advice_deployed: Any = None,
        features: tuple[str, ...],
        protocol: str,
    ) -> None:
        self.x, self.y = (_axis(values, name) for values, name in ((x, "x"), (y, "y")))
        shape = len(self.y), len(self.x)
        self.grants_reference = _grants(grants_reference, "grants_reference", shape)
        self.grants_deployed = _grants(grants_deployed, "grants_deployed", shape)
        self.person, self.advice = _point(person, "person"), _point(advice, "advice")
        if not isinstance(advice_fails, bool | np.bool_):
            raise ValueError(f"advice_fails={advice_fails!r}; give True or False.")
        self.advice_fails = bool(advice_fails)
        self.advice_deployed = None
        if advice_deployed is not None:
            self.advice_deployed = _point(advice_deployed, "advice_deployed")
        if not (
            isinstance(features, tuple | list)
            and len(features) == 2
            and all(isinstance(name, str) for name in features)
        ):
            raise ValueError(f"features={type(features).__name__}; give the labels of two axes.")
        self.features = tuple(features)
        self.protocol = check_protocol(protocol)

    @classmethod
    @check_parameters(solver=[RecourseSolver, None])
    def from_estimators(
        cls,
        reference: Any,
        deployed: Any,
        x: Any,
        features: Any,
        *,
        solver: RecourseSolver | None = None,
        background: Any = None,
    ) -> BoundaryDisplay:
        """Advise one person who may change two features alone, and look at the plane of the two.

        Parameters
        ----------
        reference : fitted estimator
            The full-precision model that advises.
        deployed : fitted estimator
            Who decides.
        x : DataFrame or ndarray of shape (1, n_raw_columns)
            The person's raw row.
        features : pair of column names, or of positions for an array
            Numeric columns; no others may change, beside what the rules of the solver, or of the
            models, forbid.
        solver : RecourseSolver, default=None
            Its clone compares the models; None is one with ``random_state=0``.
        background : DataFrame or ndarray, default=None
            As in :meth:`skcfq.RecourseSolver.compare`.

        Returns
        -------
        display : BoundaryDisplay

        Raises
        ------
        ValueError
            The reference grants already, or has no advice in this plane.
        """
        first, second = solve_in_plane(reference, deployed, x, features, solver, background)
        return cls.from_results(reference, deployed, first, second, features)

    @classmethod
    @check_parameters(result_reference=[RecourseResult], result_deployed=[RecourseResult])
    def from_results(
        cls,
        reference: Any,
        deployed: Any,
        result_reference: RecourseResult,
        result_deployed: RecourseResult,
        features: Any,
        *,
        row: int = 0,
    ) -> BoundaryDisplay:
        """Take what :meth:`skcfq.RecourseSolver.compare` returned, and pick one person.

        Parameters
        ----------
        reference, deployed : fitted estimator
        result_reference, result_deployed : RecourseResult
            Of the same people.
        features : pair of column names, or of positions for an array
            Numeric columns; the person's advice changes no others.
        row : int, default=0
            The position of the person.

        Returns
        -------
        display : BoundaryDisplay
        """
        check_model(reference, "reference")
        check_model(deployed, "deployed")
        plane = plane_of(result_reference, result_deployed, features, row)
        target = result_reference.target[row]
        grids = [decided(model, plane, target) for model in (reference, deployed)]
        fails = np.asarray(deployed.predict(plane.advice_row))[0] != target
        units = result_reference.units or {}
        return cls(
            x=plane.x,
            y=plane.y,
            grants_reference=grids[0],
            grants_deployed=grids[1],
            person=plane.person,
            advice=plane.advice,
            advice_fails=bool(fails),
            advice_deployed=plane.advice_deployed,
            features=tuple(
                f"{name} ({units[name]})" if name in units else str(name) for name in plane.names
            ),
            protocol=result_reference.protocol,
        )

    @property
    def title(self) -> str:
        """What the figure is about."""
        return f"Decisions by {self.features[0]} and {self.features[1]}"

    @property
    def description(self) -> str:
        """Where the person is, where advice leads, and where the models differ."""
        a, b = self.features
        differ = np.mean(self.grants_reference != self.grants_deployed)
        said = "fails" if self.advice_fails else "holds"
        text = (
            f"The person has {a} {self.person[0]:.6g} and {b} {self.person[1]:.6g}. The "
            f"reference advises {self.advice[0]:.6g} and {self.advice[1]:.6g}, which "
            f"{said} under the deployed model."
        )
        if self.advice_deployed is not None:
            own = self.advice_deployed
            text += f" The deployed model itself asks for {own[0]:.6g} and {own[1]:.6g}."
        return f"{text} The two models differ on a share of {number(differ)} of the plane."

    def _labels(self) -> tuple[str, str]:
        return drawn(self.features[0]), drawn(self.features[1])

    def _size(self) -> tuple[float, float]:
        return 6.0, 5.2

    def _draw(self, ax: Any) -> None:
        handles = [*self._draw_regions(ax), *self._draw_boundaries(ax), *self._draw_advice(ax)]
        ax.set_xlim(self.x[0], self.x[-1])
        ax.set_ylim(self.y[0], self.y[-1])
        clean(ax, "both")
        ax.grid(False)
        legend_above(ax, handles, [handle.get_label() for handle in handles])

    def _draw_regions(self, ax: Any) -> list:
        """Color the four regions, and hatch where the models differ; return legend entries."""
        colors, patches = matplotlib_module("colors"), matplotlib_module("patches")
        region = self.grants_reference * 1 + self.grants_deployed * 2
        ax.pcolormesh(
            self.x,
            self.y,
            region,
            shading="nearest",
            cmap=colors.ListedColormap(_REGIONS),
            vmin=-0.5,
            vmax=3.5,
            rasterized=True,
            zorder=0,
        )
        handles = []
        for code in range(4):
            here = region == code
            if not here.any():
                continue
            if _HATCHES[code] and not here.all():
                inside = ax.contourf(
                    self.x, self.y, here, [0.5, 1.5], colors="none", hatches=[_HATCHES[code]]
                )
                inside.set_edgecolor("#8a8a8a")
                inside.set_linewidth(0)
            handles.append(
                patches.Patch(
                    facecolor=_REGIONS[code],
                    hatch=_HATCHES[code],
                    edgecolor="#8a8a8a",
                    label=_NAMES[code],
                )
            )
        return handles

    def _draw_boundaries(self, ax: Any) -> list:
        lines, handles = matplotlib_module("lines"), []
        looks = (
            (self.grants_reference, BLACK, "-", "boundary of the reference"),
            (self.grants_deployed, RED, DASHED, "boundary of the deployed model"),
        )
        for grants, color, line, label in looks:
            if 0 < grants.mean() < 1:
                drawn_line = ax.contour(self.x, self.y, grants, [0.5], colors=color)
                drawn_line.set_linestyle(line)
                drawn_line.set_linewidth(1.8)
                handles.append(lines.Line2D([], [], color=color, linestyle=line, label=label))
        return handles

    def _draw_advice(self, ax: Any) -> list:
        said = "fails" if self.advice_fails else "holds"
        marks = [(self.person, "o", BLACK, "the person")]
        if self.advice_deployed is not None:
            marks.append((self.advice_deployed, "D", BLUE, "advice of the deployed model"))
        color = RED if self.advice_fails else BLACK
        marks.append((self.advice, "X", color, f"advice of the reference: {said}"))
        handles = []
        for point, marker, color, label in marks:
            if point is not self.person and not np.array_equal(point, self.person):
                arrow = {"arrowstyle": "-|>", "color": color, "shrinkA": 5, "shrinkB": 6}
                ax.annotate("", point, self.person, arrowprops=arrow)
            handles += ax.plot(
                *point,
                marker,
                color=color,
                markersize=9,
                markeredgecolor="white",
                label=label,
                zorder=4,
                clip_on=False,
            )
        return handles


def _axis(values: Any, name: str) -> np.ndarray:
    column = _numbers(values, name)
    if column.ndim != 1 or len(column) < 2 or not (np.diff(column) > 0).all():
        raise ValueError(f"`{name}` must hold at least two numbers, ascending.")
    return frozen(column)


def _point(values: Any, name: str) -> np.ndarray:
    point = _numbers(values, name)
    if point.shape != (2,) or np.isnan(point).any():
        raise ValueError(f"`{name}` must hold two finite numbers, one a feature.")
    return frozen(point)


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        return numbers_of(as_objects(values), name)
    except (TypeError, ValueError):
        return np.zeros((0, 0))


def _grants(values: Any, name: str, shape: tuple[int, int]) -> np.ndarray:
    try:
        grid = np.asarray(values)
    except ValueError:
        grid = np.zeros((0, 0))
    if grid.dtype != bool or grid.shape != shape:
        raise ValueError(
            f"`{name}` must hold truth values of the shape {shape}: one row for each number of "
            "`y`, one column for each of `x`."
        )
    return frozen(grid)
