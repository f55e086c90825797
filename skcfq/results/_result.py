"""The answer of a solver: one status, one action and one cost for each person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.results import _actions, _document, _export, _report
from skcfq.results._advice import Advice
from skcfq.results._percentiles import percentile_shifts

if TYPE_CHECKING:
    from skcfq.actions import CompiledActions, RecourseCost


@dataclass(frozen=True, eq=False, repr=False)
class RecourseResult(Advice):
    """Actions for n people, verified on the raw rows, with what is known about each.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows that were asked about.
    points : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows after the action; a row for which nothing was found is unchanged.
    cost : ndarray of shape (n,)
        Cost of the action; 0 for people who already have the target, NaN where none was found.
    margin : ndarray of shape (n,)
        The model's target margin at ``points``, in logit units.
    status : ndarray of shape (n,), str
        ``"optimal"`` (proved), ``"feasible"`` (valid, optimality not proved),
        ``"already_favorable"``, ``"infeasible"`` (proved), ``"not_found"`` (searched, nothing
        proved) or ``"time_limit"`` (not finished).
    valid : ndarray of shape (n,), bool
        The model's own ``predict`` gives the target at ``points``, with the required margin.
    changed : ndarray of shape (n, n_features), bool
        Which of ``feature_names`` the action changes.
    target : ndarray of shape (n,)
        The label that each person wants.
    actions : CompiledActions
        The rules under which the actions were found.
    protocol : str
        Solver, cost, margin and population in one line, to be printed beside every figure.
    lower_bound : ndarray of shape (n,)
        Proved lower bound of the cost: the cost itself where optimal, infinity where infeasible,
        0 where nothing is proved.
    method : str
        The method that was used.
    cost_function : RecourseCost
        What an action costs, feature by feature.
    alternatives : tuple of RecourseResult
        Further actions of the same people, dearer and with other features; alternative k of a
        person who has fewer is ``"not_found"`` or ``"infeasible"``.
    provenance : dict or None
        What is needed to repeat the work: parameters, action set, seed, versions, and what the
        model is. Written by :meth:`to_json`, and for others to check by ``skcfq.theory.certify``.
    units : dict of name to str, or None
        Units of raw columns, for tables and sentences; see :meth:`with_units`.
    interrupted : bool
        Somebody has pressed Ctrl-C, or a worker has died: who was not finished is ``"time_limit"``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import ActionSet, RecourseSolver
    >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 1, 2, 0]})
    >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
    >>> rules = ActionSet(steps={"income": 1}, immutable=["debt"])
    >>> solver = RecourseSolver(rules, target="grant")
    >>> result = solver.solve(model, X, background=X).with_units({"income": "EUR"})
    >>> result.status.tolist()
    ['optimal', 'optimal', 'already_favorable', 'already_favorable']
    >>> result.gap.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    X: Any
    points: Any
    cost: np.ndarray
    margin: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    changed: np.ndarray
    target: np.ndarray
    actions: CompiledActions
    protocol: str
    lower_bound: np.ndarray
    method: str
    cost_function: RecourseCost
    alternatives: tuple[RecourseResult, ...] = ()
    provenance: Mapping[str, Any] | None = None
    units: Mapping | None = None
    interrupted: bool = False

    def __repr__(self) -> str:
        return _report.describe(self)

    def _repr_html_(self) -> str:
        return _report.to_html(self)

    @cached_property
    def delta(self) -> np.ndarray:
        """Action in encoded units, shape (n, n_encoded_columns): encoded points less encoded X.

        Zero for people who already have the target, NaN where no action was found.
        """
        return self.delta_of(np.arange(len(self)))

    def delta_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the actions of some rows, positions or a mask, in encoded units."""
        return _actions.delta_of(self, rows)

    @property
    def contributions(self) -> np.ndarray:
        """What each feature adds to the cost, before the norm, shape (n, n_features).

        Zero for people who already have the target, NaN where no action was found. Never stored.
        """
        return self.contributions_of(np.arange(len(self)))

    def contributions_of(self, rows: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the cost of some rows, shape (len(rows), n_features).

        Parameters
        ----------
        rows : array-like of int of shape (k,), or of bool of shape (n,)
            Positions, or a mask.

        Returns
        -------
        contributions : ndarray of shape (len(rows), n_features)
            As :meth:`skcfq.actions.RecourseCost.contributions`; ``cost_function.combine`` of them
            is the cost.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> result = RecourseSolver().solve(model, X, background=X)
        >>> parts = result.contributions_of(np.array([0, 1, 2]))
        >>> bool(np.allclose(parts.sum(axis=1), result.cost[:3]))
        True
        """
        return _actions.contributions_of(self, rows)

    @property
    def feature_names(self) -> tuple:
        """Names of the features that may change, in the order of ``changed``."""
        return self.actions.feature_names

    @property
    def space_fingerprint(self) -> str:
        """Fingerprint of the feature space that units and costs refer to."""
        return self.actions.space.fingerprint

    def with_units(self, units: Mapping) -> RecourseResult:
        """Return the same answers with units for tables and sentences.

        Parameters
        ----------
        units : dict of name to str
            Units of raw columns, such as ``{"income": "EUR"}`` or ``credit.units``. The unit of a
            category is never shown.

        Returns
        -------
        result : RecourseResult
            A copy that shares all arrays.

        Raises
        ------
        ValueError
            A name is no column.
        """
        _export.check_units(self, units)
        others = tuple(replace(other, units=dict(units)) for other in self.alternatives)
        return replace(self, units=dict(units), alternatives=others)

    def to_frame(self, *, details: bool = False, units: Mapping | None = None) -> pd.DataFrame:
        """Tell who changes what, in raw units.

        Parameters
        ----------
        details : bool, default=False
            Whether the further columns below are worked out.
        units : dict of name to str, default=None
            Units of raw columns; None takes those of the result. Giving it asks for details.

        Returns
        -------
        frame : DataFrame
            One row for each changed feature of each person, with the columns ``person`` (the
            index label of ``X``), ``feature``, ``from``, ``to``, ``cost`` (of the whole action),
            ``margin`` and ``status``. A person without an action has one row whose ``feature``
            is missing.

            With details also ``row`` (the position, which tells people with one label apart),
            ``kind`` (``"change"``, or ``"implied"`` for a column that follows, at no cost),
            ``unit``, ``change`` (raw units; ranks of an ordered category), ``cost_share`` (of the
            person's cost; sums to 1), ``percentile_from`` and ``percentile_to`` (percent of the
            population at or below the value; missing for a category without an order).

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 1, 2, 0]})
        >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
        >>> rules = ActionSet(steps={"income": 1}, immutable=["debt"])
        >>> result = RecourseSolver(rules, target="grant").solve(model, X, background=X)
        >>> frame = result.to_frame(details=True, units={"income": "EUR"})
        >>> frame[["person", "feature", "from", "to", "unit", "change", "cost_share"]].head(2)
           person feature  from    to unit  change  cost_share
        0       0  income  10.0  25.0  EUR    15.0         1.0
        1       1  income  20.0  26.0  EUR     6.0         1.0
        """
        return _export.to_frame(self, details, units)

    def percentile_shifts(self) -> pd.DataFrame:
        """Tell how far each person moves in the population.

        Returns
        -------
        shifts : DataFrame of n rows
            With the index of ``X``: ``total`` and ``max`` over the changed features of the
            absolute shift, in percentiles of the background population, and ``unordered``, the
            number of changed categories that have no order and so no percentile; they are left
            out of both. 0 for people who already have the target, NaN where no action was found.

        Raises
        ------
        BackgroundRequiredError
            A number changed, and the model file does not tell its quantiles.

        Notes
        -----
        The percentile of a value is the share of the population at or below it, read off the 101
        quantiles of the feature space, and so exact to one percentile. An ordered category has
        the share of its rank.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> X = np.arange(101.0)[:, None]
        >>> model = LogisticRegression().fit(X, X[:, 0] > 59.5)
        >>> result = RecourseSolver(target=True).solve(model, X, background=X)
        >>> result.percentile_shifts()["total"].round(1).loc[[0, 40, 80]].tolist()
        [60.0, 20.0, 0.0]
        """
        return percentile_shifts(self)

    def summary(self) -> pd.Series:
        """Count the answers.

        Returns
        -------
        numbers : Series
            ``people``, ``denied``, the number of each status, ``feasible_rate`` (share of the
            denied with an action), ``share_optimal`` (share of these whose action is proved the
            cheapest), ``mean_gap`` (of the others, see ``gap``), ``mean_cost`` and
            ``median_cost`` of all actions. NaN where there is nobody to count.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> result = RecourseSolver().solve(model, X, background=X)
        >>> result.summary()[["people", "denied", "optimal", "feasible_rate"]].tolist()
        [4, 2, 2, 1.0]
        """
        return _report.summarize(self)

    def flipset(
        self, person: Any = None, *, row: int | None = None, units: Mapping | None = None
    ) -> pd.DataFrame:
        """Lay the actions of one person side by side.

        Parameters
        ----------
        person : label
            Index label of ``X``; the position for an array.
        row : int, default=None
            Position, instead of a label.
        units : dict of name to str, default=None
            Units of raw columns; None takes those of the result.

        Returns
        -------
        actions : DataFrame
            One row for each action, cheapest first, with ``features``, ``changes`` in words,
            ``cost``, ``max_percentile_shift``, ``margin`` and ``status``. Empty for a person who
            needs no action or has none. Solve with ``n_alternatives`` for more than one.

        Raises
        ------
        ValueError
            No such person, a label that several rows share, or text labels without a `target`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = pd.DataFrame({"income": [1.0, 2, 3, 4], "debt": [4.0, 3, 1, 0]})
        >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
        >>> rules = ActionSet(bounds={"income": (0, 9)}, steps={"income": 1, "debt": 1})
        >>> solver = RecourseSolver(rules, target="grant", n_alternatives=2)
        >>> solver.solve(model, X, background=X).flipset(1)[["changes", "status"]]
                    changes   status
        action
        1       debt from 3 to 1  optimal
        2     income from 2 to 5  optimal
        """
        position = _report.row_of(self, person, row)
        return _report.flipset(self, position, _export.shown_units(self, units))

    def explain(
        self,
        person: Any = None,
        *,
        row: int | None = None,
        units: Mapping | None = None,
        model: Any = None,
    ) -> str:
        """Say in plain English what one person can do, and what is known about it.

        Numbers are written with six digits, rounded away from where the person stands;
        :meth:`to_frame` has them all.

        Parameters
        ----------
        person : label
            Index label of ``X``; the position for an array.
        row : int, default=None
            Position, instead of a label.
        units : dict of name to str, default=None
            Units of raw columns; None takes those of the result.
        model : fitted classifier, default=None
            Its ``predict_proba`` is asked for the probability of the target. Not needed where
            the probability is the logistic function of the margin.

        Returns
        -------
        text : str

        Raises
        ------
        ValueError
            No such person, a label that several rows share, or text labels without a `target`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> rules = ActionSet(bounds={0: (0, 1)})
        >>> print(RecourseSolver(rules).solve(model, X, background=X).explain(0))
        For person 0, it is proved that no permitted change makes the model say class 1.
        """
        position = _report.row_of(self, person, row)
        return _report.explain(self, position, _export.shown_units(self, units), model)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that is needed to read and to repeat the answers, as JSON values.

        Returns
        -------
        document : dict
            ``protocol``, ``method``, ``summary``, ``cost`` (its definition), ``units``,
            ``feature_space`` (fingerprint), ``provenance`` (parameters of the solver, action set,
            seed, versions, the model and its fingerprint), ``tables`` (names and types of columns)
            and ``people``: of each one the raw input, the target, the status, cost, bound, margin,
            the raw point, changes and alternatives. What is NaN or missing is None: no cost
            without an action, no bound without recourse, no point where nothing changes. Read
            back by :meth:`skcfq.results.IssuedAdvice.read`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> document = RecourseSolver(random_state=0).solve(model, X, background=X).to_dict()
        >>> document["provenance"]["seed"], document["people"][0]["status"]
        (0, 'optimal')
        """
        return _document.to_dict(self)

    def to_json(self, path: Any = None) -> str | None:
        """Write :meth:`to_dict` as strict JSON, without NaN and infinities.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, in UTF-8.

        Returns
        -------
        text : str or None
            The JSON text, where no path was given.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> text = RecourseSolver(random_state=0).solve(model, X, background=X).to_json()
        >>> json.loads(text)["summary"]["denied"]
        2
        """
        return _document.write_json(self.to_dict(), path)
