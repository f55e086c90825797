"""How compression skews a model against groups: decisions, logits, layers, loss surface.

Pure functions, of labels and logits where these suffice, and of networks where weights are needed.

For developers: what is public here is at the door of :mod:`skcfq.metrics`; the rest is what each
person adds to a figure, and the changes of figures.
"""

from skcfq.metrics.skew._changes import PairedChanges, changes_of_figures, paired_changes
from skcfq.metrics.skew._decisions import (
    acceptance_columns,
    fairness_violation,
    group_figures,
    log_losses,
    positions_of,
)
from skcfq.metrics.skew._forgotten import forgotten_people
from skcfq.metrics.skew._labels import EVERYBODY, group_labels
from skcfq.metrics.skew._layers import layer_changes
from skcfq.metrics.skew._logits import logit_figures, logit_spread, margins, top_probabilities
from skcfq.metrics.skew._network_loss import NetworkLoss
from skcfq.metrics.skew._resampling import Figure
from skcfq.metrics.skew._surface import group_curvature, group_gradients, largest_eigenvalues

__all__ = [
    "EVERYBODY",
    "Figure",
    "NetworkLoss",
    "PairedChanges",
    "acceptance_columns",
    "changes_of_figures",
    "fairness_violation",
    "forgotten_people",
    "group_curvature",
    "group_figures",
    "group_gradients",
    "group_labels",
    "largest_eigenvalues",
    "layer_changes",
    "logit_figures",
    "log_losses",
    "logit_spread",
    "margins",
    "paired_changes",
    "positions_of",
    "top_probabilities",
]
