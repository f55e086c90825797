"""RecourseSolver: validates, picks a method, verifies every answer on the raw row."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from torch import Tensor
from tqdm.auto import tqdm

from skcfq.actions import ActionRegion, ActionSet, CompiledActions, RecourseCost, compile_cost
from skcfq.exceptions import SpaceMismatchError
from skcfq.models import Predictor, as_predictor, resolve_target, target_margin, validity_slack
from skcfq.solvers._moves import beam_search
from skcfq.solvers._pgd import projected_steps, random_points, relaxed_descent
from skcfq.solvers._polish import polish
from skcfq.solvers._problem import RecourseProblem, States, best_per_person
from skcfq.solvers._result import RecourseResult
from skcfq.utils import take_rows
from skcfq.utils._sklearn_compat import Interval, StrOptions

_RELAXED_STEPS = 36
# Moves of the beam search: further changes are left to the gradient and to the polish.
_DEPTH = 4
# A point that its own raw row does not confirm is looked for once more with this much more margin.
_SAFER_MARGINS = (0.0, 1e-7, 1e-4)


class RecourseSolver(BaseEstimator):
    """Find the cheapest admissible action that makes a model say the target.

    Parameters
    ----------
    action_set : ActionSet, default=None
        What people may change, on the columns of the X given to :meth:`solve`. None lets every
        column move inside its observed range.
    method : {"auto", "pgd", "steps"}, default="auto"
        ``"pgd"`` looks for the *cheapest* valid action: relaxed projected gradient from several
        starts and a beam search over exactly evaluated moves find valid points, which are then
        made cheaper. ``"steps"`` is the literal K-step recursion of Eq. 6, whose actions are
        neither cheap nor always valid. ``"auto"`` is ``"pgd"``. All three are heuristic.
    cost : {"l1", "l2", "mixed"}, default="l1"
        Norm of the weighted action (Eq. 4).
    cost_weights : {"std", "mad", "uniform"}, dict or array-like, default="std"
        Weight of each feature (Appendix A.5): one over its spread, or given by name.
    target : label, "opposite", array-like of shape (n,) or None, default=None
        The class that people want; None takes the last of ``classes_``.
    margin : float, default=0.0
        Target margin, in logit units, that a valid point must have.
    n_restarts : int, default=1
        Random starts of ``"pgd"``, beside the person's own row.
    beam_width : int, default=6
        Points that the beam search keeps for each person.
    n_steps : int, default=3
        K of Eq. 6, for ``"steps"``.
    step_size : float, default=1.0
        α of Eq. 6, in encoded units, for ``"steps"``.
    batch_size : int, default=1024
        People that are solved together; bounds the memory.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.
    verbose : int, default=0
        1 shows a progress bar.

    Notes
    -----
    A found action is *feasible*: it was verified on the decoded raw row through the model's own
    ``predict``, but no optimality is proved. A person for whom nothing was found is
    ``"not_found"``, which proves nothing either.

    References
    ----------
    Paper, §3.1, Eq. 3 to 12 and Appendix A.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
    >>> result = RecourseSolver(random_state=0).solve(model, X, background=X)
    >>> result.status.tolist()
    ['feasible', 'feasible', 'already_favorable', 'already_favorable']
    >>> bool((model.predict(result.points) == 1).all())
    True
    """

    _parameter_constraints: dict = {
        "action_set": [ActionSet, None],
        "method": [StrOptions({"auto", "pgd", "steps"})],
        "cost": [StrOptions({"l1", "l2", "mixed"})],
        "cost_weights": [StrOptions({"std", "mad", "uniform"}), dict, "array-like"],
        "target": "no_validation",
        "margin": [Interval(Real, 0, None, closed="left")],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        action_set: ActionSet | None = None,
        *,
        method: str = "auto",
        cost: str = "l1",
        cost_weights: Any = "std",
        target: Any = None,
        margin: float = 0.0,
        n_restarts: int = 1,
        beam_width: int = 6,
        n_steps: int = 3,
        step_size: float = 1.0,
        batch_size: int = 1024,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.action_set = action_set
        self.method = method
        self.cost = cost
        self.cost_weights = cost_weights
        self.target = target
        self.margin = margin
        self.n_restarts = n_restarts
        self.beam_width = beam_width
        self.n_steps = n_steps
        self.step_size = step_size
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def solve(
        self, model: Any, X: Any, *, background: Any = None, start: Any = None
    ) -> RecourseResult:
        """Look for recourse for every row that the model does not give the target.

        Parameters
        ----------
        model : fitted estimator or Predictor
            What :func:`skcfq.models.as_predictor` reads.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
            Raw rows, as the whole model receives them.
        background : DataFrame or ndarray, optional
            Population that spreads, quantiles and observed bounds come from; needed only where
            the model carries none.
        start : DataFrame or ndarray of shape (n, n_raw_columns), optional
            Raw points to start from too, for example another model's ``result.points``. Where
            such a point is valid, the answer never costs more.

        Returns
        -------
        result : RecourseResult

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The model is not fitted.
        TargetError, ActionSetError, BackgroundRequiredError, UnsupportedModelError
        """
        task = self._task(model, X, background)
        return self._solve(task, [] if start is None else [start])

    def compare(
        self, reference: Any, deployed: Any, X: Any, *, background: Any = None
    ) -> tuple[RecourseResult, RecourseResult]:
        """Solve two models so that the gap between their costs is not the solver's own.

        Each model also starts from the other's action. So where the reference's action is valid
        under the deployed model, the deployed cost is never above the reference's.

        Parameters
        ----------
        reference, deployed : fitted estimators
            Both must read the raw columns through one feature space.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        background : DataFrame or ndarray, optional

        Returns
        -------
        result_reference, result_deployed : RecourseResult

        Raises
        ------
        SpaceMismatchError
            The two models do not share one feature space.
        """
        first = self._task(reference, X, background)
        second = self._task(deployed, X, background, first)
        result_reference = self._solve(first, [])
        result_deployed = self._solve(second, [result_reference.points])
        # A cheaper action that only the deployed solve found is the reference's too, if valid.
        result_reference = self._take_over(first, result_reference, result_deployed)
        result_deployed = self._take_over(second, result_deployed, result_reference)
        return result_reference, result_deployed

    def _task(self, model: Any, X: Any, background: Any, other: _Task | None = None) -> _Task:
        self._validate_params()
        predictor = as_predictor(model, background=background)
        if other is not None:
            if predictor.space.fingerprint != other.predictor.space.fingerprint:
                raise SpaceMismatchError(
                    f"{other.predictor.name} and {predictor.name} do not share one feature space, "
                    "so their actions have no common unit. Fit the deployed model with "
                    "`teacher=` set to the reference, or give both the same fitted encoder."
                )
            return _Task(predictor, X, other.target, other.actions, other.cost)
        target = resolve_target(self.target, predictor.classes, predictor.predict(X))
        actions = (ActionSet() if self.action_set is None else self.action_set).compile(
            predictor.space
        )
        cost = compile_cost(actions, norm=self.cost, weights=self.cost_weights)
        return _Task(predictor, X, target, actions, cost)

    def _solve(self, task: _Task, starts: list[Any]) -> RecourseResult:
        decisions = task.predictor.predict(task.X)
        denied = np.flatnonzero(decisions != task.predictor.classes[task.target])
        answer = _Answer.empty(task)
        chunks = range(0, len(denied), self.batch_size)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(chunks))
        bar = tqdm(total=len(denied), disable=not self.verbose, desc="recourse", unit="person")
        with bar:
            for seed, first in zip(seeds.tolist(), chunks, strict=True):
                rows = denied[first : first + self.batch_size]
                self._solve_rows(task, rows, starts, seed, answer)
                bar.update(len(rows))
        return answer.result(task, denied, self._protocol(task, len(denied)))

    def _solve_rows(
        self, task: _Task, rows: np.ndarray, starts: list[Any], seed: int, answer: _Answer
    ) -> None:
        """Solve some denied rows, and write down what their raw rows confirm."""
        margins = (0.0,) if self.method == "steps" else _SAFER_MARGINS
        for extra in margins:
            region = task.actions.at(take_rows(task.X, rows))
            target = torch.from_numpy(task.target[rows])
            problem = RecourseProblem(
                task.predictor, region, task.cost, target, self.margin + extra
            )
            if self.method == "steps":
                best = self._literal_steps(problem)
            else:
                given = [task.predictor.space.encode(take_rows(start, rows)) for start in starts]
                best = self._search(problem, [torch.from_numpy(z) for z in given], seed)
            person = rows[best.person.numpy()]
            confirmed = answer.record(task, problem, best, person, self.margin)
            rows = np.setdiff1d(person, person[confirmed])
            if len(rows) == 0:
                break

    def _literal_steps(self, problem: RecourseProblem) -> States:
        points = projected_steps(
            problem.predictor,
            problem.region,
            problem.target,
            n_steps=self.n_steps,
            step_size=self.step_size,
        )
        reached = problem.states_at(points)
        return reached.take(reached.valid)

    def _search(self, problem: RecourseProblem, starts: list[Tensor], seed: int) -> States:
        """Collect valid points from every kind of start, and make the best of them cheaper."""
        given = [problem.states_at(points) for points in starts]
        own = problem.own_states()
        found = [states.take(states.valid) for states in [*given, own]]
        depth = min(problem.max_changes, _DEPTH)
        found.append(
            beam_search(problem, own, width=self.beam_width, depth=depth, count=self.beam_width)
        )
        generator = torch.Generator().manual_seed(seed)
        for restart in range(self.n_restarts + 1):
            start = random_points(problem, generator) if restart else problem.origin
            found.append(relaxed_descent(problem, start, n_steps=_RELAXED_STEPS, count=1))
        candidates = polish(problem, States.concatenate(found), thorough=False)
        kept = best_per_person(candidates.person, candidates.cost, 3)
        candidates = polish(problem, candidates.take(kept))
        return candidates.take(best_per_person(candidates.person, candidates.cost, 1))

    def _take_over(
        self, task: _Task, mine: RecourseResult, theirs: RecourseResult
    ) -> RecourseResult:
        """Adopt the other model's actions where they are valid here too, and cheaper."""
        better = mine.denied & theirs.reachable & ~(mine.cost <= theirs.cost)
        rows = np.flatnonzero(better)
        if len(rows) == 0:
            return mine
        answer = _Answer.of(mine)
        region = task.actions.at(take_rows(task.X, rows))
        target = torch.from_numpy(task.target[rows])
        problem = RecourseProblem(task.predictor, region, task.cost, target, self.margin)
        states = problem.states_at(region.origin + torch.from_numpy(theirs.delta[rows]))
        states = states.take(states.valid)
        states = states.take(~(torch.from_numpy(mine.cost[rows])[states.person] <= states.cost))
        answer.record(task, problem, states, rows[states.person.numpy()], self.margin)
        return answer.result(task, np.flatnonzero(mine.denied), mine.protocol)

    def _protocol(self, task: _Task, n_denied: int) -> str:
        method = "pgd" if self.method == "auto" else self.method
        weights = self.cost_weights if isinstance(self.cost_weights, str) else "given"
        targets = np.unique(task.predictor.classes[task.target])
        wanted = repr(targets.tolist()[0]) if len(targets) == 1 else "per person"
        return (
            f"method={method}, cost={self.cost} ({weights}), margin={self.margin:g}, "
            f"target={wanted}, denied={n_denied} of {len(task.target)}, "
            f"max_changes={task.actions.max_changes}"
        )


class _Task:
    """One model, the rows asked about, and what is compiled for them."""

    def __init__(
        self,
        predictor: Predictor,
        X: Any,
        target: np.ndarray,
        actions: CompiledActions,
        cost: RecourseCost,
    ):
        self.predictor = predictor
        self.X = X
        self.target = target
        self.actions = actions
        self.cost = cost


class _Answer:
    """What is known so far about every row; unsolved rows stay as they are."""

    def __init__(
        self, delta: np.ndarray, cost: np.ndarray, margin: np.ndarray, changed: np.ndarray
    ):
        self.delta = delta
        self.cost = cost
        self.margin = margin
        self.changed = changed

    @classmethod
    def empty(cls, task: _Task) -> _Answer:
        n = len(task.target)
        space = task.predictor.space
        logits = task.predictor.logits(torch.from_numpy(space.encode(task.X))).detach()
        margin = target_margin(logits, torch.from_numpy(task.target)).numpy()
        return cls(
            delta=np.zeros((n, space.n_encoded)),
            cost=np.full(n, np.nan),
            margin=margin,
            changed=np.zeros((n, len(task.actions.feature_names)), dtype=bool),
        )

    @classmethod
    def of(cls, result: RecourseResult) -> _Answer:
        cost = np.where(result.denied, result.cost, np.nan)
        return cls(result.delta.copy(), cost, result.margin.copy(), result.changed.copy())

    def record(
        self,
        task: _Task,
        problem: RecourseProblem,
        best: States,
        rows: np.ndarray,
        margin: float,
    ) -> np.ndarray:
        """Verify points on their decoded raw rows; keep and report those that are confirmed."""
        if len(rows) == 0:
            return np.zeros(0, dtype=bool)
        region: ActionRegion = problem.region.take(best.person)
        points = region.to_raw(problem.assemble(best.person, best.values, best.levels))
        encoded = torch.from_numpy(task.predictor.space.encode(points))
        target = task.target[rows]
        logits = task.predictor.logits(encoded).detach()
        slack = validity_slack(logits, torch.from_numpy(target), margin).numpy()
        confirmed = (slack >= 0) & (
            task.predictor.predict(points) == task.predictor.classes[target]
        )
        confirmed &= region.contains(encoded).numpy()
        keep = torch.from_numpy(confirmed)
        kept = rows[confirmed]
        self.delta[kept] = (encoded - region.origin).numpy()[confirmed]
        self.cost[kept] = best.cost[keep].numpy()
        self.margin[kept] = target_margin(logits, torch.from_numpy(target)).numpy()[confirmed]
        changed = problem.changed(best.person, best.values, best.levels)
        self.changed[kept] = changed.numpy()[confirmed]
        return confirmed

    def result(self, task: _Task, denied: np.ndarray, protocol: str) -> RecourseResult:
        status = np.full(len(self.cost), "already_favorable", dtype="<U17")
        status[denied] = np.where(np.isnan(self.cost[denied]), "not_found", "feasible")
        found = status != "not_found"
        cost = np.where(status == "already_favorable", 0.0, self.cost)
        delta = np.where(found[:, None], self.delta, np.nan)
        region = task.actions.at(task.X)
        points = region.to_raw(region.origin + torch.from_numpy(np.nan_to_num(delta, nan=0.0)))
        return RecourseResult(
            X=task.X,
            points=points,
            delta=delta,
            cost=cost,
            margin=self.margin,
            status=status,
            valid=found,
            changed=self.changed,
            target=task.predictor.classes[task.target],
            actions=task.actions,
            protocol=protocol,
        )
