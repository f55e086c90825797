"""How a quantized network learns from its teacher: the loop, and all that it is told."""

from skcfq.training._batches import calibration_rows, epochs_for, visits_again
from skcfq.training._bit_policies import (
    BIT_POLICIES,
    FixedBits,
    LearnedBits,
    UniformBits,
    bit_policy_of,
    start_policy,
)
from skcfq.training._bit_policy import BitPolicy, BitSample
from skcfq.training._device import generator_on, training_device
from skcfq.training._distillation_set import DistillationSet
from skcfq.training._finish import Finish
from skcfq.training._groups import Groups, groups_of, labels_of_rows
from skcfq.training._inner_models import fit_encoder, fit_model, fitted_or_clone
from skcfq.training._loop import BitSchedule, FittedSteps, train
from skcfq.training._memory import fitted_model, was_interrupted
from skcfq.training._module import faithful_module, first_inputs_suffice
from skcfq.training._networks import full_precision_network, leaves_of, quantized_network
from skcfq.training._objective import OBJECTIVES, CFQObjective, objective_of
from skcfq.training._quantizer import Quantizer
from skcfq.training._rounding import round_to_teacher
from skcfq.training._seeds import draw_seed, seeded_initialization, seeded_layers
from skcfq.training._sensitivity_bits import SensitivityBits
from skcfq.training._supervision import Supervision, known_logits, supervise
from skcfq.training._table import TrainingTable
from skcfq.training._teacher_actions import TeacherActions
from skcfq.training._torch_reading import LAST, PASSED_OVER, Layers, layers_of
from skcfq.training._validation import Validation, held_out
from skcfq.training._warm_start import check_budget, check_same_classes, goes_on, joined, taken_over

__all__ = [
    "BIT_POLICIES",
    "BitPolicy",
    "BitSample",
    "BitSchedule",
    "CFQObjective",
    "Finish",
    "FittedSteps",
    "FixedBits",
    "Groups",
    "LAST",
    "Layers",
    "LearnedBits",
    "OBJECTIVES",
    "PASSED_OVER",
    "DistillationSet",
    "Quantizer",
    "SensitivityBits",
    "Supervision",
    "TeacherActions",
    "TrainingTable",
    "UniformBits",
    "Validation",
    "bit_policy_of",
    "calibration_rows",
    "check_budget",
    "check_same_classes",
    "draw_seed",
    "epochs_for",
    "faithful_module",
    "first_inputs_suffice",
    "fit_encoder",
    "fit_model",
    "fitted_model",
    "fitted_or_clone",
    "full_precision_network",
    "generator_on",
    "goes_on",
    "groups_of",
    "held_out",
    "joined",
    "known_logits",
    "labels_of_rows",
    "layers_of",
    "leaves_of",
    "objective_of",
    "quantized_network",
    "round_to_teacher",
    "seeded_initialization",
    "seeded_layers",
    "start_policy",
    "supervise",
    "taken_over",
    "train",
    "training_device",
    "visits_again",
    "was_interrupted",
]
