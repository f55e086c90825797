"""What is stated of advice under quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
from expected import Parameter, anything, choice, flag, real, refused, seed, whole
from odd_values import Odd, literal
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import ODD_TABLES, ODD_WEIGHTS, people, quantized, teacher
from verdicts import Subject

from skcfq import theory

POINTS = anything(*ODD_TABLES, words=TABLE)
BACKGROUND = anything(*ODD_TABLES, words=TABLE)
PAIR: dict[str, Parameter] = {
    "reference": refused(words=MODEL),
    "deployed": refused(words=MODEL),
    "X": POINTS,
    "background": BACKGROUND,
}


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject(
            "target_margin",
            lambda **p: theory.target_margin(**{"model": teacher(), "X": people().head(12)} | p),
            {
                "model": refused(words=MODEL),
                "X": POINTS,
                "target": odd_targets(),
                "background": BACKGROUND,
            },
        ),
        _of_pair("margin_degradation", target=odd_targets()),
        _of_pair("one_sided_condition", target=odd_targets()),
        _of_pair(
            "certified_difference",
            radius=real(0),
            over=choice("numbers", "encoded"),
            target=odd_targets(),
        ),
        Subject(
            "robustness",
            lambda **p: theory.robustness(
                **{"model": quantized(), "X": people().head(12), "radius": 0.1} | p
            ),
            {
                "model": refused(words=MODEL),
                "X": POINTS,
                "radius": real(0),
                "target": odd_targets(),
                "max_boxes": whole(1),
                "background": BACKGROUND,
            },
        ),
        _of_pair("exact_perturbation", centered=flag()),
        _of_pair(
            "sampled_perturbation",
            radius=real(0),
            norm=choice("l2", "linf"),
            over=choice("numbers", "encoded"),
            n_samples=whole(1),
            centered=flag(),
            random_state=seed(),
        ),
        _of_pair(
            "first_order_perturbation",
            radius=real(0),
            norm=choice("l2", "linf"),
            over=choice("numbers", "encoded"),
            centered=flag(),
        ),
        _of_pair(
            "lipschitz_perturbation",
            radius=real(0),
            over=choice("numbers", "encoded"),
            centered=flag(),
        ),
        _of_pair(
            "layerwise_degradation",
            target=odd_targets(),
            attribution=choice("hybrid", "alone"),
        ),
        Subject(
            "rounding_perturbation",
            lambda **p: theory.rounding_perturbation(
                **{"reference": teacher(), "X": people().head(12), "bits": 4} | p
            ),
            {
                "reference": refused(words=MODEL),
                "X": POINTS,
                "bits": anything(*literal([2, 3], [], [2, 4, 99], [2.0, 4, 4], 1, 65, "4")),
                "radius": real(0),
                "over": choice("numbers", "encoded"),
                "background": BACKGROUND,
            },
        ),
        Subject(
            "weight_changes",
            lambda **p: theory.weight_changes(
                **{"reference": teacher(), "deployed": quantized()} | p
            ),
            {name: PAIR[name] for name in ("reference", "deployed", "background")},
        ),
        Subject(
            "estimated_sensitivities",
            lambda **p: theory.estimated_sensitivities(
                **{"deployed": quantized(), "X": people().head(12)} | p
            ),
            {
                "deployed": refused(words=MODEL),
                "X": POINTS,
                "target": odd_targets(),
                "background": BACKGROUND,
            },
        ),
        Subject(
            "sensitivity_bits",
            lambda **p: theory.sensitivity_bits(
                **{"sensitivities": [1.0, 2.0], "n_weights": [30, 10]} | p
            ),
            {
                "sensitivities": anything(*literal([1.0, -1.0], [0, 0], [1e300, 1e-300])),
                "n_weights": anything(*literal([0, 1], [10**17, 1], [2.0, 3.0])),
                "budget": real(0, open_low=True),
                "candidates": anything(*literal((2, 4), [4, 2], [2, 2], [1, 2], [2, 99])),
            },
        ),
        *_of_people_to_come(),
        Subject(
            "rounding_bound",
            lambda **p: theory.rounding_bound(**{"clip": 1.0, "bits": 4} | p),
            {"clip": real(0), "bits": whole(2)},
        ),
        Subject(
            "margin_condition",
            lambda **p: theory.margin_condition(
                **{"margin": np.ones(12), "perturbation": _exact()} | p
            ),
            {
                "margin": anything(Odd("gaps", lambda: np.full(12, np.nan))),
                "perturbation": refused(),
            },
        ),
    ]


def _of_people_to_come() -> list[Subject]:
    share = real(0, 1, open_low=True)
    odd_counts = literal(-1, 1.5, [1, -1], [1, 2, 3], [[1], [2]], [[1], [2, 3]], 10**30, [9, 9])
    n_failures, n_people = anything(*odd_counts), anything(*odd_counts)
    return [
        Subject(
            "binomial_limit",
            lambda **p: theory.binomial_limit(**{"n_failures": 1, "n_people": 9} | p),
            {"n_failures": n_failures, "n_people": n_people, "confidence": share},
        ),
        Subject(
            "fixed_sequence",
            lambda **p: theory.fixed_sequence(
                **{"n_failures": [0, 1], "n_people": [9, 8], "wanted": 0.3} | p
            ),
            {
                "n_failures": n_failures,
                "n_people": n_people,
                "wanted": share,
                "confidence": share,
            },
        ),
        Subject(
            "failure_limits",
            lambda **p: theory.failure_limits(**{"failed": [True] * 3 + [False] * 9} | p),
            {
                "failed": anything(*literal([0, 2], [[True]], ["x"], [None], [0.5])),
                "groups": anything(*literal(["a"] * 11 + [None], ["a"], [[1]] * 12, [1, "a"] * 6)),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
                "confidence": share,
                "wanted": real(0, 1, optional=True, open_low=True),
            },
        ),
    ]


def _exact() -> theory.Perturbation:
    return theory.exact_perturbation(teacher(), quantized(), people().head(12))


def _of_pair(name: str, **more: Parameter) -> Subject:
    """Return a function of two models and points."""

    def call(**parameters: Any) -> Any:
        given = {"reference": teacher(), "deployed": quantized(), "X": people().head(12)}
        if "radius" in more:
            given["radius"] = 0.1
        if "n_samples" in more:
            given["n_samples"] = 3
        return getattr(theory, name)(**given | parameters)

    return Subject(name, call, PAIR | more)
