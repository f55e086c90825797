"""The promise over many small fits: the mean drop of people to come, for whoever pays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from skcfq import CFQClassifier, RecourseSolver
from skcfq.datasets import make_credit
from skcfq.estimators import CFQObjective, Finish
from skcfq.metrics import validity_drop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_teachers")]

N_FITS, SHARE = 40, 0.1


def fitted(seed, promise):
    """Return a student, 600 people whom it has not seen, and the rules of all."""
    credit = make_credit(1100, random_state=seed)
    X, y = credit.data, credit.target
    objective = CFQObjective(
        distillation=1.0, margins=1.0, eta=0.0, finish=Finish(validity_drop=SHARE)
    )
    clf = CFQClassifier(
        3,
        objective=objective,
        promise=promise,
        action_set=credit.action_set,
        target=credit.favorable,
        hidden_layer_sizes=(8,),
        bit_policy="uniform",
        max_iter=5,
        random_state=seed,
    )
    return clf.fit(X.iloc[:500], y.iloc[:500]), X.iloc[500:]


def drop(clf, people):
    advice = RecourseSolver(margin="promise", random_state=0).solve(clf.teacher_, people)
    return validity_drop(clf.teacher_, clf, advice)


def interval(drops):
    half = t.ppf(0.995, len(drops) - 1) * np.std(drops, ddof=1) / len(drops) ** 0.5
    return np.mean(drops) - half, np.mean(drops) + half


@pytest.mark.parametrize("promise", ["model", "advice"])
def test_people_to_come_lose_no_more_than_was_promised_on_average(promise):
    here, shifted = [], []
    for seed in range(N_FITS):
        clf, people = fitted(seed, promise)
        here.append(drop(clf, people))
        # Another population, half of whom are known before the others come.
        poor = people[people["income"] < people["income"].median()]
        shifted.append(drop(clf.recalibrate(poor.iloc[::2]), poor.iloc[1::2]))
    for drops in (here, shifted):
        low, high = interval(drops)
        assert low <= SHARE, (np.mean(drops), low, high)
        # A promise that costs far more than it has to would keep nearly everybody.
        assert high >= SHARE / 3, (np.mean(drops), low, high)
