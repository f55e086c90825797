"""The choice among candidates of a search: accurate enough, then faithful."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from skcfq import CFQClassifier, RecourseSolver
from skcfq.datasets import make_credit
from skcfq.metrics import RecourseScorer, select_faithful


def results(accuracy, scores, name="validity_drop"):
    return {"mean_test_accuracy": np.array(accuracy), f"mean_test_{name}": np.array(scores)}


@pytest.mark.parametrize(
    ("accuracy", "scores", "tolerance", "wanted"),
    [
        ([0.8, 0.9, 0.895], [0.0, -0.5, -0.1], 0.005, 2),
        ([0.8, 0.9, 0.895], [0.0, -0.5, -0.1], 0.0, 1),
        ([0.8, 0.9, 0.895], [0.0, -0.5, -0.1], 0.2, 0),
        # Of equals the most accurate, then the first.
        ([0.9, 0.91, 0.91], [-0.2, -0.2, -0.2], 0.02, 1),
        # Who is NaN is not chosen, and is no measure of accuracy either.
        ([0.99, 0.9, 0.8], [np.nan, -0.5, 0.0], 0.01, 1),
        ([np.nan, 0.9, 0.8], [0.0, -0.5, 0.0], 0.01, 1),
        # 0.3 - 0.1 is less than 0.2 by one rounding.
        ([0.3, 0.3 - 0.1], [-1.0, 0.0], 0.1, 1),
    ],
)
def test_choice(accuracy, scores, tolerance, wanted):
    assert select_faithful(results(accuracy, scores), tolerance=tolerance) == wanted


def test_messages():
    with pytest.raises(ValueError, match=r"by='validity_drop' is no score.*\['accuracy', 'gap'\]"):
        select_faithful(results([0.9], [0.0], "gap"))
    with pytest.raises(ValueError, match="Every candidate has NaN"):
        select_faithful(results([0.9], [np.nan]))
    with pytest.raises(ValueError, match="'tolerance'.*Got -1"):
        select_faithful(results([0.9], [0.0]), tolerance=-1)


@pytest.mark.slow
def test_as_refit_of_a_search_over_eta_and_lambda():
    credit = make_credit(240, random_state=0)
    solver = RecourseSolver(method="pgd", n_steps=10, step_size=0.3, random_state=0)
    scorer = RecourseScorer(["validity_drop", "recourse_gap"], solver=solver)

    def scores(model, X, y):
        return {"accuracy": model.score(X, y), **scorer(model, X)}

    model = CFQClassifier(
        action_set=credit.action_set,
        target=credit.favorable,
        objective="paper",
        hidden_layer_sizes=(8,),
        max_iter=20,
        batch_size=16,
        random_state=0,
    )
    search = GridSearchCV(
        model,
        {"objective__eta": [0.25, 2], "bit_policy__penalty": [0.1]},
        scoring=scores,
        refit=partial(select_faithful, tolerance=0.02, by="recourse_gap"),
        cv=ShuffleSplit(1, random_state=0, test_size=0.4),
        error_score="raise",
    ).fit(credit.data, credit.target)
    found = search.cv_results_
    accurate = found["mean_test_accuracy"] >= found["mean_test_accuracy"].max() - 0.02
    best = found["mean_test_recourse_gap"][accurate].max()
    assert found["mean_test_recourse_gap"][search.best_index_] == best
    assert accurate[search.best_index_]
    assert search.best_estimator_.bit_policy.penalty == 0.1
    assert search.best_estimator_.average_bits_ <= 4
