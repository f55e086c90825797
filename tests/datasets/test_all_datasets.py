"""What holds for every dataset; the real ones are skipped where their files are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq.actions import raw_rows, region_of
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
    make_credit,
)
from skcfq.encoding import TableEncoder
from skcfq.solvers import RecourseSolver

# name: loader, rows, train, test, columns, encoded columns, categorical groups, max_changes, cost
FACTS = {
    "adult": (fetch_adult, 48842, 32561, 16281, 12, 106, 8, 5, "l1"),
    "german": (fetch_german_credit, 1000, 700, 300, 20, 61, 13, 4, "l1"),
    "compas": (fetch_compas, 6172, 4320, 1852, 8, 15, 3, 3, "l1"),
    "bank": (fetch_bank_marketing, 45211, 36168, 9043, 15, 50, 9, 5, "l1"),
    "default": (fetch_default_credit, 30000, 24000, 6000, 23, 29, 3, 4, "l2"),
    "credit": (make_credit, 2000, 1400, 600, 14, 29, 6, 4, "l1"),
}


@pytest.fixture(scope="module", params=FACTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def bunch(name, request):
    if name == "credit":
        return make_credit(random_state=0)
    return FACTS[name][0](data_home=request.getfixturevalue("data_home"))


def is_number(column):
    return pd.api.types.is_numeric_dtype(column)


def test_sizes_are_the_documented_ones(name, bunch):
    _, rows, n_train, n_test, columns, _, groups, max_changes, cost = FACTS[name]
    assert bunch.data.shape == (rows, columns)
    assert (len(bunch.train_indices), len(bunch.test_indices)) == (n_train, n_test)
    assert sum(not is_number(bunch.data[column]) for column in bunch.data) == groups
    assert (bunch.action_set.max_changes, bunch.action_set.cost) == (max_changes, cost)


def test_split_covers_every_row_once(bunch):
    both = np.concatenate([bunch.train_indices, bunch.test_indices])
    np.testing.assert_array_equal(np.sort(both), np.arange(len(bunch.data)))


def test_parts_belong_together(bunch):
    assert bunch.feature_names == list(bunch.data.columns)
    assert set(bunch.units) == set(bunch.feature_names)
    assert set(bunch.immutable) < set(bunch.feature_names)
    assert bunch.immutable == list(bunch.action_set.immutable)
    assert bunch.data.index.equals(bunch.target.index)
    assert bunch.data.index.equals(bunch.groups.index)
    assert not bunch.target.isna().any()
    assert not bunch.groups.isna().any(axis=None)
    assert bunch.target.nunique() == 2
    assert bunch.favorable in set(bunch.target)
    assert bunch.target.name not in bunch.data
    assert len(bunch.DESCR) > 200


def test_units_name_numbers_only(bunch):
    for column, unit in bunch.units.items():
        assert is_number(bunch.data[column]) == (unit != "category"), column


def test_sensitive_columns_are_immutable(bunch):
    sensitive = {"age", "sex", "race", "native_country", "marital", "marital_status"}
    assert sensitive & set(bunch.feature_names) <= set(bunch.immutable)


@pytest.fixture(scope="module")
def region(name, bunch):
    train = bunch.data.iloc[bunch.train_indices]
    space = TableEncoder().fit(train).feature_space_
    assert space.n_encoded == FACTS[name][5]
    rows = bunch.data.iloc[bunch.test_indices[:400]]
    return region_of(clone(bunch.action_set).compile(space), rows)


def test_every_mutable_column_is_a_feature(bunch, region):
    assert set(region.compiled.feature_names) == set(bunch.feature_names) - set(bunch.immutable)


def test_everybody_may_stay(region):
    assert region.contains(region.origin).all()


def test_actions_keep_the_rules_in_raw_units(bunch, region):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(region.origin.shape, generator=generator, dtype=torch.float64)
    before, after = region.X, raw_rows(region, region.project(region.origin + 3 * noise))
    rules = bunch.action_set
    moved = pd.DataFrame({c: ~_same(before[c], after[c]) for c in before})
    assert moved.any(axis=None)
    assert not moved[bunch.immutable].any(axis=None)
    assert moved.sum(axis=1).max() <= rules.max_changes
    for column in set(before) - set(bunch.immutable):
        # An action fills no gap and makes none.
        assert (before[column].isna() == after[column].isna())[~moved[column]].all()
        assert not after[column][moved[column]].isna().any(), column
        old, new = (_ranks(rules, column, table[column]) for table in (before, after))
        change = (new - old)[moved[column]] if is_number(old) else None
        if column in rules.increasing:
            assert (change.dropna() > 0).all(), column
        if column in rules.decreasing:
            assert (change.dropna() < 0).all(), column
        if column in (rules.steps or {}):
            steps = after[column][moved[column]] / rules.steps[column]
            np.testing.assert_array_equal(steps, steps.round())
        for source, goal in zip(old[moved[column]], new[moved[column]], strict=True):
            if column in (rules.transitions or {}):
                assert goal in rules.transitions[column][None if pd.isna(source) else source]


def test_most_of_the_refused_have_recourse(bunch):
    train = bunch.train_indices[:: len(bunch.train_indices) // 4000 + 1]
    model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=2000))
    model.fit(bunch.data.iloc[train], bunch.target.iloc[train])
    rows = bunch.data.iloc[bunch.test_indices]
    people = rows[model.predict(rows) != bunch.favorable].iloc[:60]
    result = RecourseSolver(bunch.action_set, target=bunch.favorable).solve(model, people)
    assert result.reachable.mean() > 0.8


def _same(left, right):
    return (left == right) | (left.isna() & right.isna())


def _ranks(rules, column, values):
    """Ordered categories as ranks, everything else as it is."""
    if column not in (rules.ordinal or {}):
        return values
    order = {level: rank for rank, level in enumerate(rules.ordinal[column])}
    return values.map(order).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_action_set_compiles_on_a_small_fold(bunch, seed):
    few = bunch.data.sample(60, random_state=seed)
    actions = bunch.action_set.compile(TableEncoder().fit(few).feature_space_)
    assert region_of(actions, few).contains(region_of(actions, few).origin).all()
