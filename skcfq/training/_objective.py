"""What is added to the task loss, and with what weight (§4.2)."""

from __future__ import annotations

from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator, clone

from skcfq.nn import LossWeights
from skcfq.training._finish import Finish
from skcfq.training._group_rules import (
    GROUP_RULES,
    TASK_GROUP_RULES,
    GroupBound,
    check_group_rule,
)
from skcfq.training._teacher_actions import TeacherActions
from skcfq.utils import (
    Interval,
    ListOf,
    NestedParametersMixin,
    check_options,
    is_list,
)

# Products of larger weights are no numbers in single precision.
_WEIGHT = Interval(Real, 0, 1e15, closed="both")


class CFQObjective(NestedParametersMixin, BaseEstimator):
    r"""Terms of the CFQ objective, their weights, and what follows the training.

    The defaults are the paper's objective, ``"paper"``. ``"faithful"`` keeps the teacher's target
    margins too, so that advice keeps working *and* keeps its price; see :meth:`preset`.

    Parameters
    ----------
    task : float, default=1.0
        Weight of the task loss, the cross-entropy of the labels.
    eta : float, default=1.0
        Weight :math:`\eta` of the validity loss, the cross-entropy of the target at the teacher
        recourse points.
    distillation : float, default=0.0
        Weight of the distance to the teacher's logits at x.
    hinge : float, default=0.0
        Weight :math:`\beta` of the margin hinge at the teacher recourse points.
    hinge_margin : float, default=0.1
        Margin :math:`\gamma` that the hinge asks for, in logit units.
    margins : float, default=0.0
        Weight of the distance between the target margins of student and teacher at x + δ. Where
        the teacher's margin is 0, the student's is asked to be: two-sided.
    path : float, default=0.0
        Weight of the same distance at x + tδ, t uniform in (0, 1), where nobody is accepted yet.
    mixup : float, default=0.0
        Weight of the distance to the teacher's logits at points of feature mixup: rows and
        recourse points that take, on average, three of ten features from another one. The teacher
        labels as many as are wanted, so that the student follows it also where no row of a small
        table is.
    transition : float, default=0.5
        Logit distance at which these distances turn from squared to absolute.
    matching : float or (float, float), default=0.0
        Weights :math:`\alpha_1, \alpha_2` of direction and cost in the matching regularizer,
        through the student's own K projected steps (Appendix B); one number is both. K and the
        step size are those of ``teacher_actions``.
    dither : bool, default=False
        Train with stochastic thresholds: those between the codes of hidden activations are drawn
        anew for every batch, where these have at most 4 bits, so that weights are not fitted to
        the codes that rows happen to fall on. It needs a chain of Linear and ReLU.
    all_rows : bool, default=False
        Whether the terms at recourse points count every row, as in the paper's Algorithm 2: also
        people whom the teacher accepts already, and points that it refuses. By default only people
        whom it refuses count, at points that it accepts.
    groups : {"balanced", "worst"}, dict or None, default=None
        How the terms at recourse points combine the groups of
        ``fit(..., sensitive_features=...)``: every group alike, the worst one (Eq. 33), or with
        the weights of a dict ``{group: weight}``. None: every row alike. The rounding of
        ``finish`` weighs recourse points so too (of the worst: groups alike), and its
        ``validity_drop`` holds for the groups together, weighed, or in each of them (``"worst"``,
        with as many held out of each). Of a group with fewer than 1 / ``validity_drop`` held-out
        people more may lose it, and a group without any has no promise.
    task_groups : {"balanced", "worst"}, dict, GroupBound or None, default=None
        How the terms at x, the task loss and the distance to the teacher's logits, combine these
        groups, whatever ``groups`` says: every group alike, mostly those whose task loss is the
        highest, with weights, or so that none loses more accuracy than a
        :class:`~skcfq.estimators.GroupBound` allows; as in :class:`~skcfq.QATClassifier`. None:
        every row alike.
    finish : Finish, default=None
        What is done after the training: weights are rounded again, a bias is set. None: nothing.

    Examples
    --------
    >>> from skcfq.estimators import CFQClassifier, CFQObjective
    >>> CFQClassifier(objective=CFQObjective(hinge=0.5)).objective.hinge
    0.5
    """

    _parameter_constraints: dict = {
        "task": [_WEIGHT],
        "eta": [_WEIGHT],
        "distillation": [_WEIGHT],
        "hinge": [_WEIGHT],
        "hinge_margin": [_WEIGHT],
        "margins": [_WEIGHT],
        "path": [_WEIGHT],
        "mixup": [_WEIGHT],
        "transition": [_WEIGHT],
        "matching": [_WEIGHT, ListOf(_WEIGHT, least=2, most=2)],
        "dither": ["boolean"],
        "all_rows": ["boolean"],
        "groups": GROUP_RULES,
        "task_groups": TASK_GROUP_RULES,
        "finish": [Finish, None],
    }

    def __init__(
        self,
        *,
        task: float = 1.0,
        eta: float = 1.0,
        distillation: float = 0.0,
        hinge: float = 0.0,
        hinge_margin: float = 0.1,
        margins: float = 0.0,
        path: float = 0.0,
        mixup: float = 0.0,
        transition: float = 0.5,
        matching: float | tuple[float, float] = 0.0,
        dither: bool = False,
        all_rows: bool = False,
        groups: Any = None,
        task_groups: Any = None,
        finish: Finish | None = None,
    ) -> None:
        self.task = task
        self.eta = eta
        self.distillation = distillation
        self.hinge = hinge
        self.hinge_margin = hinge_margin
        self.margins = margins
        self.path = path
        self.mixup = mixup
        self.transition = transition
        self.matching = matching
        self.dither = dither
        self.all_rows = all_rows
        self.groups = groups
        self.task_groups = task_groups
        self.finish = finish

    @classmethod
    def preset(cls, name: str) -> CFQObjective:
        """Return a named objective.

        Parameters
        ----------
        name : {"literal", "paper", "faithful"}
            ``"literal"`` is the loss of Algorithm 2 with nothing changed.

        Returns
        -------
        objective : CFQObjective

        Examples
        --------
        >>> CFQObjective.preset("faithful").path
        1.0
        """
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise ValueError(f"name={name!r} is no objective; give one of {sorted(OBJECTIVES)}.")
        return clone(cls(**OBJECTIVES[name]))

    def _default_object(self, name: str) -> BaseEstimator | None:
        makers: dict[str, type[BaseEstimator]] = {"finish": Finish, "task_groups": GroupBound}
        return makers[name]() if name in makers else None

    @property
    def after_training(self) -> Finish:
        """What ``finish`` stands for: without one, nothing is done."""
        return Finish() if self.finish is None else self.finish

    def check(self) -> None:
        """Raise ValueError where a weight is negative or a rule unknown."""
        check_options(self, "objective")
        self.after_training.check()
        check_group_rule(self.groups, "objective.groups")
        check_group_rule(self.task_groups, "objective.task_groups")

    @property
    def matching_weights(self) -> tuple[float, float]:
        r"""Weights :math:`\alpha_1, \alpha_2` of the matching regularizer."""
        given: Any = self.matching
        direction, cost = given if is_list(given) else (given, given)
        return float(direction), float(cost)

    def loss_weights(self) -> LossWeights:
        """Return the weight of every term."""
        return LossWeights(
            task=float(self.task),
            validity=float(self.eta),
            distillation=float(self.distillation),
            hinge=float(self.hinge),
            hinge_margin=float(self.hinge_margin),
            margins=float(self.margins),
            path=float(self.path),
            mixup=float(self.mixup),
            transition=float(self.transition),
        )

    @property
    def needs_recourse(self) -> bool:
        """Whether anything is asked of the teacher's recourse."""
        calibrates = self.after_training.validity_drop is not None
        at_points = self.loss_weights().at_points
        return at_points or calibrates or max(self.matching_weights) > 0

    def default_actions(self) -> TeacherActions:
        """Return the teacher actions that suit the objective.

        Two-sided terms need actions that end on the boundary; the one-sided loss needs some depth.
        """
        two_sided = max(self.margins, self.path) > 0
        actions = TeacherActions(method="solver" if two_sided else "pgd")
        return actions.set_params(max_people=None) if self.all_rows else actions


OBJECTIVES: dict[str, dict[str, Any]] = {
    "literal": {"all_rows": True},
    "paper": {},
    "faithful": {
        "task": 0.1,
        "eta": 0.0,
        "distillation": 1.0,
        "margins": 1.0,
        "path": 1.0,
        "mixup": 5.0,
        "dither": True,
        "finish": Finish(rounding=True, validity_drop=0.02),
    },
}


def objective_of(value: Any) -> CFQObjective:
    """Return the objective that a parameter names, or the one that it is."""
    return CFQObjective.preset(value) if isinstance(value, str) else value
