"""Any supported classifier as a predictor: its feature space and a differentiable head.

Public: :func:`as_predictor` and :func:`deployment_variants`. For developers: the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.models._carried import (
    carried_action_set,
    carried_margin,
    carried_target,
    carry,
    carry_margin,
)
from skcfq.models._functions import RowHead
from skcfq.models._heads import frozen_integers, shifted_bias
from skcfq.models._margins import RELATIVE_MARGIN, rounding_margin
from skcfq.models._memory import remembered_predictor
from skcfq.models._pairs import predictor_of_same_space, second_predictor
from skcfq.models._pipelines import (
    check_model_is_fitted,
    join_steps,
    split_model,
    transform_rows,
    with_final,
)
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor
from skcfq.models._targets import (
    default_target,
    encoding_hint,
    label_position,
    resolve_target,
)
from skcfq.models._tree_ensembles import TreeEnsemble
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.models._mlp_head import MLPHead
    from skcfq.models._rectified_layers import rectified_layers
    from skcfq.models._validity import least_margin, validity_slack
    from skcfq.models._variants import deployment_variants

__all__ = [
    "RELATIVE_MARGIN",
    "MLPHead",
    "Predictor",
    "RowHead",
    "TreeEnsemble",
    "as_predictor",
    "carried_action_set",
    "carried_margin",
    "carried_target",
    "carry",
    "carry_margin",
    "check_model_is_fitted",
    "default_target",
    "deployment_variants",
    "encoding_hint",
    "frozen_integers",
    "join_steps",
    "label_position",
    "least_margin",
    "predictor_of_same_space",
    "rectified_layers",
    "remembered_predictor",
    "resolve_target",
    "rounding_margin",
    "second_predictor",
    "shifted_bias",
    "split_model",
    "transform_rows",
    "validity_slack",
    "with_final",
]

# What needs torch, which a linear model does not.
__getattr__ = lazy_attributes(
    __name__,
    {
        "MLPHead": "_mlp_head",
        "deployment_variants": "_variants",
        "least_margin": "_validity",
        "rectified_layers": "_rectified_layers",
        "validity_slack": "_validity",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
