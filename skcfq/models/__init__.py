"""Any supported classifier as a predictor: its feature space and a differentiable head.

Public: :func:`as_predictor` and :func:`deployment_variants`. For developers: the rest.
"""

from skcfq.models._functions import RowHead
from skcfq.models._heads import LinearHead, MLPHead
from skcfq.models._margins import RELATIVE_MARGIN, validity_slack
from skcfq.models._pipelines import check_model_is_fitted, join_steps, split_model, transform_rows
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor
from skcfq.models._targets import default_target, resolve_target
from skcfq.models._variants import deployment_variants

__all__ = [
    "LinearHead",
    "MLPHead",
    "Predictor",
    "RELATIVE_MARGIN",
    "RowHead",
    "as_predictor",
    "check_model_is_fitted",
    "default_target",
    "deployment_variants",
    "join_steps",
    "resolve_target",
    "split_model",
    "transform_rows",
    "validity_slack",
]
