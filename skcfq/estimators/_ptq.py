"""Quantization of a trained classifier without any training: PTQ and CF-PTQ (Appendix F)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from torch import Tensor, nn

from skcfq.actions import ActionSet
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._promised import PromisedClassifier
from skcfq.estimators._teacher import NETWORK_CONSTRAINTS
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.models import Predictor, default_target, resolve_target
from skcfq.nn import (
    CalibrationSet,
    FullPrecisionMLP,
    QuantizedMLP,
    calibrate_layers,
    column_units,
    margin_losses,
    network_in_units,
    sensitivities,
)
from skcfq.quantization import allocate_bits, check_candidates, exact_bits, greedy_bits
from skcfq.solvers import RecourseSolver
from skcfq.training import (
    Quantizer,
    TeacherActions,
    TrainingTable,
    UniformBits,
    balanced_calibration,
    draw_seed,
    labels_of_rows,
    network_of_chain,
    rectifier_network,
)
from skcfq.utils import (
    HasMethods,
    Interval,
    ListOf,
    StrOptions,
    decision_fault,
    take_rows,
    warn_user,
)

_OF_RECOURSE = ("counterfactual", "margin")


class PTQClassifier(PromisedClassifier):
    r"""Quantized form of a trained classifier; no weight of it is trained.

    Scales and clips are calibrated on :math:`U_{cal} = X_{cal} \cup \{x + \delta_{fp}\}`
    (Eq. 21), or on :math:`X_{cal}` alone, and widths are allocated by the sensitivity of the
    layers at recourse points (Eq. 23, 24), or on factual rows.

    Parameters
    ----------
    budget : float, default=4
        Average weight bits per weight, at most. Biases, steps and activations are not counted.
    teacher : classifier, torch Module or None, default=None
        The model to be quantized: one of this library, a linear classifier of scikit-learn, an
        ``MLPClassifier`` with relu or identity, a pipeline that ends in one of them, or a module of
        Linear, BatchNorm1d and ReLU in turn. Fitted or frozen, it is used as it is; unfitted, a
        clone is fitted; None is a :class:`~skcfq.TeacherClassifier`.
    calibration : {"counterfactual", "factual"}, default="counterfactual"
        Rows that scales and clips are set on: :math:`U_{cal}` or :math:`X_{cal}`.
    allocation : {"counterfactual", "factual", "margin", "uniform"}, default="counterfactual"
        Signal that the widths follow: Eq. 23 at recourse points, the same at factual rows and
        true labels, the measured loss of target margin at recourse points (beyond the paper), or
        none: then all layers get the widest candidate that meets the budget.
    allocation_rule : {"exact", "greedy"}, default="exact"
        How Eq. 24 is solved; the paper is greedy. ``"margin"`` is always exact.
    calibrator : {"mse", "minmax", "percentile", "reconstruction"}, default="mse"
        How a scale is set: by the squared error of the values, their range, a percentile of it,
        or the squared error of the layer's output (Eq. 22).
    percentile : float, default=99.9
        For ``calibrator="percentile"``.
    adaptive_rounding : bool, default=False
        Round each weight up or down so that the layer's output on the calibration rows is
        reconstructed best.
    bias_correction : bool, default=False
        Shift biases so that the mean outputs of every layer are those of full precision.
    counterfactual_weight : float, default=1.0
        Weight of a recourse point in :math:`U_{cal}`, relative to a factual row.
    teacher_actions : TeacherActions or RecourseSolver, default=None
        How recourse points are found; None is :class:`TeacherActions`, the K steps of Eq. 20. A
        solver finds the cheap actions that people are advised to take. ``share`` and
        ``max_people`` are of the refused people among the calibration rows.
    action_set : ActionSet, default=None
        What people may change, on the columns of X. None lets every column move inside its
        observed range.
    target : label, "opposite" or None, default=None
        The outcome that people want; None takes the last of ``classes_``, with a warning where
        labels are strings.
    encoder : transformer, default=None
        As in :class:`~skcfq.CFQClassifier`; with a torch module, what it was trained behind.
    candidates : tuple of int, default=(2, 3, 4, 8)
        Widths from 2 to 16.
    quantizer : Quantizer, default=None
        Only its ``activation_bits`` are used, 8 by default, one width for all layers; its None
        follows the weights of the layer that produces the activations. Its ``granularity`` and
        ``initialization`` are not: every layer has one weight step, which ``calibrator`` sets.
    calibration_size : int or None, default=2048
        Rows of X that are drawn as :math:`X_{cal}`; None takes all.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    target_ : label or "opposite"
        Only where recourse points are used.
    teacher_ : estimator
    bit_widths_ : ndarray of shape (n_layers,)
    average_bits_ : float
    sensitivities_ : ndarray of shape (n_layers,) or (n_layers, n_candidates) or None
        What the allocation was made from; for ``"margin"`` the loss at every candidate.
    n_recourse_points_ : int
        Recourse points in the calibration; 0 where none were used or found.
    feature_space_ : FeatureSpace
    encoder_ : transformer
    network_ : QuantizedMLP
    interrupted_ : bool
        Whether Ctrl-C ended the fit early; never, since half a calibration is none.
    logit_bias_ : float
        0 until :meth:`recalibrate` sets it; ``recourse_margin_`` and the other figures of a
        promise, as of :class:`~skcfq.CFQClassifier`, are there afterwards.

    Notes
    -----
    Inputs have 8 bits and one step for all columns, as in the paper. Where the sizes of the
    columns differ by more than 32 times (a model that was trained without scaling), each column and
    its weights are first rescaled by a power of two, which changes nothing but the rounding.

    Where the teacher itself does not accept x + δ, the point is left out, in the calibration as in
    the sensitivity. Eq. 24 is linear in the bits: it tends to spend everything on the layer of
    the highest sensitivity per weight, and the factual and the counterfactual choice often
    coincide.

    References
    ----------
    Paper, Appendix F, Eq. 20 to 24.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcfq import PTQClassifier, TableEncoder
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(300, random_state=0)
    >>> model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=500))
    >>> model = model.fit(credit.data, credit.target)
    >>> small = PTQClassifier(4, teacher=model, action_set=credit.action_set,
    ...                       target=credit.favorable, random_state=0)
    >>> small = small.fit(credit.data, credit.target)
    >>> small.bit_widths_, bool(small.score(credit.data, credit.target) > 0.7)
    (array([4]), True)
    """

    _parameter_constraints: dict = {
        "budget": [Interval(Real, 0, None, closed="neither")],
        "teacher": [HasMethods(["fit", "predict"]), nn.Module, None],
        "calibration": [StrOptions({"counterfactual", "factual"})],
        "allocation": [StrOptions({"counterfactual", "factual", "margin", "uniform"})],
        "allocation_rule": [StrOptions({"exact", "greedy"})],
        "calibrator": [StrOptions({"mse", "minmax", "percentile", "reconstruction"})],
        "percentile": [Interval(Real, 50, 100, closed="both")],
        "adaptive_rounding": ["boolean"],
        "bias_correction": ["boolean"],
        "counterfactual_weight": [Interval(Real, 0, 1e15, closed="right")],
        "teacher_actions": [TeacherActions, RecourseSolver, None],
        "action_set": [ActionSet, None],
        "target": "no_validation",
        "encoder": NETWORK_CONSTRAINTS["encoder"],
        "candidates": [ListOf(Integral, least=1)],
        "quantizer": [Quantizer, None],
        "calibration_size": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        budget: float = 4,
        *,
        teacher: Any = None,
        calibration: str = "counterfactual",
        allocation: str = "counterfactual",
        allocation_rule: str = "exact",
        calibrator: str = "mse",
        percentile: float = 99.9,
        adaptive_rounding: bool = False,
        bias_correction: bool = False,
        counterfactual_weight: float = 1.0,
        teacher_actions: Any = None,
        action_set: ActionSet | None = None,
        target: Any = None,
        encoder: Any = None,
        candidates: tuple[int, ...] = (2, 3, 4, 8),
        quantizer: Quantizer | None = None,
        calibration_size: int | None = 2048,
        random_state: Any = None,
    ) -> None:
        self.budget = budget
        self.teacher = teacher
        self.calibration = calibration
        self.allocation = allocation
        self.allocation_rule = allocation_rule
        self.calibrator = calibrator
        self.percentile = percentile
        self.adaptive_rounding = adaptive_rounding
        self.bias_correction = bias_correction
        self.counterfactual_weight = counterfactual_weight
        self.teacher_actions = teacher_actions
        self.action_set = action_set
        self.target = target
        self.encoder = encoder
        self.candidates = candidates
        self.quantizer = quantizer
        self.calibration_size = calibration_size
        self.random_state = random_state

    @all_or_nothing
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, sensitive_features: Any = None
    ) -> PTQClassifier:
        """Calibrate the quantizers of the teacher.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Calibration rows; an unfitted teacher is fitted on them too.
        y : array-like of shape (n_samples,)
            Labels. They matter for the factual sensitivity only, and to tell the classes.
        sample_weight : array-like of shape (n_samples,), default=None
        sensitive_features : array-like of shape (n_samples,), default=None
            Group of each row, of any hashable type: as many calibration rows of each group, as far
            as it has so many, and every group counts the same.

        Returns
        -------
        self : PTQClassifier

        Raises
        ------
        BudgetError
            No candidate width meets the budget.
        UnsupportedModelError
            The layers of the teacher cannot be read.
        """
        table = self._read_table(X, y, sample_weight)
        self._check_plan()
        named = labels_of_rows(sensitive_features, sample_weight, X)
        rng = check_random_state(self.random_state)
        self._forget_promise()
        teacher = self._fit_teacher(table, rng)
        source = rectifier_network(teacher)
        self._check_rules(table)
        rows, weights = self._calibration_rows(table, named, rng)
        factual = CalibrationSet(
            torch.from_numpy(self._encode(take_rows(table.X, rows))),
            torch.from_numpy(weights).double(),
        )
        points, wanted = self._recourse(table, rows, teacher, factual, rng)
        labels = torch.from_numpy(table.labels[rows])
        units = column_units(factual.rows, factual.weights)
        if units is not None:
            source = network_in_units(source, units)
            factual, points = factual.in_units(units), points.in_units(units)
        network = self._network(source, units)
        network.set_bit_widths(self._allocate(source, network, factual, labels, points, wanted))
        calibration = factual
        if self.calibration == "counterfactual":
            calibration = _union(factual, points, self.counterfactual_weight)
        calibrate_layers(
            network,
            source,
            calibration,
            calibrator=self.calibrator,
            percentile=self.percentile,
            adaptive_rounding=self.adaptive_rounding,
            bias_correction=self.bias_correction,
        )
        self.n_recourse_points_ = len(points.rows)
        self._keep(network)
        return self

    @property
    def _uses_recourse(self) -> bool:
        return self.calibration == "counterfactual" or self.allocation in _OF_RECOURSE

    @property
    def _advice(self) -> TeacherActions:
        given = self.teacher_actions
        solver = given if isinstance(given, RecourseSolver) else None
        return TeacherActions(method="solver", solver=solver)

    @property
    def _actions(self) -> TeacherActions:
        actions = self.teacher_actions
        return actions if isinstance(actions, TeacherActions) else TeacherActions()

    def _check_plan(self) -> None:
        actions = self._actions
        actions.check()
        if actions.online:
            raise ValueError(
                "teacher_actions has online=True, but PTQClassifier computes recourse points once, "
                "for its calibration: nothing is trained batch by batch. Give online=False."
            )
        UniformBits(self.candidates).width(self.budget)
        self._quantizer.check()
        bits = self._quantizer.activation_bits
        if bits is not None and not isinstance(bits, Integral):
            raise ValueError(
                f"quantizer.activation_bits is {bits!r}, but PTQClassifier has one width for all "
                "layers. Give a whole number, or None."
            )
        if self.target is not None:
            self._check_target()

    def _default_object(self, name: str) -> BaseEstimator | None:
        return TeacherActions() if name == "teacher_actions" else super()._default_object(name)

    def _network_of(self, module: nn.Module) -> nn.Module:
        return network_of_chain(module)

    def _calibration_rows(
        self, table: TrainingTable, named: np.ndarray | None, rng: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        n, size, weights = len(table), self.calibration_size, table.sample_weight
        if named is not None:
            return balanced_calibration(named, weights, size, rng)
        rows = np.arange(n) if size is None or n <= size else np.sort(rng.permutation(n)[:size])
        return rows, weights[rows]

    def _network(self, source: FullPrecisionMLP, units: Tensor | None) -> QuantizedMLP:
        layers: Any = list(source.layers)
        return QuantizedMLP(
            layers[0].in_features,
            [layer.out_features for layer in layers[:-1]],
            layers[-1].out_features,
            candidates=check_candidates(self.candidates),
            activation_bits=self._quantizer.activation_bits,
            input_bits=self._quantizer.input_bits,
            start="lsq",
            input_units=None if units is None else units.tolist(),
        ).double()

    def _recourse(
        self,
        table: TrainingTable,
        rows: np.ndarray,
        teacher: Predictor,
        factual: CalibrationSet,
        rng: np.random.RandomState,
    ) -> tuple[CalibrationSet, Tensor]:
        """Return the teacher's recourse points and the targets there."""
        seed = draw_seed(rng)
        nobody = CalibrationSet(factual.rows[:0], factual.weights[:0])
        nothing = nobody, torch.zeros(0, dtype=torch.int64)
        if not self._uses_recourse:
            return nothing
        X = take_rows(table.X, rows)
        decisions = teacher.predict(X)
        wanted = self.target
        if wanted is None:
            wanted = self.classes_[default_target(self.classes_)]
        self.target_ = wanted
        target = resolve_target(wanted, self.classes_, decisions)
        denied = np.flatnonzero(decisions != self.classes_[target])
        fault = decision_fault(decisions, self.classes_[target], self.classes_[table.labels[rows]])
        if len(denied) == 0:
            _warn_factual("The teacher refuses nobody", fault or "Check `target`.")
            return nothing
        X, target = take_rows(X, denied), target[denied]
        rules = ActionSet() if self.action_set is None else self.action_set
        if isinstance(self.teacher_actions, RecourseSolver):
            solver = clone(self.teacher_actions).set_params(
                action_set=rules, target=self.classes_[target], random_state=seed
            )
            result = solver.solve(teacher, X, keep_partial=False)
            points = torch.from_numpy(self.feature_space_.encode(result.points))
            valid = torch.from_numpy(np.asarray(result.valid))
        else:
            actions = self._actions
            drawn = actions.draw(len(denied), rng)
            X, target, denied = take_rows(X, drawn), target[drawn], denied[drawn]
            points, valid = actions.points(teacher, rules, X, target, seed)
        if not valid.any():
            _warn_factual(
                f"Of {len(denied)} people whom the teacher refuses, none reaches the target",
                fault
                or "Give `teacher_actions` more or larger steps, or a RecourseSolver, or widen "
                "`action_set`.",
            )
            return nothing
        weights = factual.weights[torch.from_numpy(denied)]
        return CalibrationSet(points[valid], weights[valid]), torch.from_numpy(target)[valid]

    def _allocate(
        self,
        source: FullPrecisionMLP,
        network: QuantizedMLP,
        factual: CalibrationSet,
        labels: Tensor,
        points: CalibrationSet,
        wanted: Tensor,
    ) -> list[int]:
        """Choose the width of every layer."""
        self.sensitivities_ = None
        sizes, candidates = network.n_weights, network.candidates
        if self.allocation == "uniform":
            return [UniformBits(candidates).width(self.budget)] * len(sizes)
        at_points = self.allocation in _OF_RECOURSE and len(points.rows) > 0
        if self.allocation == "margin" and at_points:
            bits: Any = self._quantizer.activation_bits
            losses = margin_losses(source, points, wanted, candidates, bits)
            self.sensitivities_ = np.array(losses)
            return allocate_bits(-self.sensitivities_, sizes, candidates, self.budget)
        found = (
            sensitivities(source, points, wanted)
            if at_points
            else (sensitivities(source, factual, labels))
        )
        self.sensitivities_ = np.array(found)
        allocate = greedy_bits if self.allocation_rule == "greedy" else exact_bits
        return allocate(found, sizes, candidates, self.budget)


def _union(factual: CalibrationSet, points: CalibrationSet, share: float) -> CalibrationSet:
    return CalibrationSet(
        torch.cat([factual.rows, points.rows]),
        torch.cat([factual.weights, share * points.weights]),
    )


def _warn_factual(what: str, remedy: str) -> None:
    warn_user(
        f"{what}, so there is no recourse to preserve: the calibration is factual. {remedy}",
        EmptyPopulationWarning,
    )
