"""A million samples against every bound over boxes: none lies outside."""

from collections import Counter

import numpy as np
import pytest
import torch
from lattice_cases import draw_integers, draw_people, draw_rectifiers

from skcfq import theory
from skcfq.models import as_predictor
from skcfq.theory._row_boxes import RowBoxes

PEOPLE = draw_people(12)
OVERS = ("numbers", "encoded")
RADII = (1e-3, 0.01, 0.05, 0.3, 2.0)
# By classes, hidden units, bits, and whether channels have steps of their own.
SHAPES = [
    (2, (8, 6), 2, False),
    (2, (6,), 3, True),
    (3, (8, 6, 5), 4, True),
    (3, (10, 8), 8, False),
]
NOISE = 1e-9


def _pairs(three, lending):
    yield "three", (*three[:2], three[2][:20])
    yield "lending", (*lending[:2], lending[2].head(20))
    for seed, (classes, hidden, bits, per_channel) in enumerate(SHAPES):
        first = draw_rectifiers(PEOPLE, hidden, classes, seed=seed)
        second = draw_integers(
            PEOPLE, hidden, classes, seed=seed + 1, bits=bits, per_channel=per_channel
        )
        yield f"{classes} classes, {hidden}, {bits} bits", (first, second, PEOPLE)
        yield (
            f"rectifiers, {classes} classes",
            (
                first,
                draw_rectifiers(PEOPLE, hidden, classes, seed=seed + 9),
                PEOPLE,
            ),
        )


def _margins(logits, target):
    rivals = np.delete(logits, target, axis=2)
    return logits[:, :, target] - rivals.max(axis=2)


@pytest.mark.slow  # a million samples
def test_a_million_samples_lie_within_all_bounds(three, lending):
    rng, n_samples, outside = np.random.RandomState(0), 0, Counter()
    cases = [(*pair, over, r) for pair in _pairs(three, lending) for over in OVERS for r in RADII]
    each = -(-(10**6) // sum(len(case[1][2]) for case in cases))
    for _, (reference, deployed, X), over, radius in cases:
        predictors = [as_predictor(model, background=X) for model in (reference, deployed)]
        boxes = RowBoxes.of(predictors, X, radius, over)
        share = rng.rand(each, *boxes.low.shape)
        # Half of them are corners.
        share[::2] = np.rint(share[::2])
        points = boxes.low + share * (boxes.high - boxes.low)
        flat = torch.from_numpy(points.reshape(-1, points.shape[2]))
        first, second = (
            one.logits(flat).detach().numpy().reshape(*points.shape[:2], -1) for one in predictors
        )
        n_samples += first.shape[0] * first.shape[1]
        outside.update(_violations(reference, deployed, X, over, radius, first, second))
    print(f"\n{n_samples:,} samples in {len(cases)} cases, outside: {dict(outside)}")
    assert n_samples >= 10**6
    assert len(outside) == 8 and not any(outside.values())


def _violations(reference, deployed, X, over, radius, first, second):
    """Count samples beyond each bound, by the logits of both models, shape (samples, rows, K)."""
    classes = np.arange(first.shape[2])
    target = classes[-1]
    label = as_predictor(reference, background=X).classes[target]
    told = {"radius": radius, "over": over, "background": X}
    found = theory.certified_difference(reference, deployed, X, target=label, **told)
    product = theory.lipschitz_perturbation(reference, deployed, X, **told).values
    apart, before, after = second - first, _margins(first, target), _margins(second, target)
    won = second.argmax(axis=2) == target
    count = {
        "upper": apart > found.upper + NOISE,
        "lower": apart < found.lower - NOISE,
        "Lipschitz": np.abs(apart).max(axis=2) > product + NOISE,
        "margin drop": before - after > found.margin_drop + NOISE,
        "reference margin": before < found.reference_margin - NOISE,
        "deployed margin": after < found.deployed_margin - NOISE,
        "survives": found.survives & ~won,
        "robust": np.zeros(1),
    }
    if over == "numbers":
        told = {"radius": radius, "background": X, "target": label, "max_boxes": 300}
        robust = theory.robustness(deployed, X, **told)
        assert not (robust.broken & found.survives).any()
        count["robust"] = robust.robust & ~won
    return Counter({name: int(one.sum()) for name, one in count.items()})
