"""Scorers: what they resolve, and that they equal the functions on results they say they equal."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcfq.actions import ActionSet
from skcfq.encoding import TableEncoder
from skcfq.exceptions import (
    ActionSetError,
    DefaultTargetWarning,
    EmptyPopulationWarning,
    ReferenceRequiredError,
    TargetError,
)
from skcfq.metrics import (
    RecourseScorer,
    action_overlap,
    counterfactual_recourse_gap,
    crg_scorer,
    direction_similarity,
    faithfulness_scorer,
    feasible_recourse_rate,
    validity_drop,
    vd_scorer,
)
from skcfq.solvers import RecourseSolver

ALL_METRICS = [
    "validity_drop",
    "label_mismatch",
    "recourse_gap",
    "signed_recourse_gap",
    "direction_similarity",
    "action_overlap",
    "feasible_recourse_rate",
    "faithfulness",
]
# The literal recursion of Eq. 6 with small steps: a real solver, and the quickest of them.
QUICK = RecourseSolver(method="pgd", n_steps=10, step_size=0.1, random_state=3)


class LogitsOnTable(ClassifierMixin, BaseEstimator):
    """A logistic regression on a table encoder, in the library's own protocol."""

    def __init__(self, C=1.0):
        self.C = C

    def fit(self, X, y):
        self.encoder_ = TableEncoder().fit(X)
        return self._take(LogisticRegression(C=self.C).fit(self.encoder_.transform(X), y))

    def _take(self, model, decimals=16):
        self.feature_space_ = self.encoder_.feature_space_
        self.classes_ = model.classes_
        self.network_ = torch.nn.Linear(self.feature_space_.n_encoded, 2, dtype=torch.float64)
        with torch.no_grad():
            self.network_.weight[0] = 0.0
            self.network_.weight[1] = torch.from_numpy(model.coef_[0].round(decimals))
            self.network_.bias[0] = 1.0
            self.network_.bias[1] = 1.0 + float(model.intercept_[0]) - 10.0**-decimals
        return self

    def logits_(self, Z):
        return self.network_(Z)

    def predict(self, X):
        with torch.no_grad():
            logits = self.logits_(torch.from_numpy(self.encoder_.transform(X)))
        return self.classes_[logits.argmax(dim=1).numpy()]


class Rounded(LogitsOnTable):
    """Its teacher is exact, its own coefficients are rounded, and it is a little stricter."""

    def __init__(self, C=1.0, decimals=0, action_set=None, target=None):
        super().__init__(C)
        self.decimals = decimals
        self.action_set = action_set
        self.target = target

    def fit(self, X, y):
        self.teacher_ = LogitsOnTable(C=self.C).fit(X, y)
        self.encoder_ = self.teacher_.encoder_
        model = LogisticRegression(C=self.C).fit(self.encoder_.transform(X), y)
        return self._take(model, self.decimals)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "income": rng.normal(30.0, 8.0, n),
            "debt": rng.exponential(5.0, n),
            "job": rng.choice(["clerk", "nurse", "welder"], n),
        }
    )
    score = frame["income"] / 8 - frame["debt"] / 5 + (frame["job"] == "nurse")
    return frame, (score + rng.normal(0, 0.5, n) > score.median()).astype(int).to_numpy()


@pytest.fixture(scope="module")
def rounded(people):
    return Rounded().fit(*people)


@pytest.fixture
def frozen_pair(people):
    """Two exact models of scikit-learn behind one fitted encoder."""
    X, y = people
    encoder = TableEncoder().fit(X)
    Z = encoder.transform(X)
    models = LogisticRegression().fit(Z, y), LogisticRegression(C=0.05).fit(Z, y)
    return tuple(Pipeline([("encoder", encoder), ("model", model)]) for model in models)


def numbers(X):
    return X[["income", "debt"]].to_numpy()


def quick(metrics, **options):
    return RecourseScorer(metrics, solver=QUICK, **options)


def direct(reference, deployed, X, *, target=1, **options):
    """All metrics, from one comparison of one's own."""
    solver = clone(QUICK).set_params(target=target, **options)
    results = solver.compare(reference, deployed, X[reference.predict(X) != target])
    drop = validity_drop(reference, deployed, results[0])
    gap = counterfactual_recourse_gap(*results)
    return {
        "validity_drop": -drop,
        "recourse_gap": -gap,
        "signed_recourse_gap": -counterfactual_recourse_gap(*results, kind="signed"),
        "direction_similarity": direction_similarity(*results),
        "action_overlap": action_overlap(*results),
        "feasible_recourse_rate": feasible_recourse_rate(results[0]),
        "faithfulness": -drop - gap,
    }


def test_scores_equal_the_metrics_on_one_comparison(people, rounded):
    X, _ = people
    names = [name for name in ALL_METRICS if name != "label_mismatch"]
    scores = quick(names, max_people=None)(rounded, X)
    assert scores == pytest.approx(direct(rounded.teacher_, rounded, X))
    assert -1 < scores["validity_drop"] < 0  # rounding breaks some advice, and not all
    assert scores["recourse_gap"] < 0
    for name in names[1:]:
        assert quick(name)(rounded, X) == scores[name]


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (vd_scorer, "validity_drop"),
        (crg_scorer, "recourse_gap"),
        (faithfulness_scorer, "faithfulness"),
    ],
)
def test_named_scorers_work_with_nothing_given(scorer, name, people, rounded):
    X, y = people
    score = scorer(rounded, X, y)
    assert isinstance(score, float)
    assert score < 0
    assert scorer.get_params() == RecourseScorer(name).get_params()


def test_label_mismatch_is_over_everyone_the_reference_serves(people, rounded):
    X, _ = people
    result = QUICK.solve(rounded.teacher_, X)
    expected = -validity_drop(rounded.teacher_, rounded, result, kind="mismatch")
    scorer = quick("label_mismatch")
    assert scorer(rounded, X) == pytest.approx(expected, abs=1e-12)
    # Sampled denied rows stand for all denied rows, so the estimate stays close.
    sampled = clone(scorer).set_params(max_people=20)(rounded, X)
    assert sampled == pytest.approx(expected, abs=0.1)


def test_sampling_is_seeded_and_bounded(people, rounded):
    X, _ = people
    one = quick("validity_drop", max_people=7)
    score = one(rounded, X)
    assert score == one(rounded, X) == clone(one)(rounded, X)
    assert 7 * score == pytest.approx(round(7 * score))
    seeds = [clone(one).set_params(random_state=seed) for seed in range(6)]
    assert len({scorer(rounded, X) for scorer in seeds}) > 1


class TestReference:
    def test_given_one_wins(self, people, frozen_pair):
        X, _ = people
        reference, deployed = frozen_pair
        scorer = quick("recourse_gap", reference=reference)
        expected = direct(reference, deployed, X)["recourse_gap"]
        assert scorer(deployed, X) == pytest.approx(expected)
        assert scorer(reference, X) == pytest.approx(0.0, abs=1e-12)

    def test_frozen_one_survives_a_clone(self, people, frozen_pair):
        X, _ = people
        reference, deployed = frozen_pair
        scorer = quick("validity_drop", reference=FrozenEstimator(reference))
        assert clone(scorer)(deployed, X) == scorer(deployed, X)

    def test_clone_of_a_fitted_one_is_refused_with_the_remedy(self, people, frozen_pair):
        X, _ = people
        scorer = clone(RecourseScorer("validity_drop", reference=frozen_pair[0]))
        with pytest.raises(NotFittedError, match=r"`reference`.*FrozenEstimator.*never fit"):
            scorer(frozen_pair[1], X)

    def test_none_at_all(self, people, frozen_pair):
        with pytest.raises(ReferenceRequiredError, match="`reference=`"):
            vd_scorer(frozen_pair[1], people[0])

    def test_unfitted_estimator(self, people):
        with pytest.raises(NotFittedError, match="`estimator`"):
            vd_scorer(make_pipeline(StandardScaler(), LogisticRegression()), people[0])

    def test_any_deployed_model_has_a_validity_drop(self, people, frozen_pair):
        X, y = people
        forest = RandomForestClassifier(n_estimators=5, random_state=0)
        deployed = make_pipeline(TableEncoder(), forest).fit(X, y)
        names = ["validity_drop", "label_mismatch", "feasible_recourse_rate"]
        scores = quick(names, reference=frozen_pair[0])(deployed, X)
        assert -1 < scores["validity_drop"] < 0


class TestActionSet:
    def test_of_the_estimator(self, people):
        X, y = people
        rules = ActionSet(immutable=["job"], increasing=["income"])
        model = Rounded(action_set=rules).fit(X, y)
        names = ["validity_drop", "recourse_gap"]
        expected = direct(model.teacher_, model, X, action_set=rules)
        assert quick(names)(model, X) == pytest.approx({name: expected[name] for name in names})

    def test_own_one_wins(self, people):
        X, y = people
        own = ActionSet(immutable=["job", "debt"])
        model = Rounded(action_set=ActionSet(immutable=["income"])).fit(X, y)
        expected = direct(model.teacher_, model, X, action_set=own)["recourse_gap"]
        solver = clone(QUICK).set_params(action_set=own)
        for scorer in (
            quick("recourse_gap", action_set=own),
            RecourseScorer("recourse_gap", solver=solver),
        ):
            assert scorer(model, X) == pytest.approx(expected)

    def test_behind_preprocessing_names_the_received_columns(self, people):
        X, y = people
        scale = ColumnTransformer([("scale", StandardScaler(), ["debt", "income"])])
        rules = ActionSet(immutable=[0])  # the debt
        model = make_pipeline(scale, Rounded(action_set=rules)).fit(X, y)
        received = model[0].transform(X)
        expected = direct(model[1].teacher_, model[1], received, action_set=rules)
        assert quick("recourse_gap")(model, X) == pytest.approx(expected["recourse_gap"])

    def test_own_one_names_raw_columns_in_front_of_preprocessing(self, people):
        X, y = people
        scale = ColumnTransformer([("scale", StandardScaler(), ["debt", "income"])])
        model = make_pipeline(scale, Rounded(action_set=ActionSet(immutable=[0]))).fit(X, y)
        scorer = quick("recourse_gap", action_set=ActionSet(immutable=["debt"]), background=X)
        # The same rule in the words of either side.
        assert scorer(model, X) == pytest.approx(quick("recourse_gap")(model, X), rel=1e-6)

    def test_rules_behind_preprocessing_do_not_fit_a_raw_reference(self, people, frozen_pair):
        X, y = people
        model = make_pipeline(TableEncoder(), Rounded(action_set=ActionSet(immutable=[0])))
        model.fit(X, y)
        scorer = quick("validity_drop", reference=frozen_pair[0])
        with pytest.raises(ActionSetError, match="`action_set` of its own"):
            scorer(model, X)
        assert -1 <= scorer.set_params(action_set=ActionSet(immutable=["job"]))(model, X) <= 0

    def test_samplers_are_skipped(self, people):
        X, y = people
        sampler = RandomOverSampler(random_state=0)
        model = make_imblearn_pipeline(sampler, Rounded()).fit(X, y)
        scorer = quick("validity_drop")
        assert scorer(model, X) == scorer(model[-1], X)


class TestTarget:
    def test_of_the_estimator_and_given(self, people):
        X, y = people
        model = Rounded(target=0).fit(X, y)
        expected = {t: direct(model.teacher_, model, X, target=t)["recourse_gap"] for t in (0, 1)}
        assert expected[0] != expected[1]
        scorer = quick("recourse_gap")
        assert scorer(model, X) == pytest.approx(expected[0])
        assert quick("recourse_gap", target=1)(model, X) == pytest.approx(expected[1])
        solver = clone(QUICK).set_params(target=1)
        scorer = RecourseScorer("recourse_gap", solver=solver)
        assert scorer(model, X) == pytest.approx(expected[1])

    def test_opposite_serves_everyone(self, people, rounded):
        X, _ = people
        solver = clone(QUICK).set_params(target="opposite")
        result = solver.solve(rounded.teacher_, X)
        expected = -validity_drop(rounded.teacher_, rounded, result)
        scorer = RecourseScorer("validity_drop", solver=solver)
        assert scorer(rounded, X) == pytest.approx(expected)

    def test_training_rules_cannot_be_measured(self, people):
        X, y = people
        model = Rounded(target=lambda X, y: 1 - y).fit(X, y)
        with pytest.raises(TargetError, match="training"):
            vd_scorer(model, X)

    def test_guessed_one_warns_once(self, people):
        X, y = people
        model = Rounded().fit(X, np.where(y == 1, "yes", "no"))
        with pytest.warns(DefaultTargetWarning, match="'yes'") as record:
            quick("validity_drop")(model, X)
        assert len(record) == 1

    def test_no_class(self, people, rounded):
        with pytest.raises(TargetError, match="no class"):
            RecourseScorer("validity_drop", target="yes")(rounded, people[0])


def test_teacher_of_another_library_is_measured_in_the_student_s_space(people):
    """Such a teacher has no statistics; those of its student's training rows serve both."""
    X, y = people
    model = Rounded().fit(X, y)
    encoder, table = model.encoder_, model.encoder_.transform(X)
    model.teacher_ = Pipeline([("encoder", encoder), ("head", LogisticRegression().fit(table, y))])
    expected = direct(model.teacher_, model, X)["recourse_gap"]
    unknown = FunctionTransformer(encoder.transform)  # nothing can be read from it
    model.teacher_ = FrozenEstimator(Pipeline([("encoder", unknown), model.teacher_.steps[1]]))
    assert quick("recourse_gap")(model, X) == pytest.approx(expected)


def test_nobody_denied_is_nan(people):
    X, _ = people
    model = LogisticRegression(C=1e-9).fit(numbers(X), [1] * 59 + [0])
    scorer = RecourseScorer(["validity_drop", "recourse_gap"], reference=model)
    with pytest.warns(EmptyPopulationWarning, match="rows that the reference denies"):
        scores = scorer(model, numbers(X))
    assert all(math.isnan(score) for score in scores.values())
    with pytest.warns(EmptyPopulationWarning, match="to all of .* 1.7% of y do not have it"):
        scorer(model, numbers(X), [1] * 59 + [0])


@pytest.mark.parametrize("metrics", ["accuracy", ["validity_drop", "vd"], []])
def test_unknown_metrics(metrics, people, rounded):
    with pytest.raises(ValueError, match="The 'metrics' parameter"):
        RecourseScorer(metrics)(rounded, people[0])


@pytest.mark.parametrize("max_people", [0, -3])
def test_max_people_is_checked(max_people, people, rounded):
    with pytest.raises(ValueError, match="'max_people'"):
        RecourseScorer("validity_drop", max_people=max_people)(rounded, people[0])


def test_scorers_ask_for_no_margin_as_comparisons_do(people, rounded, monkeypatch):
    (X, y), asked, solve = people, [], RecourseSolver.solve

    def noted(solver, *given, **named):
        asked.append((solver.margin, solver.perturbation_radius))
        return solve(solver, *given, **named)

    monkeypatch.setattr(RecourseSolver, "solve", noted)
    RecourseScorer("validity_drop", solver=RecourseSolver(method="pgd"), max_people=9)(
        rounded, X, y
    )
    assert set(asked) == {(0.0, 0.0)}


def test_given_solver_is_not_touched(people, rounded):
    solver = clone(QUICK).set_params(random_state=None)
    before = solver.get_params()
    RecourseScorer("recourse_gap", solver=solver, action_set=ActionSet())(rounded, people[0])
    assert solver.get_params() == before


def test_clone_pickle_and_params(people, rounded):
    X, _ = people
    scorer = RecourseScorer(
        ["validity_drop"],
        solver=clone(QUICK).set_params(cost="l2"),
        action_set=ActionSet(immutable=["job"]),
    )
    again = pickle.loads(pickle.dumps(clone(scorer)))
    assert again(rounded, X) == scorer(rounded, X)
    assert again.get_params()["solver__cost"] == "l2"
    assert again.set_params(action_set__max_changes=1).action_set.max_changes == 1
    assert repr(vd_scorer) == "RecourseScorer(metrics='validity_drop')"


@pytest.mark.parametrize("routing", [False, True])
class TestSearches:
    """Everything again through scikit-learn's own machinery, with and without routing."""

    def test_cross_val_score(self, people, routing):
        X, y = people
        with config_context(enable_metadata_routing=routing):
            scores = cross_val_score(
                Rounded(), X, y, scoring=quick("validity_drop"), cv=2, error_score="raise"
            )
        assert ((scores <= 0) & (scores >= -1)).all()

    def test_beside_other_scorers(self, people, routing):
        X, y = people
        scoring = {"vd": quick("validity_drop"), "accuracy": "accuracy"}
        with config_context(enable_metadata_routing=routing):
            found = cross_validate(Rounded(), X, y, scoring=scoring, cv=2, error_score="raise")
        assert np.isfinite(found["test_vd"]).all()

    def test_grid_search_with_one_and_several_metrics(self, people, routing):
        X, y = people
        grid = {"decimals": [0, 12]}
        scorer = quick(["validity_drop", "recourse_gap"])
        with config_context(enable_metadata_routing=routing):
            one = GridSearchCV(Rounded(), grid, scoring=quick("faithfulness"), cv=2,
                               error_score="raise").fit(X, y)  # fmt: skip
            several = GridSearchCV(clone(Rounded()), grid, scoring=scorer, cv=2,
                                   refit="recourse_gap", error_score="raise").fit(X, y)  # fmt: skip
        # Twelve decimals keep every advice, none breaks some of it.
        assert one.best_params_ == several.best_params_ == {"decimals": 12}
        assert several.cv_results_["mean_test_validity_drop"][0] < 0

    def test_frozen_reference_in_a_cloned_search(self, people, frozen_pair, routing):
        X, y = people
        reference = FrozenEstimator(frozen_pair[0])
        scorer = quick("validity_drop", reference=reference)
        model = make_pipeline(TableEncoder(), LogisticRegression())
        grid = {"logisticregression__C": [0.01, 1.0]}
        with config_context(enable_metadata_routing=routing):
            search = clone(GridSearchCV(model, grid, scoring=scorer, cv=2, error_score="raise"))
            search.fit(X, y)
            assert search.best_score_ <= 0
            assert search.score(X, y) == scorer(search, X)


def test_dummy_reference_that_refuses_everybody_has_nobody_to_measure(people):
    X, y = people
    dummy = DummyClassifier(strategy="constant", constant=0).fit(numbers(X), y)
    model = LogisticRegression().fit(numbers(X), y)
    scorer = RecourseScorer("validity_drop", reference=dummy, background=numbers(X), target=1)
    with pytest.warns(EmptyPopulationWarning) as caught:
        assert np.isnan(scorer(model, numbers(X), y))
    share = f"{100 * np.mean(y):.2g}% of y have it"
    assert "The reference gives the target to none" in str(caught[0].message)
    assert share in str(caught[0].message)


def test_a_sampled_denied_row_stands_for_those_that_were_not_drawn():
    """Of 8 rows, 4 denied fail at their points and 1 favored differs, however many are drawn."""
    X = np.arange(8.0).reshape(-1, 1)
    reference, stricter = (LogisticRegression().fit(X, X[:, 0] > limit) for limit in (3, 4))
    for max_people in (None, 3, 1):
        scorer = RecourseScorer(
            "label_mismatch", reference=reference, background=X, max_people=max_people
        )
        assert scorer(stricter, X) == pytest.approx(-5 / 8)
