"""Diagnostics of skew: labels, logits, networks and changes, by group."""

from __future__ import annotations

import numpy as np
from expected import Parameter, anything, flag, only, real, refused, seed, whole
from odd_values import inside, literal
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import ODD_LABELS, ODD_TABLES, labels, linear_model, people, quantized, teacher
from verdicts import Subject

from skcfq import ActionSet, RecourseSolver
from skcfq.audit import skew_report, try_remedies
from skcfq.metrics import (
    fairness_violation,
    forgotten_people,
    group_curvature,
    group_figures,
    group_gradients,
    layer_changes,
    logit_figures,
    paired_changes,
)

TOLD = np.where(np.arange(60) % 3 > 0, "yes", "no")
LOGITS = np.stack([np.linspace(-2, 2, 60), np.zeros(60)], axis=1)
GROUPS = anything(
    *ODD_LABELS, *literal(["a"] * 59 + [None], ["a"], [[1]] * 60, [1, "a"] * 30), words=("group",)
)
NUMBERS = literal(["x"] * 60, [1.0] * 59, [[1.0] * 60], [[1.0], [2.0, 3.0]], [float("nan")] * 60)
SHARE = real(0, 1, open_low=True)


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    answers = {"y_true": labels(), "y_pred": TOLD, "groups": TOLD}
    told = {"y_true": anything(*ODD_LABELS), "y_pred": anything(*ODD_LABELS), "groups": GROUPS}
    asked: dict[str, Parameter] = {
        "X": anything(*ODD_TABLES, words=(*TABLE, "dim")),
        "groups": GROUPS,
        "background": anything(*ODD_TABLES, words=TABLE),
    }
    one = {"model": quantized(), "X": people(), "y": labels()}
    pair = {"reference": teacher(), "deployed": quantized(), "X": people(), "y": labels()}
    of_one = {"model": refused(words=MODEL), "y": anything(*ODD_LABELS)} | asked
    return [
        Subject("fairness_violation", lambda **p: fairness_violation(**answers | p), told),
        Subject(
            "group_figures",
            lambda **p: group_figures(**answers | {"logits": LOGITS} | p),
            told
            | {
                "logits": anything(*NUMBERS, words=("class", "finite")),
                "classes": anything(*literal(["yes"], ["no", "yes", "no"])),
                "target": anything(),
            },
        ),
        Subject(
            "logit_figures",
            lambda **p: logit_figures(**{"logits": LOGITS} | p),
            {
                "logits": anything(*NUMBERS),
                "groups": GROUPS,
                "near": real(0),
                "quantiles": anything(*literal([], [-1.0], [2.0], [[0.5]], ["x"], [float("nan")])),
            },
        ),
        Subject(
            "forgotten_people",
            lambda **p: forgotten_people(**{"reference": TOLD, "deployed": [TOLD]} | p),
            {
                "reference": anything(*ODD_LABELS),
                "deployed": anything(*literal([["a"], ["a", "b"]], [TOLD[:5]])),
                "groups": GROUPS,
            },
        ),
        Subject(
            "paired_changes",
            lambda **p: paired_changes(
                **{"before": LOGITS[:, 0], "after": LOGITS[:, 1], "n_resamples": 100} | p
            ),
            {
                "before": anything(*NUMBERS, words=("after",)),
                "after": anything(*NUMBERS, words=("before",)),
                "groups": GROUPS,
                "confidence": SHARE,
                "n_resamples": whole(100),
                "random_state": seed(),
            },
        ),
        Subject(
            "layer_changes",
            lambda **p: layer_changes(
                **{"reference": teacher(), "deployed": quantized(), "X": people()} | p
            ),
            {"reference": refused(words=MODEL), "deployed": refused(words=MODEL)} | asked,
        ),
        Subject(
            "skew_report",
            lambda **p: skew_report(
                **pair
                | {"sensitive_features": "job", "recourse": "solver" in p, "n_resamples": 100}
                | p
            ),
            {
                "reference": refused(words=MODEL),
                "deployed": anything(*inside(lambda v: [v], "[{}]"), words=MODEL),
                "X": anything(*ODD_TABLES, words=(*TABLE, "dim", "sensitive")),
                "y": anything(*ODD_LABELS),
                "sensitive_features": anything(*ODD_LABELS),
                "action_set": only(ActionSet),
                "target": odd_targets(),
                "background": anything(*ODD_TABLES, words=TABLE),
                "solver": only(RecourseSolver),
                "recourse": flag(),
                "surface": flag(),
                "near": real(0),
                "confidence": SHARE,
                "min_group_size": whole(1),
                "n_resamples": whole(100),
                "random_state": seed(),
                "verbose": anything(),
            },
        ),
        Subject(
            "try_remedies",
            lambda **p: try_remedies(
                **pair
                | {"reference": linear_model(), "deployed": linear_model(), "remedies": ["margin"]}
                | p
            ),
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "X": anything(*ODD_TABLES, words=(*TABLE, "dim")),
                "y": anything(*ODD_LABELS),
                "action_set": only(ActionSet),
                "target": odd_targets(),
                "background": anything(*ODD_TABLES, words=TABLE),
                "solver": only(RecourseSolver),
                "training": anything(),
                "remedies": anything(*literal(["bias"], "margin", ["margin", "margin"])),
                "budgets": anything(*literal([], [1], [-2], ["x"], [100])),
                "confidence": SHARE,
                "random_state": seed(),
                "verbose": anything(),
            },
        ),
        Subject("group_gradients", lambda **p: group_gradients(**one | p), of_one),
        Subject(
            "group_curvature",
            lambda **p: group_curvature(**one | {"n_probes": 2, "n_eigenvalues": 1} | p),
            of_one
            | {
                "n_eigenvalues": whole(1),
                "tol": SHARE,
                "n_probes": whole(2),
                "random_state": seed(),
            },
        ),
    ]
