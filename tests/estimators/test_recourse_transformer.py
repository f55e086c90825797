"""RecourseTransformer: what moves, what stays, and where model, rules and target come from."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcfq import ActionSet, QATClassifier, RecourseSolver, RecourseTransformer, TableEncoder
from skcfq.exceptions import ActionSetError, DefaultTargetWarning, TargetError
from skcfq.models import as_predictor

pytestmark = pytest.mark.usefixtures("short_teachers")

NUMBERS = ["income", "loan_amount", "loan_duration"]


@pytest.fixture(scope="module")
def linear(credit):
    model = make_pipeline(TableEncoder(), LogisticRegression())
    return model.fit(credit.data, credit.target)


@pytest.fixture(scope="module")
def network(credit, quick):
    size = {**quick, "max_iter": 4, "batch_size": 32}
    model = QATClassifier(4, action_set=credit.action_set, target=credit.favorable, **size)
    return model.fit(credit.data, credit.target)


@pytest.fixture
def advice(credit, linear):
    """Unfitted, with a fitted model."""
    rules = clone(credit.action_set)
    return RecourseTransformer(linear, action_set=rules, target=credit.favorable, random_state=0)


class TestPoints:
    def test_only_refused_people_with_recourse_move(self, credit, linear, advice):
        X = credit.data.set_axis(np.arange(len(credit.data)) + 500)
        # Little more income, and nothing else: that is recourse for some, and for some none.
        rules = ActionSet(relative_bounds={"income": (0, 400)}, steps={"income": 10})
        rules.set_params(immutable=[name for name in X if name != "income"])
        advice.set_params(action_set=rules)
        points = advice.fit(X).transform(X)
        result = advice.solve(X)
        assert {"optimal", "infeasible", "already_favorable"} == set(result.status)
        pd.testing.assert_frame_equal(points[~result.reachable], X[~result.reachable])
        moved = points[result.reachable]
        assert (linear.predict(moved) == credit.favorable).all()
        assert moved["income"].gt(X.loc[moved.index, "income"]).all()
        pd.testing.assert_frame_equal(points, result.points)
        pd.testing.assert_series_equal(points.dtypes, X.dtypes)

    def test_points_are_those_of_the_solver(self, credit, linear, advice):
        solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
        expected = solver.solve(linear, credit.data).points
        pd.testing.assert_frame_equal(advice.fit_transform(credit.data), expected)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
    def test_arrays_of_numbers(self, credit, dtype):
        X = credit.data[NUMBERS].to_numpy().astype(dtype)
        y = (credit.target == "granted").to_numpy()
        # In single precision, a model's decisions on the boundary depend on its batches.
        solver = RecourseSolver(margin=1e-4)
        advice = RecourseTransformer(LogisticRegression(), solver=solver, target=True)
        points = advice.fit_transform(X, y)
        assert isinstance(points, np.ndarray) and points.shape == X.shape
        assert points.dtype == dtype
        assert advice.estimator_.predict(points).all()
        assert not np.shares_memory(points, X)

    def test_lists_with_text_and_gaps(self, credit, linear):
        X = credit.data[["income", "savings", "employment"]]
        rows = X.astype(object).to_numpy().tolist()
        assert X.isna().to_numpy().any()
        advice = RecourseTransformer(clone(linear), target=credit.favorable)
        points = advice.fit_transform(rows, credit.target.tolist())
        assert points.dtype == object
        status = advice.solve(rows).status
        stayed = status == "already_favorable"
        assert (
            advice.estimator_.predict(points)[stayed | (status == "optimal")] == "granted"
        ).all()
        own = pd.DataFrame(np.asarray(rows, dtype=object))[stayed]
        pd.testing.assert_frame_equal(pd.DataFrame(points)[stayed], own)

    def test_overrides_of_single_people(self, credit, advice):
        advice.fit(credit.data)
        result = advice.solve(credit.data)
        person = int(np.flatnonzero(result.reachable)[0])
        fixed = {"immutable": list(credit.data)}
        bound = advice.solve(credit.data, overrides={credit.data.index[person]: fixed})
        assert bound.status[person] == "infeasible"


class TestColumns:
    def test_status_marks_who_has_no_recourse(self, credit, advice):
        points = advice.set_params(add_status=True).fit_transform(credit.data)
        assert list(points) == [*credit.data, "recourse_status"]
        assert list(points) == advice.get_feature_names_out().tolist()
        np.testing.assert_array_equal(points["recourse_status"], advice.solve(credit.data).status)

    def test_status_beside_an_array(self, credit):
        X = credit.data[NUMBERS].to_numpy(dtype=float)
        advice = RecourseTransformer(LogisticRegression(), add_status=True, target="granted")
        points = advice.fit_transform(X, credit.target)
        result = advice.solve(X)
        np.testing.assert_array_equal(points[:, :-1].astype(float), result.points)
        np.testing.assert_array_equal(points[:, -1], result.status)

    def test_status_needs_a_free_name(self, credit, advice):
        X = credit.data.assign(recourse_status=0)
        with pytest.raises(ValueError, match="add_status=True adds the column 'recourse_status'"):
            advice.set_params(add_status=True).fit(X)

    @pytest.mark.parametrize("add_status", [False, True])
    def test_set_output(self, credit, add_status):
        X = credit.data[NUMBERS].to_numpy(dtype=float)
        advice = RecourseTransformer(LogisticRegression(), add_status=add_status, target="granted")
        points = advice.set_output(transform="pandas").fit_transform(X, credit.target)
        expected = ["x0", "x1", "x2", "recourse_status"][: 3 + add_status]
        assert list(points) == expected == advice.get_feature_names_out().tolist()
        np.testing.assert_array_equal(points[["x0", "x1", "x2"]], advice.solve(X).points)

    def test_set_output_default_keeps_the_table(self, credit, advice):
        points = advice.set_output(transform="pandas").fit_transform(credit.data)
        pd.testing.assert_frame_equal(points, advice.solve(credit.data).points)

    def test_columns_are_checked(self, credit, advice):
        advice.fit(credit.data)
        with pytest.raises(ValueError, match="feature names"):
            advice.transform(credit.data.rename(columns={"income": "wage"}))


class TestModel:
    def test_fitted_is_used_as_it_is(self, credit, linear, advice):
        assert advice.fit(credit.data).estimator_ is linear
        advice.set_params(estimator=FrozenEstimator(linear))
        assert advice.fit(credit.data).estimator_ is linear
        assert clone(advice).fit(credit.data).estimator_ is linear

    def test_unfitted_is_cloned_and_fitted(self, credit, linear, advice):
        model = clone(linear)
        advice.set_params(estimator=model).fit(credit.data, credit.target)
        assert advice.estimator_ is not model
        np.testing.assert_array_equal(
            advice.estimator_.predict_proba(credit.data), linear.predict_proba(credit.data)
        )
        with pytest.raises(NotFittedError):
            model.predict(credit.data)

    def test_clones_forget_a_fit_and_say_so(self, credit, advice):
        with pytest.raises(ValueError, match="FrozenEstimator inside a search"):
            clone(advice).fit(credit.data)
        with pytest.raises(NotFittedError):
            advice.transform(credit.data)

    def test_weights_count_as_rows(self, credit):
        X, y = credit.data[NUMBERS].to_numpy(dtype=float), credit.target.to_numpy()
        weights = np.tile([0.0, 1.0, 2.0], len(X) // 3)
        solver = RecourseSolver(ActionSet(bounds={0: (None, None)}, immutable=[1, 2]))
        model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10)).fit(X, y)
        advice = RecourseTransformer(model, solver=solver, target="granted")
        repeated = np.repeat(X, weights.astype(int), axis=0)
        expected = clone(solver).set_params(target="granted")
        expected = expected.solve(model, X, background=repeated)
        result = advice.fit(X, sample_weight=weights).solve(X)
        assert result.reachable.any()
        np.testing.assert_allclose(result.cost, expected.cost, rtol=1e-9)

    @pytest.mark.parametrize("routing", [False, True])
    def test_weights_reach_an_unfitted_model(self, credit, routing):
        X, y = credit.data[NUMBERS].to_numpy(dtype=float) / 1000, credit.target.to_numpy()
        weights = np.tile([1.0, 3.0], len(X) // 2)
        expected = LogisticRegression().fit(X, y, sample_weight=weights)
        with config_context(enable_metadata_routing=routing):
            advice = RecourseTransformer(LogisticRegression(), target="granted")
            if routing:
                advice.estimator.set_fit_request(sample_weight=True)
                advice.set_fit_request(sample_weight=True)
                pipeline = make_pipeline(advice, "passthrough").fit(X, y, sample_weight=weights)
                advice = pipeline[0]
            else:
                advice.fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(advice.estimator_.coef_, expected.coef_)

    def test_model_without_gradients(self, credit):
        X, rules = credit.data, credit.action_set
        model = RandomForestClassifier(5, max_depth=3, random_state=0)
        forest = make_pipeline(TableEncoder(), model).fit(X, credit.target)
        advice = RecourseTransformer(forest, action_set=rules, target="granted", random_state=0)
        advice.set_params(solver=RecourseSolver(n_restarts=0, beam_width=1))
        rows = X[forest.predict(X) == "denied"].iloc[:2]
        points = advice.fit(X).transform(rows)
        assert len(advice.background_) == len(X)
        result = advice.solve(rows)
        assert result.method == "exact" and result.valid.any()
        assert (forest.predict(points[result.valid]) == "granted").all()


class TestRulesAndTarget:
    def test_own_rules_and_target_of_the_model(self, credit, network):
        advice = RecourseTransformer(network, random_state=0).fit(credit.data)
        assert repr(advice.solver_.action_set) == repr(credit.action_set)
        assert advice.target_ == credit.favorable
        assert advice.background_ is None

    def test_nearest_wins(self, credit, network):
        solver = RecourseSolver(ActionSet(max_changes=2), target="granted", method="pgd")
        advice = RecourseTransformer(network, solver=solver).fit(credit.data)
        assert advice.solver_.action_set.max_changes == 2
        assert advice.solver_.method == "pgd"
        assert solver.random_state is None
        advice.set_params(action_set=ActionSet(max_changes=1), target="denied").fit(credit.data)
        assert advice.solver_.action_set.max_changes == 1
        assert advice.target_ == "denied"

    def test_nested_keys_alter_the_rules_that_hold(self, credit, network):
        advice = RecourseTransformer(network).set_params(action_set__max_changes=1)
        expected = clone(credit.action_set).set_params(max_changes=1)
        assert repr(advice.action_set) == repr(expected)
        advice = RecourseTransformer(network).set_params(solver__margin=0.5)
        assert advice.solver.margin == 0.5

    def test_rules_behind_steps_are_refused(self, credit, quick):
        model = QATClassifier(action_set=ActionSet(immutable=[0]), target="granted", **quick)
        model = make_pipeline(StandardScaler(), model)
        with pytest.raises(ActionSetError, match="Give `action_set=` on the raw columns"):
            RecourseTransformer(model).fit(credit.data[NUMBERS], credit.target)

    def test_wrong_rules_are_told_in_fit(self, credit, advice):
        advice.set_params(action_set=ActionSet(immutable=["incom"]))
        with pytest.raises(ActionSetError, match="incom"):
            advice.fit(credit.data)

    @pytest.mark.parametrize("target", ["yes", ["granted"] * 240, lambda X, y: y])
    def test_wrong_targets_are_told_in_fit(self, credit, advice, target):
        with pytest.raises(TargetError, match=r"target="):
            advice.set_params(target=target).fit(credit.data)

    def test_opposite_and_default_target(self, credit, linear, advice):
        advice.set_params(target="opposite").fit(credit.data)
        result = advice.solve(credit.data)
        assert result.denied.all()
        assert set(result.target) == {"granted", "denied"}
        with pytest.warns(DefaultTargetWarning, match="'granted'"):
            advice.set_params(target=None).fit(credit.data)
        assert advice.target_ == "granted"


class TestComposition:
    def test_same_rows_same_advice(self, credit, network):
        state = np.random.get_state()[1].copy()
        X = credit.data.iloc[:40]
        solver = RecourseSolver(n_restarts=2, beam_width=2)
        advice = RecourseTransformer(network, solver=solver, random_state=3).fit(X)
        first = advice.transform(X)
        assert not first.equals(X)
        again = clone(advice).set_params(estimator=network).fit(X)
        pd.testing.assert_frame_equal(first, again.transform(X))
        loaded = pickle.loads(pickle.dumps(advice))
        pd.testing.assert_frame_equal(first, loaded.transform(X))
        np.testing.assert_array_equal(state, np.random.get_state()[1])

    def test_before_a_deployed_model(self, credit, linear, network, advice):
        pipeline = make_pipeline(advice, FrozenEstimator(network)).fit(credit.data, credit.target)
        points = advice.transform(credit.data)
        np.testing.assert_array_equal(pipeline.predict(credit.data), network.predict(points))
        # The space of the transformer is not a map to what the network reads.
        assert not as_predictor(pipeline, background=credit.data).differentiable

    def test_grid_search_over_the_rules(self, credit, linear, network):
        advice = RecourseTransformer(FrozenEstimator(linear), target=credit.favorable)
        advice.set_params(action_set=credit.action_set, random_state=0)
        pipeline = make_pipeline(advice, FrozenEstimator(network))

        def accepted(model, X, y):
            return float(np.mean(model.predict(X) == credit.favorable))

        key = "recoursetransformer__action_set__max_changes"
        search = GridSearchCV(pipeline, {key: [1, 4]}, scoring=accepted, cv=2, error_score="raise")
        search.fit(credit.data, credit.target)
        assert (search.cv_results_["mean_test_score"] > 0.5).all()
