"""What is done once the training is over."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.base import BaseEstimator

from skcfq.utils import Interval, check_options


class Finish(BaseEstimator):
    """Stages that run after the training, in this order; no term of the loss.

    Parameters
    ----------
    rounding : bool or int, default=False
        Choose each integer weight, and with them steps and biases, by what the terms that follow
        the teacher's logits lose, as far as that holds at points of feature mixup which they were
        not fitted to. It needs one of these terms, and a chain of Linear and ReLU. A number says
        how often: more is thorough, 1 is quick; True takes 3, and 1 of fewer than 2,000 rows.
    validity_drop : float or None, default=None
        Promise that no more than this share of people loses the teacher's advice, on average. Who
        pays is ``promise`` of the classifier: a bias of the target's logit, or a margin of the
        advice. Either is read off people who were held out from the terms at recourse points (400
        of them, at least a fifth and at most half), as in split conformal prediction. The bias
        works in both directions: a model that is more lenient than that gets stricter, but not
        stricter than its teacher; a target that differs between people has none. With None,
        nothing is promised.

    Examples
    --------
    >>> from skcfq.estimators import CFQClassifier, Finish
    >>> model = CFQClassifier(objective="paper")
    >>> model.set_params(objective__finish__validity_drop=0.05).objective.finish
    Finish(validity_drop=0.05)
    """

    _parameter_constraints: dict = {
        "rounding": ["boolean", Interval(Integral, 1, 1000, closed="both")],
        "validity_drop": [Interval(Real, 0, 1, closed="left"), None],
    }

    def __init__(self, *, rounding: bool | int = False, validity_drop: float | None = None) -> None:
        self.rounding = rounding
        self.validity_drop = validity_drop

    def check(self) -> None:
        """Raise ValueError where a parameter is not what it must be."""
        check_options(self, "objective.finish")
