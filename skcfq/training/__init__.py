"""How a quantized network learns from its teacher: the loop, and all that it is told.

For developers; users take the option objects from :mod:`skcfq.estimators`.
"""

from skcfq.training._batches import epochs_for
from skcfq.training._bit_policies import (
    BIT_POLICIES,
    FixedBits,
    LearnedBits,
    UniformBits,
    bit_policy_of,
    start_policy,
    suiting_policy,
)
from skcfq.training._bit_policy import BitPolicy, BitSample
from skcfq.training._bit_search import BitSearch
from skcfq.training._conformal import bias_above, quantile
from skcfq.training._device import generator_on, training_device
from skcfq.training._distillation_set import DistillationSet
from skcfq.training._finish import Finish
from skcfq.training._group_rules import (
    GROUP_RULES,
    TASK_GROUP_RULES,
    GroupBound,
    check_group_rule,
)
from skcfq.training._groups import Groups, groups_of, labels_of_rows
from skcfq.training._inner_models import fit_encoder, fit_model, fitted_or_clone
from skcfq.training._interruption import tell_interruption
from skcfq.training._length import settled_passes
from skcfq.training._loop import BitSchedule, FittedSteps, GroupUpdates, Trained, train
from skcfq.training._loop_settings import LoopSettings
from skcfq.training._memory import fitted_model
from skcfq.training._module import faithful_module, first_inputs_suffice, validation_of
from skcfq.training._networks import full_precision_network, quantized_network
from skcfq.training._objective import OBJECTIVES, CFQObjective, objective_of
from skcfq.training._people import People
from skcfq.training._plan import TrainingPlan
from skcfq.training._promise import AdvisedPeople, PromisedMargin, promised_margin
from skcfq.training._quantizer import Quantizer
from skcfq.training._rectifier_networks import (
    network_of_chain,
    network_of_module,
    rectifier_network,
)
from skcfq.training._rounding import round_to_teacher
from skcfq.training._row_choice import (
    balanced_calibration,
    equal_quotas,
    inclusion_probabilities,
    proportional_quotas,
    row_gradient_norms,
    systematic_draw,
)
from skcfq.training._searched_bits import SearchedBits
from skcfq.training._seeds import draw_seed, seeded_initialization, seeded_layers
from skcfq.training._sensitivity_bits import SensitivityBits
from skcfq.training._supervision import Supervision, supervise_both
from skcfq.training._table import TrainingTable
from skcfq.training._task_groups import TaskGroups, grouped_for_task
from skcfq.training._teacher_actions import TeacherActions
from skcfq.training._unit_bits import UnitBits
from skcfq.training._validation import Validation, held_out, strata_of
from skcfq.training._warm_start import check_kept_widths, check_same_classes, joined, taken_over

__all__ = [
    "AdvisedPeople",
    "BIT_POLICIES",
    "BitPolicy",
    "BitSample",
    "BitSchedule",
    "BitSearch",
    "CFQObjective",
    "DistillationSet",
    "Finish",
    "FittedSteps",
    "FixedBits",
    "GROUP_RULES",
    "GroupBound",
    "GroupUpdates",
    "Groups",
    "LearnedBits",
    "LoopSettings",
    "OBJECTIVES",
    "People",
    "PromisedMargin",
    "Quantizer",
    "SearchedBits",
    "SensitivityBits",
    "Supervision",
    "TASK_GROUP_RULES",
    "TaskGroups",
    "TeacherActions",
    "Trained",
    "TrainingPlan",
    "TrainingTable",
    "UniformBits",
    "UnitBits",
    "Validation",
    "balanced_calibration",
    "bias_above",
    "bit_policy_of",
    "check_group_rule",
    "check_kept_widths",
    "check_same_classes",
    "draw_seed",
    "epochs_for",
    "equal_quotas",
    "faithful_module",
    "first_inputs_suffice",
    "fit_encoder",
    "fit_model",
    "fitted_model",
    "fitted_or_clone",
    "full_precision_network",
    "generator_on",
    "grouped_for_task",
    "groups_of",
    "held_out",
    "inclusion_probabilities",
    "joined",
    "labels_of_rows",
    "network_of_chain",
    "network_of_module",
    "objective_of",
    "promised_margin",
    "proportional_quotas",
    "quantile",
    "quantized_network",
    "rectifier_network",
    "round_to_teacher",
    "row_gradient_norms",
    "seeded_initialization",
    "seeded_layers",
    "settled_passes",
    "start_policy",
    "strata_of",
    "suiting_policy",
    "supervise_both",
    "systematic_draw",
    "taken_over",
    "tell_interruption",
    "train",
    "training_device",
    "validation_of",
]
