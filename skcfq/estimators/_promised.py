"""The promise that advice keeps working: who pays for it, what it costs, and a new one."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skcfq.actions import ActionSet, compile_cost, region_of
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._quantized import QuantizedClassifier
from skcfq.estimators._remedies import warn_of_gap
from skcfq.exceptions import RecourseGapWarning
from skcfq.models import Predictor, as_predictor, carry_margin, default_target, resolve_target
from skcfq.nn import QuantizedNetwork
from skcfq.training import (
    AdvisedPeople,
    CFQObjective,
    Finish,
    Groups,
    PromisedMargin,
    TeacherActions,
    draw_seed,
    groups_of,
    labels_of_rows,
    promised_margin,
)
from skcfq.utils import (
    Interval,
    StrOptions,
    check_parameters,
    check_sample_weight,
    decision_fault,
    take_rows,
    validate_table,
    warn_user,
)

PROMISES = ("model", "advice")
# Share of the advice that may be lost, where nothing says how much.
_SHARE = 0.02
_OF_A_PROMISE = (
    "recourse_margin_",
    "margin_error_",
    "expected_recourse_gap_",
    "acceptance_rates_",
)
_OF_PEOPLE = ("_calibration", "_found_margin")


@dataclass(frozen=True, eq=False)
class _Calibration:
    """What a promise was read off, so that the price of the other kind can be told later.

    Attributes
    ----------
    people : AdvisedPeople
    share : float
        Of the people, who may lose their advice.
    slack : Tensor of shape (n,)
        Of their points under the student without a bias.
    bias : float
        What the model would pay; 0 where people want different things.
    teacher : Predictor
    actions : TeacherActions
    rules : ActionSet
    seed : int
        Of the actions.
    """

    people: AdvisedPeople
    share: float
    slack: Tensor
    bias: float
    teacher: Predictor
    actions: TeacherActions
    rules: ActionSet
    seed: int

    def margin(self, network: QuantizedNetwork, bias: float) -> PromisedMargin:
        """Return what the advice would pay; NaN for K steps, which have no margin.

        Parameters
        ----------
        network : QuantizedNetwork
        bias : float
            Which it has of its own for this promise.
        """
        if self.actions.method != "solver":
            return PromisedMargin(float("nan"), float("nan"))
        people = self.people
        compiled = self.rules.compile(self.teacher.space)
        region, cost = region_of(compiled, people.X), compile_cost(compiled)
        targets = people.targets.numpy()

        def advise(margin: float) -> tuple[Tensor, Tensor]:
            asked = self.teacher, self.rules, people.X, targets, self.seed
            return self.actions.points(*asked, margin=margin)

        return promised_margin(
            people,
            self.share,
            lambda points: people.slack_under(network, points) - bias,
            advise,
            lambda points: cost(points, region),
            self.actions.margin,
        )


def check_advice_can_pay(objective: CFQObjective, actions: TeacherActions) -> None:
    """Refuse a promise that is not stated, and advice that has no margin.

    Raises
    ------
    ValueError
    """
    if objective.after_training.validity_drop is None:
        raise ValueError(
            "promise='advice' needs the share of people who may lose their advice, and the "
            "objective has none. Give objective__finish__validity_drop=0.02."
        )
    if actions.method != "solver":
        raise ValueError(
            f"promise='advice' needs advice that can have a margin, and teacher_actions has "
            f"method={actions.method!r}. Give TeacherActions(method='solver')."
        )


class PromisedClassifier(QuantizedClassifier):
    """Base of the classifiers that keep the teacher's advice for all but a small share of people.

    A fit starts with :meth:`_forget_promise`, and may end with :meth:`_keep_promise`.
    """

    logit_bias_: float
    recourse_margin_: float
    margin_error_: float
    expected_recourse_gap_: float
    acceptance_rates_: dict[str, float]
    _calibration: _Calibration | None
    _found_margin: PromisedMargin | None
    _logit_biases: dict[int, float]

    @property
    def _promise(self) -> str | None:
        """Who pays."""
        return "model"

    @property
    def _advice(self) -> TeacherActions:
        """How people are advised."""
        return TeacherActions(method="solver")

    def _promised_to(self, validity_drop: float | None, has_groups: bool) -> CFQObjective:
        """Return an objective whose ``finish`` and ``groups`` say what is promised to whom."""
        groups = "worst" if has_groups else None
        return CFQObjective(groups=groups, finish=Finish(validity_drop=validity_drop))

    @check_parameters(
        promise=[StrOptions(set(PROMISES)), None],
        validity_drop=[Interval(Real, 0, 1, closed="left"), None],
    )
    @all_or_nothing
    def recalibrate(
        self,
        X: Any,
        *,
        promise: str | None = None,
        validity_drop: float | None = None,
        sample_weight: Any = None,
        sensitive_features: Any = None,
    ) -> PromisedClassifier:
        """Set the bias, or the margin, anew from people of the present; nothing is trained.

        Under a shift of the population, the share that was promised is no longer kept. A few
        hundred rows without labels are enough for a new promise; none of them should have been
        trained on. What was set before is taken back.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows of the present, of whom those count whom the teacher refuses and can advise.
        promise : {"model", "advice"}, default=None
            Who pays. None: as the estimator says, or else the model.
        validity_drop : float, default=None
            Share of the people, in [0, 1), who may lose their advice on average. With fewer than
            1 / share people, more may. None: that of the objective, or else 0.02.
        sample_weight : array-like of shape (n_samples,), default=None
        sensitive_features : array-like of shape (n_samples,), default=None
            Group of each row, where the share is promised by group: to each, or as the
            ``groups`` of the objective say.

        Returns
        -------
        self : estimator
            With another bias, and another margin, and the figures of these people.

        Raises
        ------
        ValueError
            The teacher refuses nobody of these people, or none of the refused reaches the target.
        """
        check_is_fitted(self, "network_")
        X = validate_table(self, X, reset=False)
        weights = check_sample_weight(sample_weight, X)
        objective = self._promised_to(validity_drop, sensitive_features is not None)
        groups = groups_of(objective, labels_of_rows(sensitive_features, sample_weight, X))
        counted = np.flatnonzero(weights > 0)
        X, weights = take_rows(X, counted), weights[counted]
        teacher = as_predictor(self.teacher_, space=self.feature_space_)
        decisions = teacher.predict(X)
        target = resolve_target(self._wanted, self.classes_, decisions)
        seed = draw_seed(check_random_state(self.random_state))
        people = self._advise(teacher, X, decisions, target, weights, groups, seed)
        self.network_ = deepcopy(self.network_)
        for position, bias in self._logit_biases.items():
            self.network_.add_logit_bias(position, -bias)
        self._forget_promise()
        kind = self._promise if promise is None else promise
        share = objective.after_training.validity_drop
        self._set_bias(people, _SHARE if share is None else share, kind, teacher, seed)
        self._make_integers()
        self._set_margin(kind)
        self._tell(X, decisions, target, weights)
        return self

    @property
    def promise_costs_(self) -> pd.DataFrame:
        """What either kind of promise costs, whichever was chosen: one row a kind.

        ``logit_bias`` and ``recourse_margin`` in logit units, ``extra_cost`` of the advice as a
        share of its cost, and ``expected_recourse_gap``. The margin of the kind that was not chosen
        is found on first use, for which people are advised anew.
        """
        found = getattr(self, "_calibration", None)
        if found is None:
            raise AttributeError(
                f"This {type(self).__name__} promises nothing, or was unpickled, and people are "
                "not kept in a pickle. Call recalibrate(X)."
            )
        margin, gap = self._margin(), found.people.expected_gap
        rows = {
            "model": (found.bias, 0.0, 0.0, gap(found.slack + found.bias)),
            "advice": (0.0, margin.margin, margin.extra_cost, gap(found.slack)),
        }
        columns = ["logit_bias", "recourse_margin", "extra_cost", "expected_recourse_gap"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    @property
    def _wanted(self) -> Any:
        """The target that people are advised towards."""
        wanted = getattr(self, "target_", None)
        wanted = self.target if wanted is None else wanted
        return self.classes_[default_target(self.classes_)] if wanted is None else wanted

    @property
    def _rules(self) -> ActionSet:
        return ActionSet() if self.action_set is None else self.action_set

    def _forget_promise(self) -> None:
        """Begin anew: what was told of another network, or of other people, is no longer so."""
        self.logit_bias_ = 0.0
        self._logit_biases: dict[int, float] = {}
        self._calibration = self._found_margin = None
        self._forget_figures()

    def _forget_figures(self) -> None:
        for name in _OF_A_PROMISE:
            if hasattr(self, name):
                delattr(self, name)

    def _add_bias(self, position: int, bias: float) -> None:
        """Raise the logit of a class, and know of it; what was said of the model before is void."""
        self.network_.add_logit_bias(position, bias)
        self.logit_bias_ = self._logit_biases.get(position, 0.0) + bias
        self._logit_biases = {**self._logit_biases, position: self.logit_bias_}
        self._forget_figures()

    def _advise(
        self,
        teacher: Predictor,
        X: Any,
        decisions: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray,
        groups: Groups | None,
        seed: int,
    ) -> AdvisedPeople:
        """Return those of the people who are refused and can be advised."""
        refused = np.flatnonzero(decisions != self.classes_[target])
        fault = decision_fault(decisions, self.classes_[target])
        if len(refused) == 0:
            raise ValueError(
                f"X has {len(X)} rows, and the teacher refuses nobody, so that nothing can be "
                f"promised. {fault or 'Give rows of people who are refused.'}"
            )
        asked = take_rows(X, refused), target[refused]
        points, reached = self._advice.points(teacher, self._rules, *asked, seed)
        if not reached.any():
            raise ValueError(
                f"X has {len(refused)} rows that the teacher refuses, and none of them reaches the "
                f"target. {fault or 'Widen `action_set`, or give more people.'}"
            )
        rows = refused[reached.numpy()]
        return AdvisedPeople.of(
            teacher,
            take_rows(X, rows),
            torch.from_numpy(self.feature_space_.encode(take_rows(X, rows))),
            points[reached],
            torch.from_numpy(target[rows]),
            torch.from_numpy(weights[rows]).double(),
            None if groups is None else groups.take(rows),
        )

    def _set_bias(
        self,
        people: AdvisedPeople,
        share: float,
        kind: str | None,
        teacher: Predictor,
        seed: int,
    ) -> None:
        """Read a promise off people; the model pays, where it is to."""
        slack, target = people.slack_under(self.network_), people.one_target
        bias = 0.0 if target is None else people.bias(slack, share)
        self._calibration = _Calibration(
            people, share, slack, bias, teacher, self._advice, self._rules, seed
        )
        if kind == "model" and target is not None:
            self.network_.add_logit_bias(target, bias)
            self.logit_bias_, self._logit_biases = bias, {target: bias}
        self.margin_error_ = people.error_spread(slack)
        self.expected_recourse_gap_ = people.expected_gap(slack + self.logit_bias_)

    def _set_margin(self, kind: str | None) -> None:
        """Let the advice pay, where it is to, and leave its margin with a teacher of one's own."""
        found = self._calibration
        if found is not None and kind == "model" and found.people.one_target is not None:
            self.recourse_margin_ = 0.0
        elif found is not None and kind == "advice":
            self.recourse_margin_ = self._margin().margin
            if math.isnan(self.recourse_margin_):
                warn_user(
                    "promise='advice': at no margin that was tried do enough people keep the "
                    "teacher's advice and have any, so `recourse_margin_` is NaN. Give "
                    "promise='model', more people, or more bits.",
                    RecourseGapWarning,
                )
        if self._made_teacher:
            carry_margin(self.teacher_, getattr(self, "recourse_margin_", None))

    def _margin(self) -> PromisedMargin:
        """Return the margin that the advice would need, found once."""
        found = self._calibration
        assert found is not None
        if self._found_margin is None:
            self._found_margin = found.margin(self.network_, self.logit_bias_)
        return self._found_margin

    def _tell(self, X: Any, decisions: np.ndarray, target: np.ndarray, weights: np.ndarray) -> None:
        """Tell how many of the people either model accepts, and warn where advice is far off."""
        wanted = self.classes_[target]
        self.acceptance_rates_ = {
            name: float(np.average(labels == wanted, weights=weights))
            for name, labels in (("teacher", decisions), ("model", self.predict(X)))
        }
        warn_of_gap(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the people out whom a promise was read off."""
        state = dict(super().__getstate__())
        return {**state, **{name: None for name in _OF_PEOPLE if name in state}}
