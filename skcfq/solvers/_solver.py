"""RecourseSolver: validates, picks a method, verifies every answer on the raw row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from skcfq.actions import ActionSet
from skcfq.exceptions import InterruptedWarning
from skcfq.models import as_predictor, carried_action_set, carried_target
from skcfq.results import RecourseResult
from skcfq.solvers._chunk import solve_chunk
from skcfq.solvers._collection import Collection
from skcfq.solvers._methods import METHODS, choose_method
from skcfq.solvers._own_rows import margin_of, own_logits
from skcfq.solvers._parameters import required_margin, second_predictor
from skcfq.solvers._provenance import protocol_of, provenance_of
from skcfq.solvers._task_reading import read_task
from skcfq.solvers.problems import Effort, Method, Solution, Task
from skcfq.utils import Interval, KnownParameters, StrOptions, take_rows, warn_user


class RecourseSolver(KnownParameters):
    """Find the cheapest admissible action that makes a model say the target.

    Parameters
    ----------
    action_set : ActionSet, default=None
        What people may change, on the columns of the X given to :meth:`solve`. None takes that
        of the model: estimators and model files of this library carry the one they were given,
        and the teacher that such a fit made carries it too. Without any, every column may move
        inside its observed range.
    method : {"auto", "exact", "lp", "qp", "milp", "gradient", "black_box", "pgd"} or Method, \
            default="auto"
        Exact, for linear models: ``"exact"`` solves all people at once (two classes, a cost that
        is a sum over features, no rules across features); ``"lp"`` (l1) and ``"qp"`` (l2, mixed)
        are convex programs for continuous features; ``"milp"`` takes everything else.
        Heuristic, for any model with gradients: ``"gradient"``, relaxed descent and a beam
        search over exactly evaluated moves, whose points are then made cheaper. Heuristic, for
        any function: ``"black_box"``. ``"pgd"`` is the literal K-step recursion of Eq. 6, whose
        actions are neither cheap nor always valid. ``"auto"`` takes the fastest exact method that
        applies, else ``"gradient"``, else ``"black_box"``; ``result.method`` says which. A
        :class:`Method` is one of your own.
    cost : {"l1", "l2", "mixed"}, default=None
        Norm of the weighted action (Eq. 4). None is the cost that the action set states.
    cost_weights : {"std", "mad", "uniform"}, dict or array-like, default=None
        Weight of each feature (Appendix A.5): one over its spread, or given by name, or one number
        for each feature that can change. None is what the action set states.
    target : label, "opposite", array-like of shape (n,) or None, default=None
        The class that people want. None takes the target that the model was given, as for
        ``action_set``, else the last of ``classes_``, each time with a warning where labels are
        text, and then ``explain`` and ``flipset`` refuse to tell people.
    margin : float, default=0.0
        Target margin, in logit units, that a valid point must have.
    target_proba : float, default=None
        Probability of the target that a valid point must have, in (0, 1), confirmed by the
        model's ``predict_proba``. With more than two classes, a margin that suffices for it.
    perturbation_radius : float or "auto", default="auto"
        Distance from where the decision changes, in units of each numeric feature's spread: the
        target must survive jitter of this size of all of them, whole numbers and immutable ones
        included, and changed features go further until it does. ``"auto"`` is 1e-4 where the
        model has quantized inputs, because its cheapest point lies on a rounding threshold. It is
        0 for all other models, for the literal ``"pgd"``, and in :meth:`compare`, which
        measures models and advises nobody. ``result.protocol`` says what was used.
    weight_radius : float, default=0.0
        Exact methods only: the action holds for every linear model whose weights and intercept
        differ by at most this much each (logit units per encoded unit).
    n_alternatives : int, default=1
        Actions for each person. Of two of them, neither changes all the features that the cheaper
        one changes.
    n_restarts : int, default=1
        Random starts of ``"gradient"``, beside the person's own row.
    beam_width : int, default=6
        Points that the beam search keeps for each person.
    n_steps : int, default=3
        K of Eq. 6, for ``"pgd"``.
    step_size : float, default=1.0
        α of Eq. 6, in encoded units, for ``"pgd"``.
    time_limit : float, default=None
        Seconds for one person, for exact methods; for ``"exact"`` the mean over a batch.
    batch_size : int, default=None
        People that are solved together; bounds the memory. None takes what suits the method.
    n_jobs : int, default=None
        Batches that are solved at once, through joblib, whose backends (Dask, Ray) apply.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.
    verbose : int, default=0
        1 shows a progress bar.

    Notes
    -----
    Every action was verified on the decoded raw row: it obeys all rules, and the model's own
    ``predict`` gives the target. ``"optimal"`` and ``"infeasible"`` are proved, and only exact
    methods say so. An action of a heuristic is ``"feasible"``; a person for whom it found nothing
    is ``"not_found"``, which proves nothing.

    A valid point has at least 1e-9 of the logits' scale as margin (rounding would reject it
    otherwise), so an optimal cost is above the mathematical optimum by up to some 1e-7 of it.

    References
    ----------
    Paper, §3.1, Eq. 3 to 12, Appendix A (A.6 for linear models) and E.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import RecourseSolver
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
    >>> result = RecourseSolver(random_state=0).solve(model, X, background=X)
    >>> result.status.tolist()
    ['optimal', 'optimal', 'already_favorable', 'already_favorable']
    >>> bool((model.predict(result.points) == 1).all())
    True
    """

    _parameter_constraints: dict = {
        "action_set": [ActionSet, None],
        "method": [StrOptions({"auto", *METHODS}), Method],
        "cost": [StrOptions({"l1", "l2", "mixed"}), None],
        "cost_weights": [StrOptions({"std", "mad", "uniform"}), dict, "array-like", None],
        "target": "no_validation",
        "margin": [Interval(Real, 0, None, closed="left")],
        "target_proba": [Interval(Real, 0, 1, closed="neither"), None],
        "perturbation_radius": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "weight_radius": [Interval(Real, 0, None, closed="left")],
        "n_alternatives": [Interval(Integral, 1, None, closed="left")],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither")],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        action_set: ActionSet | None = None,
        *,
        method: str | Method = "auto",
        cost: str | None = None,
        cost_weights: Any = None,
        target: Any = None,
        margin: float = 0.0,
        target_proba: float | None = None,
        perturbation_radius: float | str = "auto",
        weight_radius: float = 0.0,
        n_alternatives: int = 1,
        n_restarts: int = 1,
        beam_width: int = 6,
        n_steps: int = 3,
        step_size: float = 1.0,
        time_limit: float | None = None,
        batch_size: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.action_set = action_set
        self.method = method
        self.cost = cost
        self.cost_weights = cost_weights
        self.target = target
        self.margin = margin
        self.target_proba = target_proba
        self.perturbation_radius = perturbation_radius
        self.weight_radius = weight_radius
        self.n_alternatives = n_alternatives
        self.n_restarts = n_restarts
        self.beam_width = beam_width
        self.n_steps = n_steps
        self.step_size = step_size
        self.time_limit = time_limit
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_estimator(cls, estimator: Any, **parameters: Any) -> RecourseSolver:
        """Make a solver with the action set and the target of an estimator.

        :meth:`solve` reads them from the model that it is given. This is for other models of the
        same table, such as a teacher that was fitted before.

        Parameters
        ----------
        estimator : estimator or loaded model file
            One that was given an action set or a target, or a pipeline or search around it.
        **parameters : dict
            All other parameters of the solver; an ``action_set`` or a ``target`` wins.

        Returns
        -------
        solver : RecourseSolver

        Raises
        ------
        ActionSetError
            The rules name columns behind the steps of a pipeline.
        TargetError
            The target is a rule for training rows.

        Examples
        --------
        >>> from skcfq import CFQClassifier, RecourseSolver
        >>> clf = CFQClassifier(target="granted")
        >>> RecourseSolver.from_estimator(clf, n_restarts=2)
        RecourseSolver(n_restarts=2, target='granted')
        """
        if parameters.get("action_set") is None:
            parameters["action_set"] = carried_action_set(estimator)
        if parameters.get("target") is None:
            parameters["target"] = carried_target(estimator)
        return cls(**parameters)

    def solve(
        self,
        model: Any,
        X: Any,
        *,
        background: Any = None,
        overrides: Any = None,
        start: Any = None,
        variants: Sequence[Any] = (),
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
        overrides : dict of row label to rules, optional
            Rules of single people: ``{label: {"immutable": [...], "bounds": {name: (low,
            high)}}}``. Labels are those of the index of X, positions for an array. Bounds take
            the place of the action set's; immutable features are added to its own.
        start : DataFrame or ndarray of shape (n, n_raw_columns), optional
            Raw points to start from too, for example another model's ``result.points``. Where
            such a point is valid, the answer of a method that searches never costs more.
        variants : sequence of fitted estimators or Predictors, default=()
            Further models on the same feature space, for example from
            :func:`skcfq.models.deployment_variants`, that must give the target too (robust
            recourse, Appendix E.2).

        Returns
        -------
        result : RecourseResult
            Complete also after an interruption by the keyboard: who was not reached yet has the
            status ``"time_limit"``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The model is not fitted.
        TargetError, ActionSetError, BackgroundRequiredError, UnsupportedModelError
        """
        task = self._task(model, X, background, overrides, variants)
        return self._solve(task, [] if start is None else [start])

    def solve_chunks(
        self,
        model: Any,
        chunks: Iterable[Any],
        *,
        background: Any = None,
        variants: Sequence[Any] = (),
        total: int | None = None,
    ) -> Iterator[RecourseResult]:
        """Solve a table that is read chunk by chunk, with bounded memory.

        Parameters
        ----------
        model : fitted estimator or Predictor
        chunks : iterable of DataFrame or ndarray
            For example ``pandas.read_csv(path, chunksize=10_000)``.
        background : DataFrame or ndarray, optional
            As in :meth:`solve`; read once.
        variants : sequence of fitted estimators or Predictors, default=()
            As in :meth:`solve`.
        total : int, optional
            Number of rows, for the progress bar.

        Yields
        ------
        result : RecourseResult
            One for each chunk, in order.
        """
        self._validate_params()
        predictor = as_predictor(model, background=background)
        quiet = clone(self).set_params(verbose=0)
        with tqdm(total=total, disable=not self.verbose, desc="recourse", unit="row") as bar:
            for chunk in chunks:
                yield quiet.solve(predictor, chunk, variants=variants)
                bar.update(len(chunk))

    def compare(
        self,
        reference: Any,
        deployed: Any,
        X: Any,
        *,
        background: Any = None,
        overrides: Any = None,
    ) -> tuple[RecourseResult, RecourseResult]:
        """Solve two models so that the gap between their costs is not the solver's own.

        Each model also starts from the other's action. So where the reference's action is valid
        under the deployed model, the deployed cost is never above the reference's. Both models
        have the same perturbation radius: none, unless a number was given.

        Parameters
        ----------
        reference, deployed : fitted estimators
            Both must read the raw columns through one feature space. Where solver and reference
            have no action set, or no target, that of the deployed model counts.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        background : DataFrame or ndarray, optional
        overrides : dict of row label to rules, optional
            As in :meth:`solve`.

        Returns
        -------
        result_reference, result_deployed : RecourseResult

        Raises
        ------
        SpaceMismatchError
            The two models do not share one feature space.
        """
        first = self._task(reference, X, background, overrides, deployed=deployed)
        if self.perturbation_radius == "auto":
            # One that the deployed model alone has would be a recourse gap of its own.
            first = replace(first, perturbation_radius=0.0)
        second = self._second_task(first, deployed, background)
        result_reference = self._solve(first, [])
        result_deployed = self._solve(second, [result_reference.points])
        # A cheaper action that only the deployed solve found is the reference's too, if valid.
        result_reference = self._adopt(first, result_reference, result_deployed)
        result_deployed = self._adopt(second, result_deployed, result_reference)
        return result_reference, result_deployed

    def _adopt(self, task: Task, mine: RecourseResult, theirs: RecourseResult) -> RecourseResult:
        from skcfq.solvers._comparison import with_cheaper_actions

        better = with_cheaper_actions(task, mine, theirs)
        return mine if better is None else self._result(task, [better], mine.method)

    def _task(self, model: Any, X: Any, background: Any, *more: Any, **named: Any) -> Task:
        self._validate_params()
        return read_task(self, model, X, background, *more, **named)

    def _second_task(self, first: Task, deployed: Any, background: Any) -> Task:
        predictor = second_predictor(first.predictor, deployed, background)
        margin = required_margin(self.margin, self.target_proba, predictor, first.target)
        decisions = predictor.predict(first.X)
        return replace(first, predictor=predictor, decisions=decisions, margin=margin)

    def _solve(self, task: Task, starts: list[Any]) -> RecourseResult:
        method = choose_method(self.method, task)
        denied = np.flatnonzero(task.decisions != task.predictor.classes[task.target])
        logits = own_logits(task)
        task = replace(task, logits=logits)
        margin = margin_of(logits, task.target)
        ranks = [Collection.before(task, denied, margin.copy()) for _ in range(self.n_alternatives)]
        size = self.batch_size or method.batch_size_for(task)
        chunks = [denied[first : first + size] for first in range(0, len(denied), size)]
        effort = Effort(
            self.n_restarts, self.beam_width, self.n_steps, self.step_size, self.time_limit
        )
        jobs = (
            delayed(solve_chunk)(
                method, effort, task.take(rows), seed, [take_rows(start, rows) for start in starts]
            )
            for rows, seed in zip(chunks, self._seeds(method, len(chunks)), strict=True)
        )
        # Even a silent bar takes as long as reading the rules does.
        bar = tqdm(total=len(denied), desc="recourse", unit="person") if self.verbose else None
        with bar or nullcontext():
            try:
                for rows, parts in zip(chunks, self._parts(jobs, len(chunks)), strict=True):
                    for rank, part in zip(ranks, parts, strict=True):
                        rank.write(rows, part)
                    if bar is not None:
                        bar.update(len(rows))
            except KeyboardInterrupt:
                left = int((ranks[0].status == "time_limit").sum())
                warn_user(
                    f"Interrupted: {left} of {len(denied)} people were not looked at; they have "
                    "the status 'time_limit'.",
                    InterruptedWarning,
                )
        return self._result(task, [rank.solution() for rank in ranks], method.name)

    def _seeds(self, method: Method, n_chunks: int) -> list[int]:
        """Return a seed for every chunk; methods that prove draw nothing."""
        if method.proves:
            return [0] * n_chunks
        return check_random_state(self.random_state).randint(2**31 - 1, size=n_chunks).tolist()

    def _parts(self, jobs: Iterable[Any], n_chunks: int) -> Iterable[list[Solution]]:
        """Solve the chunks, one after the other or shared out; a single one is not worth it."""
        if n_chunks == 1:
            return (solve(*given, **named) for solve, given, named in jobs)
        return Parallel(n_jobs=self.n_jobs, return_as="generator")(jobs)

    def _result(self, task: Task, ranks: list[Solution], method: str) -> RecourseResult:
        parameters = self.get_params(deep=False)
        provenance = provenance_of(parameters, task, method)
        results = [
            RecourseResult(
                X=task.X,
                points=rank.points,
                cost=rank.cost,
                margin=rank.margin,
                status=rank.status,
                valid=rank.found,
                changed=rank.changed,
                target=task.predictor.classes[task.target],
                actions=task.actions,
                protocol=protocol_of(parameters, task, method, rank.status),
                lower_bound=rank.bound,
                method=method,
                cost_function=task.cost,
                provenance=provenance,
            )
            for rank in ranks
        ]
        return replace(results[0], alternatives=tuple(results[1:]))
