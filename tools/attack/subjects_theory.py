"""What is stated of advice under quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
from expected import Parameter, anything, choice, flag, real, refused, seed, whole
from odd_values import Odd
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import ODD_TABLES, people, quantized, teacher
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
            n_samples=whole(1),
            centered=flag(),
            random_state=seed(),
        ),
        _of_pair(
            "first_order_perturbation",
            radius=real(0),
            norm=choice("l2", "linf"),
            centered=flag(),
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
