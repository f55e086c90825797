"""What is added to the task loss, and with what weight (§4.2)."""

from __future__ import annotations

from sklearn.base import BaseEstimator


class CFQObjective(BaseEstimator):
    r"""Optional terms of the CFQ objective beside task and validity loss.

    Parameters
    ----------
    hinge : float, default=0.0
        Weight :math:`\beta` of the margin hinge at the teacher recourse points.
    hinge_margin : float, default=0.1
        Margin :math:`\gamma` that the hinge asks for, in logit units.

    Examples
    --------
    >>> from skcfq.estimators import CFQClassifier, CFQObjective
    >>> CFQClassifier(objective=CFQObjective(hinge=0.5)).objective.hinge
    0.5
    """

    def __init__(self, *, hinge: float = 0.0, hinge_margin: float = 0.1):
        self.hinge = hinge
        self.hinge_margin = hinge_margin

    def check(self) -> None:
        """Raise ValueError where a weight is negative."""
        for name in ("hinge", "hinge_margin"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"objective.{name} is {value!r}; give a number of at least 0.")
