"""How compression skews a model against groups: decisions, logits, layers, loss surface.

Pure functions, of labels and logits where these suffice, and of networks where weights are needed.

For developers: what is public here is at the door of :mod:`skcfq.metrics`.
"""

from skcfq.metrics.skew._changes import PairedChanges, paired_changes
from skcfq.metrics.skew._decisions import fairness_violation, group_figures
from skcfq.metrics.skew._forgotten import forgotten_people
from skcfq.metrics.skew._layers import layer_changes
from skcfq.metrics.skew._logits import logit_figures
from skcfq.metrics.skew._surface import group_curvature, group_gradients

__all__ = [
    "PairedChanges",
    "fairness_violation",
    "forgotten_people",
    "group_curvature",
    "group_figures",
    "group_gradients",
    "layer_changes",
    "logit_figures",
    "paired_changes",
]
