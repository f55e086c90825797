"""Accuracy-centric quantization-aware training: the baseline that CFQ is measured against."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skcfq.actions import ActionSet
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._student import STUDENT_CONSTRAINTS, StudentClassifier
from skcfq.nn import subnormals_as_zero
from skcfq.training import (
    TASK_GROUP_RULES,
    GroupBound,
    Quantizer,
    TrainingPlan,
    check_group_rule,
    grouped_for_task,
    labels_of_rows,
)
from skcfq.utils import StrOptions, warn_user


class QATClassifier(StudentClassifier):
    """Quantized network that is trained for accuracy alone: LSQ, PACT or mixed precision.

    Parameters
    ----------
    budget : float, default=4
        Average weight bits per weight, at most.
    action_set : ActionSet, default=None
        Not used in training: scorers take it from here.
    target : label or None, default=None
        Not used in training: scorers take it from here.
    encoder : transformer, default=None
        Map from raw to encoded columns; None is a :class:`~skcfq.TableEncoder`.
    teacher : estimator or torch Module, default=None
        Full-precision reference. Fitted or frozen, it is used as it is; unfitted, a clone is
        fitted; None is a :class:`~skcfq.TeacherClassifier` of the same layers. A torch module is
        taken as trained, behind the fitted ``encoder`` (None: X itself).
    method : {"lsq", "pact"}, default="lsq"
        Whether weight steps are learned together with the clips of the activations (LSQ), or follow
        the weights by least squared error every 50 updates, so that the clips alone are learned
        (PACT).
    bit_policy : {"uniform", "learned", "searched", "sensitivity", "units"} or BitPolicy
        How widths are chosen: by default one for all; or (mixed precision) learned in training, by
        the loss of all layers together, or by the error that each layer or unit makes alone.
    quantizer : Quantizer, default=None
        Width of hidden activations, granularity of the weight steps, and where steps and clips
        start; None is ``Quantizer()``: activations of 8 bits, one step a unit.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Empty for logistic regression.
    module : torch Module or callable, default=None
        Network whose Linear, Conv1d and Conv2d layers are quantized, in the place of
        ``hidden_layer_sizes``: a module, which is copied, or a callable ``(n_inputs, n_classes) ->
        Module``. The default teacher has it too, and the student starts from its weights.
    max_iter : int, default=None
        Passes of the quantized network over the data; None takes enough for some thousand updates.
        The teacher that is fitted here is trained until its loss stops falling.
    batch_size : int, default=256
    learning_rate_init : float, default=0.004
    alpha : float, default=1e-3
        Weight decay, of the teacher that is fitted here too.
    class_weight : dict, "balanced" or None, default=None
    task_groups : {"balanced", "worst"}, dict, GroupBound or None, default=None
        What the groups of ``fit(..., sensitive_features=...)`` count in the loss: every group the
        same, more and more those whose loss is the highest, weights of a dict ``{group: weight}``,
        or as much as it takes that none loses more accuracy than a
        :class:`~skcfq.estimators.GroupBound` allows. None: every row alike. The teacher is not
        weighed: it is what the student is held against.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, stratified by label, stop once the validation
        loss has not fallen by 0.01 % for ``n_iter_no_change`` passes, counted from when the widths
        are chosen, and return to the pass where it was lowest. The teacher that is fitted here
        does not see these rows, and stops early on others.
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
        Where the fitted teacher is remembered, so that a search trains it once for each
        share of the rows. It needs a ``random_state`` that is an integer.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    teacher_ : estimator
    bit_widths_ : ndarray of shape (n_layers,)
        Averages where units differ (``unit_bit_widths_``).
    average_bits_ : float
    feature_space_ : FeatureSpace
    encoder_ : transformer
    bit_cost_, bops_ : int
        Bits of all weights, and bit operations of one row (§4.3).
    network_ : QuantizedMLP or QuantizedModule
    history_ : DataFrame
        Mean of each loss term, and the bits, of every pass; with ``early_stopping``, loss and
        accuracy on the validation share; of the worst group, its loss (``group_task_loss``) or,
        with a bound, what it loses against the teacher (``group_accuracy_drop``). Later fits with
        ``warm_start`` are appended.
    n_iter_ : int
        Passes of the last fit.
    interrupted_ : bool
        Whether Ctrl-C ended the fit early.
    logit_bias_ : float
        0 until :meth:`recalibrate` sets it; ``recourse_margin_`` and the other figures of a
        promise, as of :class:`~skcfq.CFQClassifier`, are there afterwards.

    Notes
    -----
    It starts from the teacher's weights and has the training budget of
    :class:`~skcfq.CFQClassifier`; without the counterfactual terms the two are the same code.

    With ``warm_start`` a further fit has ``max_iter`` passes more. The teacher, the encoder and the
    widths stay as they are; the learning rate starts anew. Columns, labels, layers and candidate
    widths must be the same, and the widths must meet the budget.

    Ctrl-C ends the fit: after a whole pass the network is kept as it is, with widths within the
    budget, and a warning; before, and in a search, KeyboardInterrupt is raised and nothing is kept.
    After numbers that are not finite it is kept as it was before that pass.

    References
    ----------
    Paper, §4.4 and §6.2.

    Examples
    --------
    >>> from skcfq import QATClassifier
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(300, random_state=0)
    >>> model = QATClassifier(budget=4, hidden_layer_sizes=(8,), max_iter=5, random_state=0)
    >>> model.fit(credit.data, credit.target).bit_widths_
    array([4, 4])
    """

    _parameter_constraints: dict = {
        **STUDENT_CONSTRAINTS,
        "method": [StrOptions({"lsq", "pact"})],
        "task_groups": TASK_GROUP_RULES,
    }

    def __init__(
        self,
        budget: float = 4,
        *,
        action_set: ActionSet | None = None,
        target: Any = None,
        encoder: Any = None,
        teacher: Any = None,
        method: str = "lsq",
        bit_policy: Any = "uniform",
        quantizer: Quantizer | None = None,
        hidden_layer_sizes: tuple[int, ...] = (64, 64),
        module: Any = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        learning_rate_init: float = 0.004,
        alpha: float = 1e-3,
        class_weight: Any = None,
        task_groups: Any = None,
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
        self.method = method
        self.bit_policy = bit_policy
        self.quantizer = quantizer
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module = module
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.class_weight = class_weight
        self.task_groups = task_groups
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
    ) -> QATClassifier:
        """Train teacher and quantized network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        sensitive_features : array-like of shape (n_samples,), default=None
            Group of each row, of any hashable type, for ``task_groups``.

        Returns
        -------
        self : QATClassifier

        Raises
        ------
        BudgetError
            No candidate width meets the budget.
        """
        table = self._training_table(X, y, sample_weight)
        self._check_plan()
        named = labels_of_rows(sensitive_features, sample_weight, X)
        if named is not None and self.task_groups is None:
            warn_user("sensitive_features is not used, because task_groups is None.", UserWarning)
        table, groups = grouped_for_task(table, self.task_groups, named, "task_groups")
        rng = check_random_state(self.random_state)
        self._forget_promise()
        rows, held = self._hold_out(table, rng, groups)
        kept = table.take(rows)
        teacher = self._fit_teacher(kept, rng)
        self._check_rules(table)
        plan = TrainingPlan(
            self._encoded(kept),
            teacher,
            self.feature_space_,
            task_groups=groups,
            fitted_steps=self.method == "pact",
            held_out=None if held is None else (self._encoded(table.take(held)), None),
        )
        with subnormals_as_zero():
            self._fit_network(plan, rng)
        return self

    def _default_object(self, name: str) -> BaseEstimator | None:
        return GroupBound() if name == "task_groups" else super()._default_object(name)

    def _check_plan(self) -> None:
        check_group_rule(self.task_groups, "task_groups")
        super()._check_plan()
