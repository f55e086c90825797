"""The generated lending table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq.datasets import make_credit
from skcfq.encoding import TableEncoder


def test_same_seed_same_table():
    first, again = make_credit(300, random_state=3), make_credit(300, random_state=3)
    pd.testing.assert_frame_equal(first.data, again.data)
    pd.testing.assert_series_equal(first.target, again.target)
    np.testing.assert_array_equal(first.test_indices, again.test_indices)
    assert not first.data.equals(make_credit(300, random_state=4).data)


def test_global_generator_is_left_alone():
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    make_credit(100, random_state=0)
    assert np.random.random() == expected


@pytest.mark.parametrize("seed", range(5))
def test_a_third_is_refused_and_both_groups_occur(seed):
    credit = make_credit(random_state=seed)
    assert 0.3 < (credit.target == "denied").mean() < 0.4
    assert (credit.groups["sex"].value_counts(normalize=True) > 0.4).all()


def test_kinds_of_columns():
    data = make_credit(random_state=0).data
    assert data["income"].dtype == np.float64
    assert data["loan_amount"].dtype == np.int64
    assert 0.02 < data["savings"].isna().mean() < 0.1
    assert 0.0 < data["employment"].isna().mean() < 0.06
    assert data["age"].between(18, 80).all()
    assert (data["years_employed"] <= data["age"] - 16).all()
    assert (data.drop(columns="savings").select_dtypes("number") >= 0).all(axis=None)


@pytest.mark.parametrize("seed", range(2))
def test_a_small_network_learns_it(seed):
    credit = make_credit(random_state=seed)
    train, test = credit.train_indices, credit.test_indices
    model = make_pipeline(
        TableEncoder(),
        MLPClassifier((32,), early_stopping=True, max_iter=300, random_state=0),
    )
    model.fit(credit.data.iloc[train], credit.target.iloc[train])
    assert model.score(credit.data.iloc[test], credit.target.iloc[test]) > 0.85


@pytest.mark.parametrize("n_samples", [0, 49, 2.5, "many", None])
def test_bad_size_is_refused(n_samples):
    with pytest.raises(ValueError, match="n_samples is"):
        make_credit(n_samples, random_state=0)


@pytest.mark.parametrize("seed", range(20))
def test_smallest_table_has_both_labels_on_both_sides(seed):
    credit = make_credit(50, random_state=seed)
    assert credit.target.iloc[credit.train_indices].nunique() == 2
    assert credit.target.iloc[credit.test_indices].nunique() == 2
