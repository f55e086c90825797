"""What would keep recourse, tried: each remedy solved or fitted, with its price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skcfq.actions import ActionSet
from skcfq.audit._audit import rows_read, solver_of, table_of_people
from skcfq.audit._models import model_record
from skcfq.audit._people import people_table
from skcfq.audit._remedies import needed_margins
from skcfq.estimators import CFQClassifier, PTQClassifier
from skcfq.models import Predictor, as_predictor, deployment_variants, second_predictor
from skcfq.results import RecourseResult
from skcfq.solvers import RecourseSolver
from skcfq.utils import Interval, ListOf, Progress, StrOptions, check_parameters, take_rows
from skcfq.utils.intervals import share_interval

REMEDIES = ("margin", "robust", "bits", "retrain")
_COLUMNS = [
    *("validity_drop", "lower", "upper", "n_advised", "share_advised"),
    *("cost", "cost_ratio", "recourse_gap", "accuracy", "acceptance", "bits", "seconds", "reason"),
]
_N_VARIANTS = 8
_USUAL_BITS = 8
_Row = tuple[str, str, dict[str, Any]]


@check_parameters(
    action_set=[ActionSet, None],
    solver=[RecourseSolver, None],
    remedies=[ListOf(StrOptions(set(REMEDIES)), least=1)],
    budgets=[ListOf(Interval(Real, 2, 16, closed="both"), least=1)],
    confidence=[Interval(Real, 0, 1, closed="neither")],
    random_state=["random_state"],
    verbose=["verbose"],
)
def try_remedies(
    reference: Any,
    deployed: Any,
    X: Any,
    y: Any = None,
    *,
    action_set: ActionSet | None = None,
    target: Any = None,
    background: Any = None,
    solver: RecourseSolver | None = None,
    training: Any = None,
    remedies: Any = REMEDIES,
    budgets: Any = (2, 3, 4, 6, 8),
    confidence: float = 0.95,
    random_state: Any = 0,
    verbose: int = 0,
) -> pd.DataFrame:
    """Try what would keep the advice of a reference, and tell what each remedy costs.

    Parameters
    ----------
    reference, deployed, X, y, action_set, target, background, solver
        As in :func:`audit_recourse`; the people are those whom nothing was trained on.
    training : (X, y), optional
        Rows that a remedy may train or calibrate on; without them, none is fitted.
    remedies : list of {"margin", "robust", "bits", "retrain"}
        ``"margin"``: advice with the margin by which that of other people fell, for 90 %, 95 % and
        all of it. ``"robust"``: advice that holds on random roundings of the reference, and advice
        that holds under both models. ``"bits"``: the reference quantized without training at each
        of the budgets. ``"retrain"``: a :class:`~skcfq.CFQClassifier` at the bits of the deployed
        model, or the smallest budget.
    budgets : list of float, default=(2, 3, 4, 6, 8)
        Average weight bits.
    confidence : float, default=0.95
    random_state, verbose : int, default=0

    Returns
    -------
    tried : DataFrame
        Indexed by ``remedy`` and ``setting``, ``("as it is", "")`` first: ``validity_drop`` with
        its exact interval; ``n_advised``, and their share of those whom the reference refuses;
        ``cost`` (mean) and its ratio to the advice as it is, over whom both advise;
        ``recourse_gap``, ``accuracy`` and ``acceptance`` of the model, where it is another one;
        ``bits``; ``seconds``; and the ``reason`` why something was not tried.

    Raises
    ------
    ValueError, SpaceMismatchError, FeatureSpaceError

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> models = [LogisticRegression().fit(X, X[:, 0] > cut) for cut in (99, 104)]
    >>> tried = try_remedies(*models, X, target=True, remedies=["margin"])
    >>> tried["validity_drop"].tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    people = table_of_people(X)
    models = (reference, deployed)
    how = solver_of(solver, action_set, target, models)
    trial = _Trial.read(models, people, y, background, how, float(confidence))
    asked = [one for one in REMEDIES if one in remedies]
    rows: list[_Row] = [("as it is", "", trial.as_it_is)]
    tries: dict[str, Callable[[], Iterator[_Row]]] = {
        "margin": trial.with_margins,
        "robust": lambda: trial.robust(random_state),
        "bits": lambda: trial.with_bits(training, budgets, random_state),
        "retrain": lambda: trial.retrained(training, min(budgets), random_state),
    }
    with Progress("remedies", "step", len(asked), shown=bool(verbose)) as progress:
        for name in asked:
            rows += tries[name]()
            progress.update(1)
    index = pd.MultiIndex.from_tuples([row[:2] for row in rows], names=["remedy", "setting"])
    return pd.DataFrame([row[2] for row in rows], index=index).reindex(columns=_COLUMNS)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Two models, the people, and the advice as it is.

    Attributes
    ----------
    given : tuple
        The two models as they were given.
    first, second : Predictor
    X : DataFrame or ndarray of shape (n, p)
    y : ndarray of shape (n,) or None
    population : DataFrame or ndarray
    solver : RecourseSolver
    table : DataFrame
        People as an audit has them.
    seconds : float
        What the comparison took.
    """

    given: tuple[Any, Any]
    first: Predictor
    second: Predictor
    X: Any
    y: np.ndarray | None
    population: Any
    solver: RecourseSolver
    table: pd.DataFrame
    seconds: float
    confidence: float

    @classmethod
    def read(
        cls,
        models: tuple[Any, Any],
        X: Any,
        y: Any,
        background: Any,
        solver: RecourseSolver,
        confidence: float,
    ) -> _Trial:
        """Read both models, and compare them."""
        X, _ = rows_read(X, models, None)
        labels = None if y is None else labels_of(y, len(X))
        population = X if background is None else rows_read(background, models, None)[0]
        first = as_predictor(models[0], background=population, example=X)
        second = second_predictor(first, models[1], population, X)
        start = time.perf_counter()
        results = solver.compare(first, second, X, background=population, keep_partial=False)
        table = people_table(first, second, results, labels)
        seconds = time.perf_counter() - start
        return cls(models, first, second, X, labels, population, solver, table, seconds, confidence)

    @property
    def bits(self) -> float | None:
        """Average bits of the deployed model, where they are known."""
        return model_record(self.given[1], self.second)["average_bits"]

    @property
    def as_it_is(self) -> dict[str, Any]:
        """The figures of nothing done."""
        return self._of_model(self.table) | {"bits": self.bits, "seconds": self.seconds}

    def with_margins(self) -> Iterator[_Row]:
        """Give advice with the margins that other people's advice would have needed."""
        halves = [np.flatnonzero(np.arange(len(self.table)) % 2 == half) for half in (0, 1)]
        needed = [needed_of(self.table.iloc[rows]) for rows in reversed(halves)]
        for share in (0.9, 0.95, 1.0):
            setting = "all" if share == 1 else f"{100 * share:g} %"
            if any(isinstance(one, str) for one in needed):
                reason = next(one for one in needed if isinstance(one, str))
                yield "margin", setting, {"reason": reason}
                continue
            yield self._try("margin", setting, self._with_margins_of, halves, needed, share)

    def _with_margins_of(
        self, halves: list[np.ndarray], needed: list[dict[float, float]], share: float
    ) -> dict[str, Any]:
        """Solve for each half with the margin of the other one."""
        cost, holds = np.full((2, len(self.table)), np.nan)
        for rows, margins in zip(halves, needed, strict=True):
            solver = clone(self.solver).set_params(margin=margins[share])
            people = take_rows(self.X, rows)
            result = solver.solve(self.first, people, background=self.population)
            cost[rows], holds[rows] = self._asked(result)
        return self._of_advice(cost, holds)

    def robust(self, random_state: Any) -> Iterator[_Row]:
        """Give advice that holds on roundings of the reference, and under both models."""
        bits = self.bits
        width = _USUAL_BITS if bits is None else int(np.clip(round(bits), 2, 16))
        setting = f"{_N_VARIANTS} roundings at {width} bits"
        yield self._try("robust", setting, self._on_roundings, width, random_state)
        yield self._try("robust", "both models", self._on_variants, [self.second])

    def _on_roundings(self, width: int, random_state: Any) -> dict[str, Any]:
        variants = deployment_variants(
            self.given[0],
            _N_VARIANTS,
            kinds=("rounding", "steps"),
            bits=width,
            background=self.population,
            random_state=random_state,
        )
        return self._on_variants(variants)

    def _on_variants(self, variants: list[Any]) -> dict[str, Any]:
        solver = clone(self.solver).set_params(margin=0.0)
        result = solver.solve(self.first, self.X, background=self.population, variants=variants)
        return self._of_advice(*self._asked(result))

    def with_bits(self, training: Any, budgets: Any, random_state: Any) -> Iterator[_Row]:
        """Quantize the reference without training."""
        for budget in budgets:
            model = PTQClassifier(budget, random_state=random_state)
            yield self._try("bits", f"{budget:g} bits", self._fitted, model, training)

    def retrained(self, training: Any, least: float, random_state: Any) -> Iterator[_Row]:
        """Train a quantized model for recourse, at the bits of the deployed one."""
        known = self.bits
        budget = least if known is None else float(np.clip(known, 2, 16))
        model = CFQClassifier(budget, random_state=random_state)
        yield self._try("retrain", f"{budget:g} bits", self._fitted, model, training)

    def _fitted(self, model: Any, training: Any) -> dict[str, Any]:
        """Fit another deployed model, and compare it with the reference."""
        if training is None:
            return {"reason": "no training rows were given"}
        X, y = training
        model.set_params(
            teacher=FrozenEstimator(self.given[0]),
            action_set=self.solver.action_set,
            target=self.solver.target,
        )
        model.fit(rows_read(X, self.given, None)[0], y)
        other = second_predictor(self.first, model, self.population, self.X)
        results = self.solver.compare(
            self.first, other, self.X, background=self.population, keep_partial=False
        )
        table = people_table(self.first, other, results, self.y)
        return self._of_model(table) | {"bits": float(model.average_bits_)}

    def _try(
        self, remedy: str, setting: str, work: Callable[..., dict[str, Any]], *parts: Any
    ) -> _Row:
        """Do some work, and say what it took, or why it could not be done."""
        start = time.perf_counter()
        try:
            found = work(*parts)
        except Exception as error:  # one remedy that fails is told, and the others go on
            found = {"reason": f"{type(error).__name__}: {error}"}
        return remedy, setting, found | {"seconds": time.perf_counter() - start}

    def _asked(self, result: RecourseResult) -> tuple[np.ndarray, np.ndarray]:
        """Return the cost of advice, and whether the deployed model honors it; NaN without."""
        cost, holds = np.full((2, len(result)), np.nan)
        rows = np.flatnonzero(result.reachable)
        if len(rows):
            points = take_rows(result.points, rows)
            holds[rows] = self.second.predict(points) == result.target[rows]
            cost[rows] = result.cost[rows]
        return cost, holds

    def _of_advice(self, cost: np.ndarray, holds: np.ndarray) -> dict[str, Any]:
        """Return the figures of other advice under the same two models."""
        advised = ~np.isnan(holds)
        both = advised & self.table["advised"].to_numpy()
        before = self.table["cost"].to_numpy(dtype=float)[both].sum()
        return self._drop(int((holds == 0).sum()), int(advised.sum())) | {
            "cost": float(cost[advised].mean()) if advised.any() else np.nan,
            "cost_ratio": float(cost[both].sum() / before) if before > 0 else np.nan,
            "bits": self.bits,
        }

    def _of_model(self, table: pd.DataFrame) -> dict[str, Any]:
        """Return the figures of the same advice under a model."""
        advised = table["advised"]
        right = table["right_deployed"].mean() if "right_deployed" in table else np.nan
        return self._drop(int((advised & ~table["holds"]).sum()), int(advised.sum())) | {
            "cost": float(table["cost"].mean()),
            "cost_ratio": 1.0,
            "recourse_gap": float(table["gap"].abs().mean()),
            "accuracy": float(right),
            "acceptance": float(table["accepted_deployed"].mean()),
        }

    def _drop(self, n_failed: int, n_advised: int) -> dict[str, Any]:
        refused = int((~self.table["accepted_reference"]).sum())
        lower, upper = share_interval(n_failed, n_advised, self.confidence)
        return {
            "validity_drop": n_failed / n_advised if n_advised else np.nan,
            "lower": lower,
            "upper": upper,
            "n_advised": n_advised,
            "share_advised": n_advised / refused if refused else np.nan,
        }


def needed_of(table: pd.DataFrame) -> dict[float, float] | str:
    """Return the margin that shares of the advice of some people needed, or why that is unknown."""
    advised = table[table["advised"]]
    if not len(advised):
        return "half of the people have no advice to choose a margin by"
    if not np.isfinite(advised[["margin", "margin_deployed"]].to_numpy(dtype=float)).all():
        return "a model gives labels alone, or scores without end: there is no margin"
    return {one["share"]: one["margin"] for one in needed_margins(table)}


def labels_of(y: Any, n: int) -> np.ndarray:
    """Return one label for each of n rows.

    Raises
    ------
    ValueError
    """
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(f"y has the shape {labels.shape}; give one label for each of {n} rows.")
    return labels
