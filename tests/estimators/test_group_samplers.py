"""Resampling by group and core sets: which rows, which labels, in which pipelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from imblearn.under_sampling import RandomUnderSampler
from imblearn.utils.estimator_checks import estimator_checks_generator
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcfq import (
    CoresetSampler,
    GroupSampler,
    PTQClassifier,
    QATClassifier,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.exceptions import UnsupportedModelError
from skcfq.training import equal_quotas
from skcfq.training._row_choice import (
    balanced_calibration,
    inclusion_probabilities,
    row_gradient_norms,
    systematic_draw,
)


@pytest.fixture(scope="module")
def linear(credit):
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(credit.data, credit.target)


def cells_of(X, y, by="sex"):
    return pd.crosstab(X[by], np.asarray(y))


class TestGroups:
    def test_cells_become_as_large_as_the_largest(self, credit):
        X, y = credit.data.set_axis(range(900, 1140)), credit.target.set_axis(range(240))
        sampler = GroupSampler("sex", random_state=0)
        X_new, y_new = sampler.fit_resample(X, y)
        before, after = cells_of(X, y), cells_of(X_new, y_new)
        assert (after.to_numpy() == before.to_numpy().max()).all()
        rows = sampler.sample_indices_
        pd.testing.assert_frame_equal(X_new, X.iloc[rows].reset_index(drop=True))
        pd.testing.assert_series_equal(y_new, y.iloc[rows].reset_index(drop=True))
        assert set(sampler.sampling_strategy_) <= {
            f"{sex}: {label}" for sex in ("male", "female") for label in ("granted", "denied")
        }

    def test_groups_alone_keep_their_shares_of_labels(self, credit):
        under = GroupSampler("sex", sampler=RandomUnderSampler(), by_label=False, random_state=0)
        X_new, y_new = under.fit_resample(credit.data, credit.target)
        sizes = credit.data["sex"].value_counts()
        assert (X_new["sex"].value_counts() == sizes.min()).all()
        small = sizes.idxmin()
        kept = y_new[X_new["sex"] == small].value_counts()
        assert kept.equals(credit.target[credit.data["sex"] == small].value_counts())

    def test_crossed_groups_and_a_strategy_of_cells(self, credit):
        wanted = {"female & rent": 70}
        inner = RandomOverSampler(sampling_strategy=wanted)
        sampler = GroupSampler(["sex", "housing"], sampler=inner, by_label=False, random_state=0)
        X_new, _ = sampler.fit_resample(credit.data, credit.target)
        own = (X_new["sex"] == "female") & (X_new["housing"] == "rent")
        assert own.sum() == 70
        assert (
            len(X_new) - 70
            == (~((credit.data["sex"] == "female") & (credit.data["housing"] == "rent"))).sum()
        )

    def test_rows_that_are_made_up_have_the_label_of_their_cell(self):
        rng = np.random.default_rng(0)
        X = np.column_stack([np.arange(80) % 4 == 0, rng.normal(size=80)]).astype(float)
        y = np.where(X[:, 0] + X[:, 1] > 0.5, 5, 3)
        sampler = GroupSampler(0, sampler=SMOTE(k_neighbors=1), random_state=0)
        X_new, y_new = sampler.fit_resample(X, y)
        assert len(X_new) > len(X)
        assert not hasattr(sampler, "sample_indices_")
        counts = [((X_new[:, 0] == g) & (y_new == label)).sum() for g in (0, 1) for label in (3, 5)]
        assert len(set(counts)) == 1 and sum(counts) == len(X_new)
        alone = GroupSampler(0, sampler=SMOTE(), by_label=False)
        with pytest.raises(ValueError, match=r"sampler \(SMOTE\) makes up rows"):
            alone.fit_resample(X, y)

    def test_one_group_and_groups_of_one(self):
        X, y = pd.DataFrame({"g": ["a"] * 4, "x": range(4)}), [0, 1, 1, 0]
        same, labels = GroupSampler("g", by_label=False).fit_resample(X, y)
        pd.testing.assert_frame_equal(same, X)
        assert labels == y
        more, labels = GroupSampler("g").fit_resample(
            X.assign(g=["a", "a", "a", "b"]), [0, 1, 1, 0]
        )
        assert sorted(more["g"]) == ["a"] * 4 + ["b"] * 2
        assert sum(labels) == 2

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ("nope", "names 'nope', but X has the columns"),
            (9, "names 9, but X has the columns"),
            (True, "names True, but X has the columns"),
            ([], "sensitive_features is empty"),
            ("gap", "'gap' of sensitive_features has 1 missing values"),
        ],
    )
    def test_wrong_columns_are_named(self, columns, message):
        X = pd.DataFrame({"g": list("abab"), "gap": ["x", None, "x", "y"]})
        with pytest.raises(ValueError, match=message):
            GroupSampler(columns).fit_resample(X, [0, 1, 0, 1])

    def test_before_a_model_that_does_not_read_the_group(self, credit):
        drop = make_column_transformer(
            ("drop", ["sex"]), remainder="passthrough", verbose_feature_names_out=False
        ).set_output(transform="pandas")
        size = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
        teacher = TeacherClassifier((8,), max_iter=2, random_state=0)
        model = QATClassifier(4, teacher=teacher, **size)
        pipeline = make_imblearn_pipeline(GroupSampler("sex", random_state=0), drop, model)
        pipeline = clone(pipeline).set_params(groupsampler__by_label=False)
        pipeline.fit(credit.data, credit.target)
        assert "sex" not in pipeline[-1].feature_names_in_
        others = credit.data.assign(sex="never seen")
        np.testing.assert_array_equal(pipeline.predict(others), pipeline.predict(credit.data))


class TestCoresets:
    def test_gradients_are_those_of_each_row_alone(self):
        network = TeacherClassifier((6, 5), max_iter=2, random_state=0)
        X = np.random.default_rng(0).normal(size=(30, 3))
        y = (X[:, 0] > 0).astype(np.int64)
        found = network.fit(X, y).network_
        rows, labels = torch.from_numpy(X), torch.from_numpy(y)
        norms = row_gradient_norms(found, rows, labels)
        parameters = [one.detach().clone().requires_grad_() for one in found.parameters()]
        names = [name for name, _ in found.named_parameters()]
        for row in range(30):
            logits = torch.func.functional_call(
                found, dict(zip(names, parameters, strict=True)), (rows[[row]],)
            )
            loss = torch.nn.functional.cross_entropy(logits, labels[[row]])
            gradients = torch.autograd.grad(loss, parameters)
            expected = torch.cat([one.flatten() for one in gradients]).norm()
            torch.testing.assert_close(norms[row], expected)

    @pytest.mark.parametrize("criterion", ["loss", "gradient"])
    def test_hard_rows_are_kept_and_labels_keep_their_shares(self, criterion, credit, linear):
        sampler = CoresetSampler(linear, size=60, criterion=criterion, random_state=0)
        X_new, y_new = sampler.fit_resample(credit.data, credit.target)
        rows = sampler.sample_indices_
        assert len(set(rows)) == len(rows) == 60 == sum(sampler.sampling_strategy_.values())
        share = (credit.target == "granted").mean()
        assert (y_new == "granted").mean() == pytest.approx(share, abs=1 / 60)
        assert sampler.scores_[rows].mean() > 1.5 * sampler.scores_.mean()
        pd.testing.assert_frame_equal(X_new, credit.data.iloc[rows].reset_index(drop=True))
        if criterion == "loss":
            codes = np.searchsorted(linear.classes_, credit.target)
            own = linear.predict_proba(credit.data)[np.arange(240), codes]
            np.testing.assert_allclose(sampler.scores_, -np.log(own))

    def test_rows_are_drawn_as_probably_as_they_are_said_to_be(self):
        scores = np.array([0.0, 0.2, 1.0, 1.0, 2.0, 30.0])
        chances = inclusion_probabilities(scores, 3)
        assert chances.sum() == pytest.approx(3) and chances[-1] == 1
        assert chances[4] / chances[2] == pytest.approx(min(2.0, 1 / chances[2]))
        rng, drawn = np.random.RandomState(0), np.zeros(6)
        for _ in range(3000):
            rows = systematic_draw(chances, rng)
            assert len(set(rows)) == 3
            drawn[rows] += 1
        np.testing.assert_allclose(drawn / 3000, chances, atol=0.03)
        for many in (0, 1, 6):
            assert len(systematic_draw(inclusion_probabilities(scores, many), rng)) == many
        assert inclusion_probabilities(np.zeros(4), 2).tolist() == [0.5] * 4

    def test_weights_make_up_for_what_is_kept_too_often(self, credit, linear):
        sums = []
        for seed in range(40):
            sampler = CoresetSampler(linear, size=40, random_state=seed)
            sampler.fit_resample(credit.data, credit.target)
            sums.append(sampler.sample_weight_ @ sampler.scores_[sampler.sample_indices_])
        assert np.mean(sums) == pytest.approx(sampler.scores_.sum(), rel=0.05)

    def test_as_many_of_each_group(self, credit, linear):
        sampler = CoresetSampler(linear, size=0.25, sensitive_features="sex", random_state=0)
        X_new, _ = sampler.fit_resample(credit.data, credit.target)
        assert X_new["sex"].value_counts().tolist() == [30, 30]

    def test_models_without_layers_have_losses_only(self, credit):
        X = credit.data[["loan_amount", "loan_duration"]]
        sampler = CoresetSampler(DecisionTreeClassifier(max_depth=2), random_state=0)
        with pytest.raises(UnsupportedModelError):
            sampler.fit_resample(X, credit.target)
        assert len(sampler.set_params(criterion="loss").fit_resample(X, credit.target)[0]) == 48

    def test_labels_must_be_those_of_the_model(self, credit, linear):
        with pytest.raises(ValueError, match="y has the label 'no', but `estimator` knows"):
            CoresetSampler(linear).fit(credit.data, credit.target.replace("denied", "no"))

    def test_calibration_rows_of_ptq(self, credit, linear):
        frozen = FrozenEstimator(linear)
        ptq = PTQClassifier(4, teacher=frozen, calibration="factual", allocation="uniform")
        pipeline = make_imblearn_pipeline(CoresetSampler(frozen, size=50, random_state=0), ptq)
        pipeline.fit(credit.data, credit.target)
        small = pipeline[0].fit_resample(credit.data, credit.target)
        alone = clone(ptq).fit(*small)
        np.testing.assert_array_equal(
            pipeline.predict_proba(credit.data), alone.predict_proba(credit.data)
        )


class TestCalibration:
    def test_quotas_are_equal_where_groups_have_so_many(self):
        for sizes, total in (([2, 50, 90], 21), ([5, 5], 10), ([1, 1, 1], 2), ([0, 7], 3)):
            quotas = equal_quotas(np.array(sizes), total)
            assert quotas.sum() == total and (quotas <= sizes).all()
            short = quotas < sizes
            if short.any():
                assert quotas.max() - quotas[short].min() <= 1

    def test_every_group_counts_the_same(self):
        groups = np.array(["few"] * 5 + ["many"] * 95, dtype=object)
        given = np.linspace(1, 2, 100)
        rows, weights = balanced_calibration(groups, given, 20, np.random.RandomState(0))
        assert (groups[rows] == "few").sum() == 5 and len(rows) == 20
        few = groups[rows] == "few"
        assert weights[few].sum() == pytest.approx(weights[~few].sum())
        np.testing.assert_allclose(weights[few] / weights[few].sum(), given[:5] / given[:5].sum())

    def test_ptq_follows_the_groups(self, credit, linear):
        given = {"calibration": "factual", "allocation": "uniform", "random_state": 0}
        ptq = PTQClassifier(4, teacher=FrozenEstimator(linear), calibration_size=60, **given)
        plain = clone(ptq).fit(credit.data, credit.target)
        lone = ["one"] + ["rest"] * 239
        balanced = clone(ptq).fit(credit.data, credit.target, sensitive_features=lone)
        assert not np.array_equal(
            plain.decision_function(credit.data), balanced.decision_function(credit.data)
        )
        with pytest.raises(ValueError, match="missing values"):
            ptq.fit(credit.data, credit.target, sensitive_features=[None] * 240)


class OfEverybody(GroupSampler):
    """Takes all for one group: the tables of the checks have no column of groups."""

    def _groups(self, table):
        return np.full(len(table), "all", dtype=object)


CHECKED = [CoresetSampler(LogisticRegression(), random_state=0), OfEverybody(0, random_state=0)]


class TestChecks:
    @parametrize_with_checks(CHECKED)
    def test_scikit_learn(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize(
        ("estimator", "check"),
        [case for one in CHECKED for case in estimator_checks_generator(one)],
        ids=lambda one: getattr(getattr(one, "func", None), "__name__", ""),
    )
    def test_imbalanced_learn(self, estimator, check):
        check(estimator)
