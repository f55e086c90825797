"""RecourseSolver: validates, picks a method, verifies every answer on the raw row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

from skcfq.actions import ActionSet
from skcfq.exceptions import UnsupportedModelError
from skcfq.results import RecourseMenu, RecourseResult
from skcfq.solvers._menu import menu_of
from skcfq.solvers._methods import METHODS
from skcfq.solvers._parameters import told_by
from skcfq.solvers._result_building import result_of
from skcfq.solvers._running import solve_task
from skcfq.solvers._stopping import tell_interruption
from skcfq.solvers._stream import check_stream, model_of_stream, solve_stream
from skcfq.solvers._task_reading import (
    check_is_list_of_models,
    read_starts,
    read_task,
    second_task,
)
from skcfq.solvers.problems import Method, Task
from skcfq.utils import Interval, KnownParameters, StrOptions, check_flag

# No radius or step in units of logits or of encoded columns is larger.
_LARGEST = 1e9


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
        is a sum over features), and only those one by one whose cheapest action breaks a rule
        across features; ``"lp"`` (l1) and ``"qp"`` (l2, mixed) are convex programs for continuous
        features; ``"milp"`` takes everything else.
        ``"exact"`` also proves for networks with rectifiers or integers whose numbers have grids,
        or are read as integer codes, and for trees, forests and boosted trees.
        Heuristic, for any model with gradients: ``"gradient"``, relaxed descent and a beam
        search over exactly evaluated moves, whose points are then made cheaper. Heuristic, for
        any function: ``"black_box"``. ``"pgd"`` is the literal K-step recursion of Eq. 6, whose
        actions are neither cheap nor always valid. ``"auto"`` takes the fastest exact method that
        applies, else ``"gradient"``, whose answers it compares with those of ``"black_box"``, else
        ``"black_box"``; ``result.method`` says which. A :class:`Method` is one of your own.
    cost : {"l1", "l2", "mixed"}, default=None
        Norm of the weighted action (Eq. 4). None is the cost that the action set states.
    cost_weights : {"std", "mad", "uniform"}, dict or array-like, default=None
        Weight of each feature (Appendix A.5): one over its spread, or given by name, or one number
        for each feature that can change. None is what the action set states.
    target : label, "opposite", array-like of shape (n,) or None, default=None
        The class that people want. None takes the target that the model was given, as for
        ``action_set``, else the last of ``classes_``, each time with a warning where labels are
        text, and then ``explain`` and ``flipset`` refuse to tell people.
    margin : float, "auto" or "promise", default="auto"
        Target margin, in logit units, that a valid point must have. ``"promise"`` is
        ``recourse_margin_`` of the model, or of the student whose fit has made it: what advice
        needs to hold in the student (``promise`` of CFQClassifier). ``"auto"`` is what single
        precision may take from it at that point, from the raw row on, so that a plain float32 copy
        of the model (an ONNX export) accepts the advice as well; it costs some millionths. Where
        so much cannot be had, it is not asked for. It is 0 for models of integers, for functions,
        for the literal ``"pgd"``, and in :meth:`compare`. ``result.protocol`` says what was used.
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
    step_size : float, default=0.5
        α of Eq. 6, in encoded units, for ``"pgd"``; as in training.
    max_nodes : int, default=50000
        Nodes of one person's search tree after which a proof on a network or on trees is given up;
        ``"auto"`` then searches too. What is found is ``"feasible"``, with its ``lower_bound``.
    time_limit : float, default=None
        Seconds for one person, for exact methods; for ``"exact"`` the mean over a batch.
    batch_size : int, default=None
        People that are solved together; bounds the memory. None takes what suits the method.
    n_jobs : int, default=None
        Processes that solve at once, this one among them, where that is worth their start; or the
        workers of the backend of joblib that is active (Dask, Ray), and this process.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts, which are drawn for each person alone.
    verbose : int, default=0
        1 shows a progress bar.

    Notes
    -----
    Every action was verified on the decoded raw row: it obeys all rules, and the model's own
    ``predict`` gives the target. ``"optimal"`` and ``"infeasible"`` are proved, and only exact
    methods say so. An action of a heuristic is ``"feasible"``; a person for whom it found nothing
    is ``"not_found"``, which proves nothing.

    A person's answer depends on that person, the model, the rules and ``random_state``, to the
    last bit: not on who else is asked about, on the order, on ``batch_size`` or on ``n_jobs``.
    Exceptions are a ``time_limit``, and a function or closed model whose own answer to a row
    depends on the rows that it is asked about together.

    An optimal cost is the least one for the margin that is asked for: with ``"auto"`` it is above
    the mathematical optimum by some 1e-6 of it. With ``margin=0``, a valid point still has 1e-9 of
    its logits' scale (rounding would reject it otherwise), and the cost is above by up to 1e-7.

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
        "margin": [StrOptions({"auto", "promise"}), Interval(Real, 0, _LARGEST, closed="both")],
        "target_proba": [Interval(Real, 0, 1, closed="neither"), None],
        "perturbation_radius": [StrOptions({"auto"}), Interval(Real, 0, _LARGEST, closed="both")],
        "weight_radius": [Interval(Real, 0, _LARGEST, closed="both")],
        "n_alternatives": [Interval(Integral, 1, 1000, closed="both")],
        "n_restarts": [Interval(Integral, 0, 10_000, closed="both")],
        "beam_width": [Interval(Integral, 1, 10_000, closed="both")],
        "n_steps": [Interval(Integral, 1, 100_000, closed="both")],
        "step_size": [Interval(Real, 0, _LARGEST, closed="right")],
        "max_nodes": [Interval(Integral, 1, None, closed="left")],
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
        margin: float | str = "auto",
        target_proba: float | None = None,
        perturbation_radius: float | str = "auto",
        weight_radius: float = 0.0,
        n_alternatives: int = 1,
        n_restarts: int = 1,
        beam_width: int = 6,
        n_steps: int = 3,
        step_size: float = 0.5,
        max_nodes: int = 50_000,
        time_limit: float | None = None,
        batch_size: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
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
        self.max_nodes = max_nodes
        self.time_limit = time_limit
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_estimator(cls, estimator: Any, **parameters: Any) -> RecourseSolver:
        """Make a solver with the action set, the target and the promise of an estimator.

        :meth:`solve` reads them from the model that it is given. This is for other models of the
        same table, such as a teacher that was fitted before.

        Parameters
        ----------
        estimator : estimator or loaded model file
            One that was given an action set or a target, or a pipeline or search around it.
        **parameters : dict
            All other parameters of the solver; an ``action_set`` or a ``target`` wins, and
            ``margin="promise"`` becomes the number.

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
        if isinstance(estimator, type) or not hasattr(estimator, "predict"):
            raise UnsupportedModelError(
                f"estimator={estimator!r} is no classifier; give one that has rules or a target."
            )
        return cls(**told_by(estimator, parameters))

    def solve(
        self,
        model: Any,
        X: Any,
        *,
        background: Any = None,
        overrides: Any = None,
        start: Any = None,
        variants: Sequence[Any] = (),
        keep_partial: bool = True,
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
            the model, or the last step of a pipeline, carries none.
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
        keep_partial : bool, default=True
            Whether Ctrl-C returns what is done; False raises KeyboardInterrupt, for those to whom
            a part of the people is of no use.

        Returns
        -------
        result : RecourseResult
            Complete also after Ctrl-C: ``interrupted`` is True, and who was not finished yet has
            the status ``"time_limit"``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The model is not fitted.
        TargetError, ActionSetError, BackgroundRequiredError, UnsupportedModelError
        WorkerDiedError
            Its ``results`` have those who were finished; what a model itself raises has them too.
        """
        check_flag("keep_partial", keep_partial)
        task = self._task(model, X, background, overrides, variants)
        result = solve_task(self.get_params(deep=False), task, read_starts(start, task.X))
        tell_interruption(result, keep_partial=keep_partial)
        return result

    def menu(
        self,
        model: Any,
        x: Any,
        *,
        max_levers: int = 2,
        background: Any = None,
        overrides: Any = None,
    ) -> RecourseMenu:
        """Tell one person what every small set of features can do.

        Parameters
        ----------
        model : fitted estimator or Predictor
        x : DataFrame or ndarray of shape (1, n_raw_columns)
        max_levers : int, default=2
            Features that a set has at most; never more than the rules allow to change.
        background, overrides
            As in :meth:`solve`.

        Returns
        -------
        menu : RecourseMenu, empty where the model gives the target already

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> solver = RecourseSolver(ActionSet(bounds={1: (0, 4)}), target=1)
        >>> solver.menu(model, X[:1], background=X)
        RecourseMenu(2 of 3 sets of levers suffice; exact)
        """
        task = self._task(model, x, background, overrides)
        menu = menu_of(self.get_params(deep=False), task, max_levers)
        tell_interruption(menu.result, keep_partial=True)
        return menu

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
            As in :meth:`solve`; read once. Where none is needed, a pipeline is read with the
            types of the first chunk.
        variants : sequence of fitted estimators or Predictors, default=()
            As in :meth:`solve`.
        total : int, optional
            Number of rows, for the progress bar.

        Yields
        ------
        result : RecourseResult
            One for each chunk, in order. Ctrl-C while one is solved ends the stream: its result,
            with those who were finished, is the last, and says ``interrupted``. Between two of
            them it raises KeyboardInterrupt, and nothing is left to hand over.

        Raises
        ------
        ValueError
            An argument is not what it must be; of a chunk that is no table, when it comes.
        """
        self._validate_params()
        check_stream(chunks, total)
        check_is_list_of_models(variants)
        return solve_stream(self, model_of_stream(model, background), chunks, variants, total)

    def compare(
        self,
        reference: Any,
        deployed: Any,
        X: Any,
        *,
        background: Any = None,
        overrides: Any = None,
        keep_partial: bool = True,
    ) -> tuple[RecourseResult, RecourseResult]:
        """Solve two models so that the gap between their costs is not the solver's own.

        Each model also starts from the other's action. So where the reference's action is valid
        under the deployed model, the deployed cost is never above the reference's. Both models
        have the same perturbation radius: none, unless a number was given.

        Parameters
        ----------
        reference, deployed : fitted estimators
            Of the same raw columns; costs are in the reference's units. Where solver and reference
            have no action set, or no target, that of the deployed model counts.
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        background : DataFrame or ndarray, optional
        overrides : dict of row label to rules, optional
        keep_partial : bool, default=True
            Both as in :meth:`solve`.

        Returns
        -------
        result_reference, result_deployed : RecourseResult
            Complete also after Ctrl-C, as in :meth:`solve`; people who were not finished under a
            model are not offered the other's action.

        Raises
        ------
        SpaceMismatchError
            The two models have different classes.
        WorkerDiedError
            Its ``results`` have those who were finished; what a model itself raises has them too.
        """
        from skcfq.solvers._comparison import solve_both

        check_flag("keep_partial", keep_partial)
        first = self._task(reference, X, background, overrides, deployed=deployed)
        # What one of the models alone has would be a recourse gap of its own.
        first = replace(first, single_precision=False)
        if self.perturbation_radius == "auto":
            first = replace(first, perturbation_radius=0.0)
        second = second_task(self, first, deployed, background)
        parameters = self.get_params(deep=False)
        solve, make = partial(solve_task, parameters), partial(result_of, parameters)
        results = solve_both(solve, make, first, second)
        tell_interruption(*results, keep_partial=keep_partial)
        return results

    def _task(self, model: Any, X: Any, background: Any, *more: Any, **named: Any) -> Task:
        self._validate_params()
        return read_task(self, model, X, background, *more, **named)
