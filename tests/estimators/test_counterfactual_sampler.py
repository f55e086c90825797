"""CounterfactualSampler: which rows are added, with which label, in which types."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from imblearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    estimator_checks_generator,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcfq import (
    ActionSet,
    CFQClassifier,
    CounterfactualSampler,
    QATClassifier,
    RecourseSolver,
    TableEncoder,
)
from skcfq.exceptions import EmptyPopulationWarning, TargetError
from skcfq.metrics import RecourseScorer

NUMBERS = ["income", "loan_amount", "loan_duration"]


@pytest.fixture(scope="module")
def linear(credit):
    model = make_pipeline(TableEncoder(), LogisticRegression())
    return model.fit(credit.data, credit.target)


@pytest.fixture
def sampler(credit, linear):
    """Sampler of a fitted linear model."""
    rules, target = clone(credit.action_set), credit.favorable
    return CounterfactualSampler(linear, action_set=rules, target=target, random_state=0)


class TestRows:
    def test_recourse_points_with_the_target_label(self, credit, linear, sampler):
        X, y = credit.data.set_axis(np.arange(240) + 900), credit.target.set_axis(np.arange(240))
        X_more, y_more = sampler.fit_resample(X, y)
        solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
        result = solver.solve(linear, X)
        n_added = int(result.reachable.sum())
        assert n_added > 20
        assert sampler.sampling_strategy_ == {"granted": n_added}
        pd.testing.assert_frame_equal(X_more.iloc[:240], X.reset_index(drop=True))
        pd.testing.assert_series_equal(y_more.iloc[:240], y)
        added = result.points[result.reachable].reset_index(drop=True)
        pd.testing.assert_frame_equal(X_more.iloc[240:].reset_index(drop=True), added)
        assert y_more.iloc[240:].eq("granted").all()
        assert (linear.predict(X_more.iloc[240:]) == "granted").all()
        sources = [*range(240), *np.flatnonzero(result.reachable)]
        np.testing.assert_array_equal(sampler.sample_indices_, sources)
        # What nobody may change is what the source has.
        fixed = list(credit.action_set.immutable)
        expected = X[fixed].iloc[sampler.sample_indices_].reset_index(drop=True)
        pd.testing.assert_frame_equal(X_more[fixed], expected)

    def test_share_draws_refused_rows(self, credit, linear, sampler):
        refused = np.flatnonzero(linear.predict(credit.data) == "denied")
        sampler.set_params(share=0.3)
        drawn = []
        for seed in [0, 0, 1]:
            sampler.set_params(random_state=seed).fit_resample(credit.data, credit.target)
            drawn.append(sampler.sample_indices_[240:])
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert set(drawn[0]) != set(drawn[2])
        for rows in drawn:
            assert set(rows) <= set(refused)
            assert 0 < len(rows) <= np.ceil(0.3 * len(refused))
        sampler.set_params(share=1e-9).fit_resample(credit.data, credit.target)
        assert len(sampler.sample_indices_) == 241

    def test_opposite_adds_to_both_labels(self, credit, linear, sampler):
        rules = ActionSet(immutable=["age", "sex"])
        sampler.set_params(target="opposite", action_set=rules, share=0.2)
        X_more, y_more = sampler.fit_resample(credit.data, credit.target)
        assert set(sampler.sampling_strategy_) == {"granted", "denied"}
        added = X_more.iloc[240:]
        np.testing.assert_array_equal(linear.predict(added), y_more.iloc[240:])
        own = credit.data.iloc[sampler.sample_indices_[240:]]
        assert (linear.predict(own) != y_more.iloc[240:]).all()

    def test_nobody_refused(self, credit, linear, sampler):
        happy = linear.predict(credit.data) == "granted"
        X, y = credit.data[happy], credit.target[happy]
        assert y.nunique() == 2
        with pytest.warns(EmptyPopulationWarning, match="refuses nobody the target 'granted'"):
            X_more, y_more = sampler.fit_resample(X, y)
        pd.testing.assert_frame_equal(X_more, X.reset_index(drop=True))
        pd.testing.assert_series_equal(y_more, y.reset_index(drop=True))
        assert sampler.sampling_strategy_ == {}
        assert len(sampler.sample_indices_) == len(X)

    def test_nobody_has_recourse(self, credit, sampler):
        sampler.set_params(action_set=ActionSet(immutable=list(credit.data)))
        with pytest.warns(EmptyPopulationWarning, match="nobody .*refuses and who has recourse"):
            X_more, _ = sampler.fit_resample(credit.data, credit.target)
        assert X_more is not credit.data
        pd.testing.assert_frame_equal(X_more, credit.data)


class TestTypes:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
    def test_arrays_of_numbers(self, credit, dtype):
        X = credit.data[NUMBERS].to_numpy().astype(dtype)
        y = (credit.target == "granted").to_numpy(dtype=np.int8)
        X_more, y_more = CounterfactualSampler(LogisticRegression()).fit_resample(X, y)
        assert X_more.dtype == dtype and y_more.dtype == np.int8
        assert len(X_more) == len(y_more) > len(X)
        np.testing.assert_array_equal(X_more[: len(X)], X)

    def test_lists_with_text_and_gaps(self, credit, linear):
        columns = ["income", "savings", "employment"]
        rows = credit.data[columns].astype(object).to_numpy().tolist()
        sampler = CounterfactualSampler(clone(linear), target="granted")
        X_more, y_more = sampler.fit_resample(rows, credit.target.tolist())
        assert isinstance(X_more, list) and isinstance(y_more, list)
        assert len(X_more) == len(y_more) > len(rows)
        assert pd.DataFrame(X_more[: len(rows)]).equals(pd.DataFrame(rows))

    def test_categories_gaps_and_nullable_columns(self, people, linear):
        frame, score = people
        y = pd.Series(pd.Categorical(np.where(score > 0.2, "yes", "no")), index=frame.index)
        sampler = CounterfactualSampler(
            clone(linear), action_set=ActionSet(immutable=["city"]), target="yes"
        )
        X_more, y_more = sampler.fit_resample(frame, y)
        pd.testing.assert_series_equal(X_more.dtypes, frame.dtypes)
        assert y_more.dtype == y.dtype
        assert len(X_more) == len(y_more) > len(frame)
        pd.testing.assert_frame_equal(X_more.iloc[: len(frame)], frame.reset_index(drop=True))

    def test_whole_numbers_are_never_cut(self, credit):
        """A model of fractional incomes advises one to people whose income happens to be whole."""
        X, y = credit.data[["income"]] / 1000 + 0.25, credit.target
        model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y)
        whole = pd.DataFrame({"income": np.arange(5)})
        sampler = CounterfactualSampler(model, target="granted")
        X_more, y_more = sampler.fit_resample(whole, y[:5].to_numpy())
        assert len(X_more) > 5
        assert (X_more["income"].iloc[5:] % 1 > 0).all()
        assert (model.predict(X_more.iloc[5:]) == y_more[5:]).all()


class TestModel:
    def test_one_rule_for_models(self, credit, linear, sampler):
        assert sampler.fit(credit.data, credit.target).estimator_ is linear
        frozen = clone(sampler.set_params(estimator=FrozenEstimator(linear)))
        assert frozen.fit(credit.data, credit.target).estimator_ is linear
        model = clone(linear)
        sampler.set_params(estimator=model).fit(credit.data, credit.target)
        assert sampler.estimator_ is not model
        with pytest.raises(NotFittedError):
            model.predict(credit.data)

    def test_labels_must_be_those_of_the_model(self, credit, sampler):
        with pytest.raises(ValueError, match="y has the label 'no', but `estimator` knows"):
            sampler.fit_resample(credit.data, credit.target.replace("denied", "no"))
        with pytest.raises(TargetError, match="target='yes' is no class"):
            sampler.set_params(target="yes").fit(credit.data, credit.target)

    def test_global_generator_is_not_touched(self, credit, quick):
        size = {**quick, "max_iter": 4, "batch_size": 32, "class_weight": "balanced"}
        network = QATClassifier(action_set=credit.action_set, target="granted", **size)
        solver = RecourseSolver(beam_width=2)
        state = np.random.get_state()[1].copy()
        tables = []
        for _ in range(2):
            sampler = CounterfactualSampler(network, solver=solver, share=0.05, random_state=4)
            tables.append(sampler.fit_resample(credit.data, credit.target)[0])
        pd.testing.assert_frame_equal(*tables)
        np.testing.assert_array_equal(state, np.random.get_state()[1])


class TestPipelines:
    def test_before_the_classifier_of_the_library(self, credit, sampler, quick):
        size = {**quick, "max_iter": 4, "batch_size": 32, "class_weight": "balanced"}
        model = CFQClassifier(4, action_set=credit.action_set, target="granted", **size)
        pipeline = make_imblearn_pipeline(sampler, model).fit(credit.data, credit.target)
        X_more, y_more = sampler.fit_resample(credit.data, credit.target)
        alone = clone(model).fit(X_more, y_more)
        np.testing.assert_array_equal(
            pipeline.predict_proba(credit.data), alone.predict_proba(credit.data)
        )
        # Scorers see the raw rows, and not the sampler.
        solver = RecourseSolver(method="pgd", n_steps=20, random_state=0)
        scorer = RecourseScorer("validity_drop", solver=solver)
        assert scorer(pipeline, credit.data) == scorer(alone, credit.data)

    def test_in_cross_validation(self, credit, sampler):
        sampler.set_params(estimator=clone(sampler.estimator))
        pipeline = make_imblearn_pipeline(sampler, TableEncoder(), LogisticRegression())
        scores = cross_val_score(pipeline, credit.data, credit.target, cv=2, error_score="raise")
        assert (scores > 0.6).all()


# A small share, because the tables of the checks have a thousand rows.
CHECKED = CounterfactualSampler(LogisticRegression(), share=0.01, random_state=0)


@pytest.mark.filterwarnings("ignore::skcfq.exceptions.DefaultTargetWarning")
# One check draws labels at random, and the model gives everybody the larger class.
@pytest.mark.filterwarnings("ignore::skcfq.exceptions.EmptyPopulationWarning")
# Of a sparse table, the columns that advice changes are dense while it is verified.
@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns")
class TestChecks:
    @pytest.mark.parametrize(
        ("estimator", "check"),
        list(estimator_checks_generator(CHECKED)),
        ids=lambda one: getattr(getattr(one, "func", None), "__name__", ""),
    )
    def test_imbalanced_learn(self, estimator, check):
        check(estimator)

    @parametrize_with_checks([CHECKED])
    def test_scikit_learn(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize(
        "check", [check_param_validation, check_dataframe_column_names_consistency]
    )
    def test_those_that_are_left_out(self, check):
        check("CounterfactualSampler", CHECKED)
