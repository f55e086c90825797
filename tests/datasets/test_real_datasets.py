"""Facts of the real files that their sources publish, checked on the loaded tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder
from skcfq.datasets import (
    fetch_adult,
    fetch_bank_marketing,
    fetch_celeba_attributes,
    fetch_compas,
    fetch_default_credit,
    fetch_german_credit,
)
from skcfq.exceptions import DatasetNotFoundError


def share(values, label):
    return round(100 * (values == label).mean(), 2)


def test_adult(data_home):
    adult = fetch_adult(data_home=data_home)
    train, test = adult.train_indices, adult.test_indices
    assert share(adult.target.iloc[train], ">50K") == 24.08
    assert share(adult.target.iloc[test], ">50K") == 23.62
    by_sex = adult.target.iloc[train].groupby(adult.groups["sex"].iloc[train])
    assert by_sex.apply(share, ">50K").to_dict() == {"Female": 10.95, "Male": 30.57}
    assert set(adult.target) == {">50K", "<=50K"}
    gaps = adult.data.iloc[train].isna().sum()
    assert gaps[gaps > 0].to_dict() == {
        "workclass": 1836, "occupation": 1843, "native_country": 583,
    }  # fmt: skip
    assert adult.data.dropna().shape[0] == 45222
    assert {"fnlwgt", "education_num"}.isdisjoint(adult.data)


def test_adult_education_order_is_the_published_rank(data_home):
    adult = fetch_adult(data_home=data_home)
    raw = pd.read_csv(data_home / "adult" / "adult.data.gz", header=None, skipinitialspace=True)
    published = raw.groupby(3)[4].first().sort_values().index.tolist()
    assert adult.action_set.ordinal["education"] == published


def test_german(data_home):
    german = fetch_german_credit(data_home=data_home)
    assert german.target.value_counts().to_dict() == {"good": 700, "bad": 300}
    assert not german.data.isna().any(axis=None)
    assert german.data["age"].agg(["min", "max"]).tolist() == [19, 75]
    assert german.groups["sex"].value_counts().to_dict() == {"male": 690, "female": 310}


def test_german_labels_stand_for_one_code_each(data_home):
    german = fetch_german_credit(data_home=data_home)
    raw = pd.read_csv(data_home / "german" / "german.data.gz", sep=" ", header=None)
    for position, column in enumerate(german.data):
        pairs = pd.DataFrame({"code": raw[position], "label": german.data[column]})
        pairs = pairs.drop_duplicates()
        assert pairs["code"].is_unique, column
        assert pairs["label"].is_unique, column


def test_german_split_follows_the_seed(data_home):
    first, again, other = (
        fetch_german_credit(data_home=data_home, random_state=seed).test_indices.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_compas(data_home):
    compas = fetch_compas(data_home=data_home)
    assert (compas.target == "recidivism").sum() == 2809
    assert compas.groups["race"].value_counts().to_dict() == {
        "African-American": 3175, "Caucasian": 2103, "Hispanic": 509, "Other": 343,
        "Asian": 31, "Native American": 11,
    }  # fmt: skip
    assert compas.groups["sex"].value_counts().to_dict() == {"Male": 4997, "Female": 1175}
    assert not compas.data.isna().any(axis=None)


def test_compas_holds_nothing_personal_and_nothing_later(data_home):
    compas = fetch_compas(data_home=data_home)
    assert compas.feature_names == [
        "sex", "age", "race", "juv_fel_count", "juv_misd_count", "juv_other_count",
        "priors_count", "charge_degree",
    ]  # fmt: skip


def test_bank(data_home):
    bank = fetch_bank_marketing(data_home=data_home)
    assert bank.target.value_counts().to_dict() == {"no": 39922, "yes": 5289}
    gaps = bank.data.isna().sum()
    assert gaps[gaps > 0].to_dict() == {
        "job": 288, "education": 1857, "contact": 13020, "days_since_contact": 36954,
        "previous_outcome": 36959,
    }  # fmt: skip
    assert "duration" not in bank.data
    assert bank.data["balance"].min() < 0
    assert bank.data["contact_month"].nunique() == 12


def test_default(data_home):
    default = fetch_default_credit(data_home=data_home)
    assert (default.target == "default").sum() == 6636
    assert default.data["sex"].value_counts().to_dict() == {"female": 18112, "male": 11888}
    assert default.data["education"].isna().sum() == 14 + 280 + 51 + 123
    assert (default.groups["education"] == "other").sum() == 14 + 280 + 51 + 123
    assert not default.data.drop(columns="education").isna().any(axis=None)
    assert default.data["delay_sep"].agg(["min", "max"]).tolist() == [-2, 8]


@pytest.mark.parametrize(
    "fetch",
    [fetch_adult, fetch_bank_marketing, fetch_compas, fetch_default_credit, fetch_german_credit],
)
def test_parameter_and_variable_read_the_same_files(fetch, data_home, monkeypatch):
    monkeypatch.setenv("SKCFQ_DATA", str(data_home))
    pd.testing.assert_frame_equal(fetch().data, fetch(data_home=data_home).data)


@pytest.fixture(scope="module")
def celeba(data_home):
    return fetch_celeba_attributes(data_home=data_home)


def test_celeba(celeba):
    split = celeba.train_indices, celeba.validation_indices, celeba.test_indices
    assert list(map(len, split)) == [162770, 19867, 19962]
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(202599))
    assert set(celeba.data.dtypes) == {np.dtype(bool)}
    published = {"Smiling": 48.21, "Young": 77.36, "Blond_Hair": 14.80, "Eyeglasses": 6.51}
    assert {name: share(celeba.data[name], True) for name in published} == published
    assert (share(celeba.target, "yes"), share(celeba.groups["sex"], "male")) == (51.25, 41.68)


def test_celeba_knows_its_attributes(celeba, data_home):
    smile = fetch_celeba_attributes(target="Smiling", data_home=data_home)
    assert {"Attractive"} == set(smile.data) - set(celeba.data)
    assert "Attractive" in smile.action_set.immutable
    with pytest.raises(ValueError, match="'Happy' is no attribute"):
        fetch_celeba_attributes(target="Happy", data_home=data_home)


def test_celeba_advice_makes_faces_that_can_be(celeba):
    train, test = celeba.train_indices[:4000], celeba.test_indices[:300]
    model = make_pipeline(TableEncoder(), LogisticRegression())
    model.fit(celeba.data.iloc[train], celeba.target.iloc[train])
    people = celeba.data.iloc[test]
    found = RecourseSolver(celeba.action_set, target="yes").solve(model, people)
    assert (found.reachable.sum() / found.denied.sum()) > 0.8
    rows = found.reachable
    before, after = people[rows], found.points[rows]
    assert set(after.dtypes) == {np.dtype(bool)}
    hair = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]
    moved = (before[hair] != after[hair]).any(axis=1)
    assert moved.any()
    assert (after.loc[moved, hair].sum(axis=1) <= 1).all()
    bald = after["Bald"]
    assert not (after.loc[bald, hair] & ~before.loc[bald, hair]).any(axis=None)
    assert (before[["Male", "Young"]] == after[["Male", "Young"]]).all(axis=None)


def test_celeba_is_not_downloaded(monkeypatch):
    monkeypatch.delenv("SKCFQ_DATA", raising=False)
    with pytest.raises(DatasetNotFoundError, match="authors give it away"):
        fetch_celeba_attributes()
