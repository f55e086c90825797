"""What to do where a student's advice is expected to be far from its teacher's."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from skcfq.exceptions import RecourseGapWarning
from skcfq.models import split_model
from skcfq.nn import FullPrecisionMLP, QuantizedMLP, QuantizedNetwork
from skcfq.utils import warn_user

# At a gap of a fifth, whoever follows the advice pays a quarter more than the model asks for.
_LARGEST_GAP = 0.2
_MOST_BITS = 8


def warn_of_gap(model: Any) -> None:
    """Warn where the expected recourse gap of a fitted classifier is above a fifth.

    Parameters
    ----------
    model : fitted PromisedClassifier
    """
    gap = model.expected_recourse_gap_
    if not gap > _LARGEST_GAP:
        return
    rates = model.acceptance_rates_
    warn_user(
        f"{type(model).__name__}: on held-out people, recourse under this model is expected to "
        f"differ by {gap:.0%} of its cost from what the teacher advises (it accepts "
        f"{rates['model']:.1%}, the teacher {rates['teacher']:.1%}). "
        f"To try, in this order: {'; '.join(_remedies(model)) or 'more rows'}.",
        RecourseGapWarning,
    )


def _remedies(model: Any) -> list[str]:
    """Return what is left to do."""
    network = model.network_
    found = []
    widths = network.activation_widths
    if any(one < _MOST_BITS for one in widths):
        found.append("activations of 8 bits (quantizer__activation_bits=8)")
    teacher = getattr(split_model(model.teacher_)[1], "network_", None)
    if _is_as_wide(teacher, network):
        found.append("a narrower teacher (teacher=TeacherClassifier(...) of half the units)")
    if model.logit_bias_:
        found.append("promise='advice', which leaves the model as it is")
    if network.average_bits < _MOST_BITS:
        could_differ = hasattr(model, "bit_policy") and _units_could_differ(network)
        if could_differ and model.budget > network.candidates[0]:
            found.append("a width for each unit, for the same bits (bit_policy='units')")
        found.append(f"more bits (a budget above {model.budget:g})")
    return found


def _units_could_differ(network: QuantizedNetwork) -> bool:
    """Tell whether units of a layer have one width and need not."""
    layers = network.quantized_layers
    return all(isinstance(one.choice, int) and one.units_may_differ for one in layers)


def _is_as_wide(teacher: Any, student: Any) -> bool:
    """Tell whether a teacher of the same kind has as many units in some layer."""
    if not (isinstance(teacher, FullPrecisionMLP) and isinstance(student, QuantizedMLP)):
        return False
    networks: list[Any] = [teacher, student]
    units = [[one.out_features for one in network.layers[:-1]] for network in networks]
    return any(a >= b > 0 for a, b in zip_longest(*units, fillvalue=0))
