"""Fitted encoders of scikit-learn, read as one function per raw column."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import FeatureSpaceError, UnreadableStepError


def _times(x, factor):
    return x * factor


def _over(x, factor):
    return x / factor


NUMBERS = ["age", "income", "hours"]
WORDS = ["job", "area"]


def people(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(8, 1, n),
            "hours": rng.normal(40, 5, n),
            "job": rng.choice(["cook", "clerk", "pilot", "nurse"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "area": pd.Categorical(rng.choice(["n", "s", "w"], n)),
            "member": rng.random(n) > 0.5,
            "rank": rng.integers(0, 4, n),
        }
    )
    X.loc[X.index[:6], "hours"] = np.nan
    X.loc[X.index[4:9], "job"] = None
    return X


def dense(Z):
    Z = Z.toarray() if hasattr(Z, "toarray") else np.asarray(Z)
    return Z.astype(np.float64)


def check_reading(encoder, X, fresh=None):
    """Read a fitted encoder; assert encode equals transform, and that the round trip returns X."""
    space = FeatureSpace.from_encoder(encoder, X)
    for rows in (X, X.iloc[::-1], fresh):
        if rows is None:
            continue
        Z = space.encode(rows)
        np.testing.assert_allclose(Z, dense(encoder.transform(rows)), rtol=1e-9, atol=1e-9)
        pd.testing.assert_frame_equal(space.decode(Z, rows), rows, check_exact=True)
    covered = sorted(c for block in space.blocks for c in block.columns)
    assert covered == list(range(space.n_encoded))
    assert space.raw_columns == tuple(X.columns)
    return space


def scaled():
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler())


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("last", [None, "table", "scale", "select"])
def test_nested_pipelines_and_column_transformers(output, last):
    X = people()
    words = Pipeline(
        [
            ("fill", SimpleImputer(strategy="most_frequent")),
            ("hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        ]
    )
    inner = ColumnTransformer(
        [("words", words, ["job"]), ("area", OrdinalEncoder(), ["area"])],
        verbose_feature_names_out=False,
    )
    outer = ColumnTransformer(
        [
            ("words", inner, WORDS),
            ("dropped", "drop", ["rank"]),
            ("numbers", scaled(), make_column_selector(dtype_include="float64")),
            ("kept", "passthrough", ["member"]),
        ],
        remainder=MinMaxScaler(),
    ).set_output(transform=output)
    steps = {
        None: [],
        "table": [TableEncoder()],
        "scale": [RobustScaler(with_centering=False), MaxAbsScaler()],
        "select": [VarianceThreshold(0.05), "passthrough"],
    }[last]
    encoder = make_pipeline(outer, *steps).fit(X)
    space = check_reading(encoder, X, people(50, seed=1))
    kinds = [block.kind for block in space.blocks]
    table_of_bool = "table" if (output, last) == ("pandas", "table") else "affine"
    assert kinds[1:] == ["affine", "affine", "table", "table", table_of_bool, "unused"]
    twin = FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert twin.fingerprint == space.fingerprint


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_table_encoder_behind_text_that_passes_through(output):
    X = people()
    front = ColumnTransformer(
        [("numbers", scaled(), NUMBERS), ("rest", "passthrough", [*WORDS, "member"])]
    ).set_output(transform=output)
    encoder = make_pipeline(front, TableEncoder()).fit(X)
    space = check_reading(encoder, X, people(50, seed=1))
    assert [b.kind for b in space.blocks] == ["affine"] * 3 + ["table"] * 3 + ["unused"]
    last = encoder[-1].feature_space_
    behind = last.behind(front, X)
    assert behind.fingerprint == space.fingerprint
    np.testing.assert_allclose(behind.encode(X), last.encode(front.transform(X)))


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        RobustScaler(),
        RobustScaler(with_scaling=False),
        MinMaxScaler((-1, 3)),
        MaxAbsScaler(),
        FunctionTransformer(),
        SimpleImputer(strategy="constant", fill_value=-1.0),
        "passthrough",
        make_pipeline(StandardScaler(), SimpleImputer(), MinMaxScaler()),
        FrozenEstimator(StandardScaler()),
    ],
)
def test_affine_steps(scaler):
    X = people()[NUMBERS]
    if isinstance(scaler, FrozenEstimator):
        scaler.estimator.fit(X)
    encoder = make_column_transformer((scaler, NUMBERS)).fit(X)
    space = check_reading(encoder, X)
    assert {block.kind for block in space.blocks} == {"affine"}


@pytest.mark.parametrize(
    ("step", "increasing"),
    [
        (PowerTransformer(), True),
        (PowerTransformer("box-cox", standardize=False), True),
        (QuantileTransformer(n_quantiles=40), True),
        (QuantileTransformer(n_quantiles=40, output_distribution="normal"), True),
        (FunctionTransformer(np.log1p), True),
        (make_pipeline(FunctionTransformer(np.log), StandardScaler()), True),
        (make_pipeline(SimpleImputer(), FunctionTransformer(np.sqrt)), True),
        (FunctionTransformer(np.square, np.sqrt), True),
        (FunctionTransformer(np.negative, np.negative), False),
        (
            FunctionTransformer(_times, _over, kw_args={"factor": 3}, inv_kw_args={"factor": 3}),
            True,
        ),
    ],
)
def test_monotone_steps(step, increasing):
    X = people()[["income", "age"]].astype(float)
    space = check_reading(make_column_transformer((step, ["income", "age"])).fit(X), X)
    for block in space.blocks:
        assert block.kind == "monotone"
        assert block.increasing is increasing
        x = np.sort(X[block.name].to_numpy())
        np.testing.assert_allclose(block.inverse(block.function(x)), x, rtol=1e-6)
        assert np.all(np.diff(block.encode(x)[:, 0]) * (1 if increasing else -1) >= 0)
    Z = space.encode(X)
    moved = space.decode(Z[::-1], X)
    np.testing.assert_allclose(moved.to_numpy(), X.iloc[::-1].to_numpy(), rtol=1e-6)
    assert pickle.loads(pickle.dumps(space)).fingerprint == space.fingerprint


def test_functions_of_the_user_have_a_fingerprint_but_no_file():
    X = people()[["income"]]
    spaces = []
    for factor in (2.0, 3.0):
        step = FunctionTransformer(
            _times, _over, kw_args={"factor": factor}, inv_kw_args={"factor": factor}
        )
        spaces.append(FeatureSpace.from_encoder(step.fit(X), X))
    assert spaces[0].fingerprint != spaces[1].fingerprint
    with pytest.raises(FeatureSpaceError, match="'income' goes through functions of the user"):
        spaces[0].to_dict()
    assert pickle.loads(pickle.dumps(spaces[0])).fingerprint == spaces[0].fingerprint


@pytest.mark.parametrize(
    "step",
    [
        OneHotEncoder(),
        OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        OneHotEncoder(drop="first"),
        OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
        OneHotEncoder(min_frequency=0.2, handle_unknown="infrequent_if_exist"),
        OneHotEncoder(max_categories=2, drop="first"),
        OrdinalEncoder(encoded_missing_value=-3),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()),
        make_pipeline(OrdinalEncoder(), SimpleImputer(strategy="most_frequent"), StandardScaler()),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder(), OneHotEncoder()),
        make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), MaxAbsScaler()),
        make_pipeline(OneHotEncoder(drop="first", sparse_output=False), SelectKBest(k=3)),
    ],
)
def test_category_steps(step):
    X = people()
    y = np.arange(len(X)) % 2
    encoder = make_column_transformer((step, ["job", "area", "member", "rank"])).fit(X, y)
    space = check_reading(encoder, X, people(50, seed=3))
    Z = space.encode(X)
    moved = space.decode(Z[::-1], X)
    np.testing.assert_array_equal(space.encode(moved), Z[::-1])


def test_unknown_categories_follow_the_encoder():
    X = people()
    new = people(30, seed=5)
    new["job"] = "astronaut"
    for step in [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(min_frequency=0.2, handle_unknown="infrequent_if_exist"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5),
    ]:
        encoder = make_column_transformer((step, ["rank", "job"])).fit(X)
        space = FeatureSpace.from_encoder(encoder, X)
        Z = space.encode(new)
        np.testing.assert_array_equal(Z, dense(encoder.transform(new)))
        assert (space.block("job").level_of(new["job"]) == -1).all()
        pd.testing.assert_frame_equal(space.decode(Z, new), new)
    strict = make_column_transformer((OneHotEncoder(), ["job"])).fit(X)
    space = FeatureSpace.from_encoder(strict, X)
    with pytest.raises(FeatureSpaceError, match=r"'job' holds \['astronaut'\].*handle_unknown"):
        space.encode(new)


def test_arrays_and_positions():
    X = people()[NUMBERS].to_numpy()
    encoder = ColumnTransformer(
        [("a", scaled(), slice(1, 3)), ("b", "passthrough", [True, False, False])]
    ).fit(X)
    space = FeatureSpace.from_encoder(encoder, X)
    np.testing.assert_allclose(space.encode(X), encoder.transform(X))
    assert space.raw_columns == (0, 1, 2) and not space.is_frame
    assert [b.columns.tolist() for b in space.blocks] == [[2], [0], [1]]
    mixed = people()[["age", "job", "rank"]].to_numpy(dtype=object)
    encoder = ColumnTransformer([("c", OneHotEncoder(), [1, 2]), ("n", scaled(), [0])]).fit(mixed)
    space = FeatureSpace.from_encoder(encoder, mixed)
    np.testing.assert_allclose(space.encode(mixed), dense(encoder.transform(mixed)))


def test_slices_of_names_include_both_ends_and_positions_may_count_from_the_end():
    X = people()[[*NUMBERS, "rank"]]
    encoder = ColumnTransformer(
        [
            ("few", scaled(), slice("income", "hours")),
            ("first", MinMaxScaler(), slice(None, "age")),
            ("last", "passthrough", [-1]),
        ]
    ).fit(X)
    space = check_reading(encoder, X)
    assert [block.columns.tolist() for block in space.blocks] == [[2], [0], [1], [3]]


def test_a_sampler_changes_rows_in_fit_and_nothing_afterwards():
    pipeline = pytest.importorskip("imblearn.pipeline")
    sampling = pytest.importorskip("imblearn.over_sampling")
    X = people()[NUMBERS]
    sampler = sampling.RandomOverSampler(random_state=0)
    encoder = pipeline.make_pipeline(SimpleImputer(), sampler, StandardScaler())
    encoder.fit(X, np.arange(len(X)) < 20)
    space = check_reading(encoder, X)
    assert [block.kind for block in space.blocks] == ["affine"] * 3


def test_columns_that_the_encoder_never_saw_are_ignored():
    X = people()
    encoder = make_column_transformer((scaled(), ["age", "hours"])).fit(X[NUMBERS])
    shuffled = X[X.columns[::-1]]
    space = FeatureSpace.from_encoder(encoder, shuffled)
    assert space.raw_columns == tuple(NUMBERS)
    np.testing.assert_allclose(space.encode(shuffled), encoder.transform(X[NUMBERS]))
    assert space.encode(X.drop(columns="income")).shape == (len(X), 2)
    with pytest.raises(FeatureSpaceError, match=r"lacks the columns \['hours'\]"):
        FeatureSpace.from_encoder(encoder, X.drop(columns="hours"))


def test_gap_only_columns_and_weights():
    X = people()
    X["none"] = np.nan
    weights = np.random.default_rng(0).integers(0, 3, len(X))
    encoder = make_column_transformer((SimpleImputer(), ["none", "age"]))
    with pytest.warns(UserWarning, match="without any observed values"):
        space = FeatureSpace.from_encoder(encoder.fit(X), X, sample_weight=weights)
    assert space.block("none").kind == "unused"
    repeated = X.loc[X.index.repeat(weights), "age"]
    statistics = space.block("age").statistics
    assert statistics.mean == pytest.approx(repeated.mean())
    assert statistics.n == weights.sum()


class Shift(StandardScaler):
    """A scaler whose transform is not what its attributes say."""

    def transform(self, X, copy=None):
        return super().transform(X, copy=copy) + 1.0


class Swap(TransformerMixin, BaseEstimator):
    """A transformer that nobody knows."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X)[:, ::-1]


@pytest.mark.parametrize(
    "step",
    [
        PCA(n_components=2),
        TruncatedSVD(2),
        PolynomialFeatures(2),
        Normalizer(),
        KNNImputer(),
        KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
        SplineTransformer(3),
        FeatureUnion([("a", StandardScaler()), ("b", StandardScaler())]),
        Swap(),
        Shift(),
        MinMaxScaler(clip=True),
        SimpleImputer(missing_values=40, add_indicator=True),
        FunctionTransformer(np.sin),
        FunctionTransformer(_times, np.sqrt, kw_args={"factor": 2}),
        FunctionTransformer(np.cumsum, np.negative, kw_args={"axis": 1}),
        FunctionTransformer(lambda x: x - x.mean(axis=1, keepdims=True), lambda z: z),
        FunctionTransformer(np.square),
    ],
)
def test_steps_that_cannot_be_read_are_refused_by_name(step):
    X = people()[["income", "age"]].astype(float)
    X["income"] -= X["income"].median()
    X["age"] /= 100
    inner = Pipeline([("before", StandardScaler(with_mean=False)), ("culprit", step)])
    encoder = ColumnTransformer([("numbers", inner, ["income", "age"])], sparse_threshold=0)
    if isinstance(step, FunctionTransformer):
        step.check_inverse = False
    encoder.fit(X)
    with pytest.raises(UnreadableStepError, match="numbers → culprit"):
        FeatureSpace.from_encoder(encoder, X)


def test_bare_steps_are_refused_by_type():
    X = people()[["age", "income"]]
    with pytest.raises(UnreadableStepError, match="Step PCA cannot be read.*part of the model"):
        FeatureSpace.from_encoder(PCA().fit(X), X)


def test_columns_that_are_encoded_twice_are_refused():
    X = people()
    twice = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["age"])).fit(X)
    with pytest.raises(UnreadableStepError, match="'age' is encoded .* times"):
        FeatureSpace.from_encoder(twice, X)
    tables = make_column_transformer((OneHotEncoder(), ["rank"]), (OrdinalEncoder(), ["rank"]))
    space = FeatureSpace.from_encoder(tables.fit(X), X)
    assert space.block("rank").width == 5
    indicator = SimpleImputer(add_indicator=True).fit(X[["hours"]])
    with pytest.raises(UnreadableStepError, match="add_indicator=True"):
        FeatureSpace.from_encoder(indicator, X[["hours"]])


def test_text_that_nobody_encodes_is_refused():
    X = people()[["job"]]
    encoder = make_column_transformer(("passthrough", ["job"])).fit(X)
    with pytest.raises(UnreadableStepError, match="'job' is not numeric.*OneHotEncoder"):
        FeatureSpace.from_encoder(encoder, X)


def test_unfitted_encoders_are_refused():
    with pytest.raises(NotFittedError):
        FeatureSpace.from_encoder(StandardScaler(), np.zeros((2, 2)))


def test_nullable_numbers_pass_through():
    X = people()[["age", "hours"]].convert_dtypes()
    encoder = make_column_transformer((SimpleImputer(), ["hours"]), ("passthrough", ["age"]))
    encoder.set_output(transform="pandas").fit(X)
    check_reading(encoder, X)
