"""Counterfactual-faithful quantization: the estimator of the paper (§4, Algorithm 2)."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from skcfq.actions import ActionSet
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._promised import PROMISES, check_advice_can_pay
from skcfq.estimators._student import STUDENT_CONSTRAINTS, StudentClassifier
from skcfq.estimators._target_rules import targets_by_rule
from skcfq.estimators._teacher import half_as_wide
from skcfq.models import default_target, resolve_target
from skcfq.nn import subnormals_as_zero
from skcfq.training import (
    OBJECTIVES,
    BitPolicy,
    CFQObjective,
    Finish,
    People,
    Quantizer,
    TeacherActions,
    TrainingPlan,
    TrainingTable,
    draw_seed,
    grouped_for_task,
    groups_of,
    labels_of_rows,
    objective_of,
    suiting_policy,
    supervise_both,
)
from skcfq.utils import HeldInterrupts, Interval, StrOptions

_TASK_GROUPS = "objective.task_groups"


class CFQClassifier(StudentClassifier):
    r"""Quantized network that is trained to keep its teacher's recourse valid under a bit budget.

    With teacher f, quantized network :math:`f_q` and teacher recourse :math:`\delta_{fp}`, the
    paper's loss is

    .. math:: L_{task}(f_q(x), y) + \eta L_{valid}(f_q(x + \delta_{fp}), y_{tgt})
              + \lambda\,\text{BitCost},

    the second term over the people whom the teacher refuses, and accepts at the point that its
    recourse leads to. It is one-sided: the cheapest way to satisfy it is to be lenient. The default
    objective keeps the teacher's margins there instead, above and below, so that advice keeps
    working *and* keeps its price.

    Parameters
    ----------
    budget : float, default=4
        Average weight bits per weight, at most. Biases, steps and activations are not counted.
    action_set : ActionSet, default=None
        What people may change, on the columns of X. None lets every column move inside its
        observed range.
    target : label, "opposite", callable or None, default=None
        The outcome that people want: a label, the other one than the teacher's decision (two
        classes), or a rule ``T(X, y)`` that returns one label a row. None takes the last of
        ``classes_``, with a warning where labels are text.
    encoder : transformer, default=None
        Map from raw to encoded columns, fitted here unless it is; None is a ``TableEncoder``.
    teacher : estimator or torch Module, default=None
        Full-precision model. Fitted or frozen, it is used as it is; unfitted, a clone is fitted
        (inside a search, wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`: clones
        forget a fit). None is a :class:`~skcfq.TeacherClassifier` of the same layers, or half as
        wide where all have 64 units or more and the student follows its logits. A torch module is
        taken as trained, behind the fitted ``encoder`` (None: X itself).
    objective : {"paper", "faithful", "literal"} or CFQObjective, default="faithful"
        Terms of the loss, and what follows the training. ``"paper"`` is the one above, with
        :math:`\eta = 1`; ``"faithful"`` has the teacher's target margins at x, at x + δ, on the way
        there and at points of feature mixup in the place of the validity loss, and then rounds
        again and keeps a promise.
    promise : {"model", "advice"} or None, default="model"
        Who pays for it that no more than the share ``validity_drop`` of the objective's ``finish``
        lose the teacher's advice. ``"model"``: a bias of the target's logit, so that the model is
        lenient, and the cheapest advice holds. ``"advice"``: a margin, ``recourse_margin_``, which
        advice then has to have, and the model accepts as many as it was trained to. None: nobody
        yet. What either costs is told in ``promise_costs_``.
    bit_policy : {"units", "learned", "searched", "sensitivity", "uniform"}, BitPolicy or None
        How widths are chosen: before the training by the error of each unit, of each layer, or of
        all layers together; learned in a quarter of it; or one for all. None takes ``"units"``
        where the loss follows the teacher's logits and the quantizer allows it, which no
        ``module`` does, and ``"learned"`` otherwise.
    teacher_actions : TeacherActions, default=None
        How the teacher's recourse is computed in training. None takes what suits the objective:
        cheapest actions of the solver for ``"faithful"``, K steps for ``"paper"``.
    quantizer : Quantizer, default=None
        Widths of inputs and hidden activations, and what has a weight step of its own; None is
        ``Quantizer()``: 12 and 8 bits, one step a unit.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Empty for logistic regression. Whole multiples of the teacher's layers start from copies of
        its units, which lose less.
    module : torch Module or callable, default=None
        Network whose Linear, Conv1d and Conv2d layers are quantized: one that is copied, or a
        callable ``(n_inputs, n_classes) -> Module``. The default teacher has it too, and the
        student starts from its weights.
    max_iter : int, default=None
        Passes of the quantized network over the data; None takes enough for some thousand updates.
    batch_size : int, default=256
    learning_rate_init : float, default=None
        Rate of Adam at the start; it falls to 0 along a cosine. None takes 0.002 where the loss
        follows the teacher's logits, and 0.004 otherwise.
    alpha : float, default=1e-3
        Weight decay, of the teacher that is fitted here too.
    class_weight : dict, "balanced" or None, default=None
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, stratified by label, stop once the validation
        loss has not fallen by 0.01 % for ``n_iter_no_change`` passes at fixed widths, and return to
        the pass where it was lowest. The default teacher does not see these rows.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    warm_start : bool, default=False
        Go on from the network of the previous fit, its steps and its widths; see the notes.
    callbacks : list of skorch callbacks, default=None
        For the training of the quantized network; one of them may stop it early.
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``: where the network is trained. It is
        used on the CPU.
    memory : None, str or object with the joblib.Memory interface, default=None
        Where the fitted teacher, and its recourse, are remembered, for a search over
        ``objective__eta``. It needs a ``random_state`` that is an integer.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    target_ : label, "opposite" or None
        None where the target is a rule.
    logit_bias_ : float
        By which the target's logit was raised at the end, in logit units: the leniency that the
        promise cost. 0 where the model does not pay.
    recourse_margin_ : float
        Margin, in logit units, that the teacher's advice needs to keep the promise: 0 where the
        model pays; missing without a promise. ``RecourseSolver(margin="promise")`` asks for it.
    promise_costs_ : DataFrame
        What the model would pay, and what the advice; see :meth:`recalibrate` for new people.
    margin_error_ : float
        Standard deviation of the student's less the teacher's target margin at the cheapest advice
        of held-out people, in logit units: what is left of the quantization.
    expected_recourse_gap_ : float
        Mean absolute recourse gap that these people are to expect, without a solve: the mean of
        min(1, \|e\| / \|m\|), e the difference of the two margins at the advice, the bias
        included, and m the teacher's target margin at x. A RecourseGapWarning is shown above 0.2.
    acceptance_rates_ : dict
        Shares of the training rows that get the target, from the ``"teacher"`` and the ``"model"``.
    teacher_ : estimator
        The reference that recourse is measured against.
    bit_widths_ : ndarray of shape (n_layers,)
        Weight bits of each layer, averages where units differ (``unit_bit_widths_``).
    average_bits_ : float
        Never above ``budget``.
    feature_space_ : FeatureSpace
    encoder_ : transformer
    bit_cost_, bops_ : int
        Bits of all weights, and bit operations of one row (§4.3).
    network_ : QuantizedMLP or QuantizedModule
    history_ : DataFrame
        Mean of each loss term, and the bits, of every pass; with ``early_stopping``, loss,
        accuracy and validity drop on the validation share (``valid_loss``, ``valid_accuracy``,
        ``valid_validity_drop``). Later fits with ``warm_start`` are appended.
    n_iter_ : int
        Passes of the last fit.
    interrupted_ : bool
        Whether Ctrl-C ended the fit early.

    Notes
    -----
    A model can have a small validity drop because it is lenient, which shows as a negative recourse
    gap. Look at both (``faithfulness_scorer``).

    Arrays are trained on in double precision, float32 arrays and DataFrames in single; inference
    is always in double.

    With ``warm_start`` a further fit has ``max_iter`` passes more. The teacher, the encoder and the
    widths stay as they are; the learning rate starts anew. Columns, labels, layers and candidate
    widths must be the same, and the widths must meet the budget.

    Ctrl-C ends the fit: after a whole pass the network is kept as it is, with widths within the
    budget, and a warning; before, and in a search, KeyboardInterrupt is raised and nothing is kept.
    After numbers that are not finite it is kept as it was before that pass.

    References
    ----------
    Paper, §4.1 to §4.4, Algorithm 2.

    Examples
    --------
    >>> from skcfq import CFQClassifier
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(300, random_state=0)
    >>> model = CFQClassifier(budget=4, action_set=credit.action_set, target=credit.favorable,
    ...                       hidden_layer_sizes=(8,), max_iter=10, batch_size=32, random_state=0)
    >>> model.fit(credit.data, credit.target).average_bits_ <= 4
    True
    """

    _parameter_constraints: dict = {
        **STUDENT_CONSTRAINTS,
        "bit_policy": [*STUDENT_CONSTRAINTS["bit_policy"], None],
        "objective": [StrOptions(set(OBJECTIVES)), CFQObjective],
        "teacher_actions": [TeacherActions, None],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), None],
        "promise": [StrOptions(set(PROMISES)), None],
    }

    def __init__(
        self,
        budget: float = 4,
        *,
        action_set: ActionSet | None = None,
        target: Any = None,
        encoder: Any = None,
        teacher: Any = None,
        objective: Any = "faithful",
        promise: str | None = "model",
        bit_policy: Any = None,
        teacher_actions: TeacherActions | None = None,
        quantizer: Quantizer | None = None,
        hidden_layer_sizes: tuple[int, ...] = (64, 64),
        module: Any = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        learning_rate_init: float | None = None,
        alpha: float = 1e-3,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        callbacks: list | None = None,
        device: str = "cpu",
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.budget = budget
        self.action_set = action_set
        self.target = target
        self.encoder = encoder
        self.teacher = teacher
        self.objective = objective
        self.promise = promise
        self.bit_policy = bit_policy
        self.teacher_actions = teacher_actions
        self.quantizer = quantizer
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module = module
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, sensitive_features: Any = None
    ) -> CFQClassifier:
        """Train the teacher, compute its recourse, and train the quantized network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Numbers, text, categories and gaps.
        y : array-like of shape (n_samples,)
            Labels of two or more classes.
        sample_weight : array-like of shape (n_samples,), default=None
        sensitive_features : array-like of shape (n_samples,), default=None
            Group of each row, of any hashable type, for ``groups`` or ``task_groups``.

        Returns
        -------
        self : CFQClassifier

        Raises
        ------
        BudgetError
            No candidate width meets the budget.
        ActionSetError
            The rules do not fit the columns of X, or contradict each other.
        TargetError
            The target is no class.
        """
        table = self._training_table(X, y, sample_weight)
        self._check_plan()
        objective = objective_of(self.objective)
        named = labels_of_rows(sensitive_features, sample_weight, X)
        groups = groups_of(objective, named)
        table, of_task = grouped_for_task(table, objective.task_groups, named, _TASK_GROUPS)
        rng = check_random_state(self.random_state)
        self._forget_promise()
        rows, held = self._hold_out(table, rng, of_task)
        teacher = self._fit_teacher(table.take(rows), rng)
        decisions = teacher.predict(table.X)
        self._check_rules(table)
        target = self._resolve_target(table, decisions)
        denied = decisions != self.classes_[target]

        def people_of(some: np.ndarray) -> People:
            part = table.take(some)
            encoded = self._encode(part.X)
            own = None if groups is None else groups.take(some)
            return People(part, encoded, denied[some], target[some], own)

        people = people_of(rows)
        others = None if held is None else people_of(held)
        told, told_of_others = supervise_both(
            people,
            others,
            teacher,
            action_set=self._rules,
            actions=self._advice,
            objective=objective,
            rng=rng,
            memory=self.memory,
            verbose=bool(self.verbose),
        )
        plan = TrainingPlan(
            people.rows(),
            teacher,
            self.feature_space_,
            objective.loss_weights(),
            told,
            worst_group=objective.groups == "worst",
            task_groups=of_task,
            dither=objective.dither,
            held_out=None if others is None else (others.rows(), told_of_others),
        ).without_calibration_people()
        with subnormals_as_zero():
            trained = self._fit_network(plan, rng)
            self._round(plan, objective.after_training, trained, rng)
            self._settle(plan, people, objective.after_training, rng)
        if self._calibration is not None:
            self._tell(table.X, decisions, target, table.sample_weight)
        return self

    def _default_object(self, name: str) -> BaseEstimator | None:
        if name == "objective":
            return objective_of(self.objective)
        if name == "teacher_actions":
            return objective_of(self.objective).default_actions()
        return super()._default_object(name)

    @property
    def _teacher_layers(self) -> tuple[int, ...]:
        follows = objective_of(self.objective).loss_weights().of_teacher
        return half_as_wide(self.hidden_layer_sizes) if follows else self.hidden_layer_sizes

    @property
    def _policy(self) -> BitPolicy:
        if self.bit_policy is not None:
            return super()._policy
        loss = objective_of(self.objective).loss_weights()
        return suiting_policy(loss, self._quantizer, own_module=self.module is not None)

    def _check_target(self) -> None:
        if not callable(self.target):
            super()._check_target()

    @property
    def _uses_recourse(self) -> bool:
        return objective_of(self.objective).needs_recourse

    @property
    def _advice(self) -> TeacherActions:
        given = self.teacher_actions
        return objective_of(self.objective).default_actions() if given is None else given

    @property
    def _promise(self) -> str | None:
        return self.promise

    def _promised_to(self, validity_drop: float | None, has_groups: bool) -> CFQObjective:
        objective = clone(objective_of(self.objective)).set_params(task_groups=None)
        if validity_drop is not None:
            objective.set_params(finish__validity_drop=validity_drop)
        return objective

    def _check_plan(self) -> None:
        objective = objective_of(self.objective)
        objective.check()
        super()._check_plan()
        self._advice.check()
        if self.promise == "advice":
            check_advice_can_pay(objective, self._advice)

    def _settle(
        self, plan: TrainingPlan, people: People, finish: Finish, rng: np.random.RandomState
    ) -> None:
        """Give the promise, by a bias of the target's logit or by a margin of the advice."""
        told, share = plan.supervision, finish.validity_drop
        with HeldInterrupts() as held:
            advised = None if told is None else told.advised(people, plan.teacher)
            if advised is not None and share is not None:
                self._set_bias(advised, share, self.promise, plan.teacher, draw_seed(rng))
            self._make_integers()
        if held.pressed:
            self._interrupted_in("at the end of its fit")
        try:
            self._set_margin(self.promise)
        except KeyboardInterrupt:
            self.recourse_margin_ = math.nan
            self._interrupted_in("while the margin of advice was found, which is NaN")

    def _resolve_target(self, table: TrainingTable, decisions: np.ndarray) -> np.ndarray:
        """Return each row's target, and remember the label if there is one for all."""
        wanted = self.target
        if wanted is None:
            last = default_target(self.classes_) if self._uses_recourse else -1
            wanted = self.classes_[last]
        self.target_ = None if callable(wanted) else wanted
        if callable(wanted):
            wanted = targets_by_rule(wanted, table.X, self.classes_[table.labels])
        return resolve_target(wanted, self.classes_, decisions)
