"""What serves raw rows against the arithmetic as it is defined, on every kind of row and column."""

from __future__ import annotations

import decimal
import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)

import skcfq
from skcfq.deploy import (
    DeployedClassifier,
    IntegerLayer,
    IntegerNetwork,
    LayerParts,
    _first_layer,
    _products,
    _serving,
    encode_rows,
    integer_network,
)
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import FeatureSpaceError

pytestmark = pytest.mark.usefixtures("short_teachers")


def table(rng, n):
    """Return raw rows of many kinds; the encoders see the first half without what is rare."""
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(8, 1, n),
            "debt": rng.normal(size=n),
            "rate": rng.uniform(0.1, 5, n),
            "job": rng.choice(["clerk", "cook", "nurse"], n),
            "grade": rng.choice([1, 2, 3.5], n),
            "own": rng.choice([True, False], n),
            "town": pd.Categorical(rng.choice(["a", "b", "c", "d"], n)),
            "note": rng.choice(["x", "y"], n),
        }
    )


def random_encoder(rng):
    """Return an encoder with some scaler, function and code for each kind of column."""
    scaler = [StandardScaler(), MinMaxScaler(), "passthrough", QuantileTransformer(n_quantiles=9)]
    hot = OneHotEncoder(handle_unknown=["ignore", "error"][rng.integers(2)])
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -2}
    ordinal = OrdinalEncoder(**(unknown if rng.integers(2) else {}))
    filled = [SimpleImputer(strategy="median"), "passthrough"][rng.integers(2)]
    log = FunctionTransformer(np.log1p, np.expm1, feature_names_out="one-to-one")
    return make_column_transformer(
        (make_pipeline(filled, scaler[rng.integers(4)]), ["age", "income"]),
        (scaler[rng.integers(3)], ["debt"]),
        (make_pipeline(log, StandardScaler()), ["rate"]),
        (hot, ["job", "own"]),
        (make_pipeline(ordinal, StandardScaler()), ["grade", "town"]),
        ("drop", ["note"]),
    )


def random_network(rng, Z, bits=4, sizes=(9, 7, 3)):
    """Return integers whose inputs fit encoded rows."""
    n_inputs, layers = Z.shape[1], []
    per_unit = bool(rng.integers(2))
    for position, n_out in enumerate(sizes):
        n_in = n_inputs if position == 0 else sizes[position - 1]
        weight = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (n_out, n_in))
        step = rng.uniform(0.01, 0.1, n_out) if per_unit else 0.05
        bias = rng.normal(size=n_out)
        layers.append(LayerParts(weight, bits, step, bias, float(rng.uniform(1, 9)), 255))
    return integer_network(
        0.01,
        int(rng.choice([8, 12])),
        layers,
        rng.integers(0, 3, n_inputs),
        rng.integers(-1, 2, n_inputs) if rng.integers(2) else None,
        rng.integers(-50, 50, n_inputs) if rng.integers(2) else None,
    )


def random_model(seed):
    """Return a model, and rows with the rare and the wrong in some places."""
    rng = np.random.default_rng(seed)
    X = table(rng, 400)
    encoder = random_encoder(rng).fit(X)
    space = FeatureSpace.from_encoder(encoder, X)
    network = random_network(rng, space.encode(X))
    columns = X.columns.tolist()
    model = DeployedClassifier(network, space, np.array(["no", "so", "yes"]), columns=columns)
    rare = X.sample(600, replace=True, random_state=seed).reset_index(drop=True)
    rare["debt"] *= rng.choice([1, 1e3, 1e9], len(rare))
    rare["age"] = rare["age"].astype(float).mask(rng.random(len(rare)) < 0.05)
    rare["job"] = rare["job"].astype(object).mask(rng.random(len(rare)) < 0.05, "pilot")
    rare["town"] = rare["town"].astype(object).mask(rng.random(len(rare)) < 0.05, "z")
    return model, X, rare


def defined(model, X):
    """Return the logits as they are defined, or the error of the way there."""
    network = model.integer_network_
    try:
        Z = encode_rows(model.feature_space_, X)
    except FeatureSpaceError as error:
        return str(error)
    if np.isinf(Z).any():
        return "X holds infinite numbers. Replace them by a gap (NaN) or by a finite number."
    return network.defined_totals(Z) * network.logit_scale


def served(model, X):
    try:
        return model._logits(X)
    except FeatureSpaceError as error:
        return str(error)


def assert_same(model, X, as_table=None):
    expected = defined(model, X if as_table is None else as_table)
    found = served(model, X)
    assert type(found) is type(expected), (found, expected)
    if isinstance(found, str):
        assert found == expected
    else:
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()
        np.testing.assert_array_equal(model.predict(X), model.classes_[expected.argmax(axis=1)])
    return not isinstance(found, str)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_every_container_and_number_of_rows(seed):
    model, X, rare = random_model(seed)
    assert model._serving.few(X.iloc[:1].drop(columns="own").assign(own="x")) is None
    n_served = 0
    for rows in (X, rare):
        assert_same(model, rows)
        assert_same(model, rows.iloc[:0])
        for n in (1, 2, 5, 16, 17, 40):
            assert_same(model, rows.iloc[n : 2 * n])
        for i in range(0, 60):
            one = rows.iloc[i : i + 1]
            values = [value for column in one.columns for value in one[column].tolist()]
            record = dict(zip(one.columns, values, strict=True))
            alone = np.array([values], dtype=object)
            assert_same(model, one)
            n_served += assert_same(model, alone)
            assert_same(model, [values], alone)
            assert_same(model, [tuple(values)], alone)
            assert_same(model, record, alone)
            assert_same(model, [record], alone)
        objects = rows.astype(object).to_numpy()
        assert_same(model, objects)
        assert_same(model, objects.tolist(), objects)
    assert n_served > 60


@pytest.mark.parametrize("seed", range(20, 26))
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_other_limits_change_nothing(seed, monkeypatch):
    """Blocks end at other rows, tables are encoded, values are looked up by pandas."""
    limits = {_first_layer: ("_LARGEST_TABLE", "_SHORT", "_MOST_VALUES"), _serving: ("_FEW",)}
    for module, names in limits.items():
        for name in names:
            monkeypatch.setattr(module, name, [0, 3, 10**6][(seed + len(name)) % 3])
    monkeypatch.setattr(_serving, "_FEWEST", 1 + seed % 3)
    monkeypatch.setattr(_products, "_BLOCK_NUMBERS", 7 * seed)
    model, X, rare = random_model(seed)
    for rows in (X, rare, X.astype(object).to_numpy()):
        assert_same(model, rows)
        for n in (1, 2, 7):
            assert_same(model, rows[n : 2 * n])
    for i in range(20):
        assert_same(model, rare.iloc[i : i + 1])
        assert_same(model, [list(rare.iloc[i])], np.array([list(rare.iloc[i])], dtype=object))


ODD = [
    float("nan"), None, pd.NA, pd.NaT, float("inf"), -float("inf"), 1e308, -1e308, 2**53 + 1,
    10**400, -(10**400), True, False, np.True_, 1, 1.0, 2, 2.0, 3.5, -0.0, np.float64(2),
    np.float32(3.5), np.float32(0.1), np.int64(2), np.int8(1), np.str_("cook"), "cook", "clerk",
    "1", "2", "nan", "", "a", "never seen", b"cook", decimal.Decimal(2), 2 + 0j, 2 + 1j, [1], {},
    (1,), np.array(2), pd.Timestamp(0), pd.Interval(0, 1),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_odd_values_end_as_they_always_did(seed):
    model, X, _ = random_model(seed)
    usual = [X[name].tolist()[0] for name in X.columns]
    for j, name in enumerate(X.columns):
        for odd in ODD:
            row = np.empty((1, len(usual)), dtype=object)
            row[0] = usual
            row[0, j] = odd
            frame = pd.DataFrame(row, columns=X.columns, dtype=object)
            outcomes = []
            for rows, alike in (
                (row, row),
                (frame, frame),
                (dict(zip(X.columns, row[0], strict=True)), row),
            ):
                try:
                    outcomes.append(assert_same(model, rows, alike))
                except (TypeError, ValueError, decimal.InvalidOperation) as error:
                    with pytest.raises(type(error)):
                        defined(model, alike)
                    outcomes.append(None)
            assert outcomes[0] == outcomes[2], (name, odd)


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "boolean", "float32", "int8"])
def test_dtypes_of_columns(dtype):
    model, X, _ = random_model(3)
    for name in X.columns:
        try:
            other = X.assign(**{name: X[name].astype(dtype)})
        except (TypeError, ValueError):
            continue
        for rows in (other, other.iloc[:1], other.iloc[3:9]):
            assert_same(model, rows)


def test_a_truth_value_alone_is_what_it_is_among_others():
    model = random_model(0)[0]
    block = model.feature_space_.block("grade")
    alone = np.array([True], dtype=object)
    beside = np.array([True, "x"], dtype=object)
    assert block.level_of(alone)[0] == block.level_of(beside)[0] == block.level_of([1])[0]


def test_records_are_checked_by_name():
    model, X, _ = random_model(1)
    record = X.iloc[0].to_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = model.predict(X.iloc[:1])
        assert model.predict(record) == model.predict([record]) == expected
        assert model.predict(dict(reversed(record.items()))) == expected
        many = [X.iloc[i].to_dict() for i in range(40)]
        np.testing.assert_array_equal(model.predict(many), model.predict(X.iloc[:40]))
        np.testing.assert_array_equal(model.predict_proba(many), model.predict_proba(X.iloc[:40]))
    lacking = {key: value for key, value in record.items() if key not in ("age", "job")}
    with pytest.raises(FeatureSpaceError, match=r"lacks the columns \['age', 'job'\]"):
        model.predict(lacking)
    with pytest.raises(FeatureSpaceError, match=r"Row 1 of X lacks the columns \['age', 'job'\]"):
        model.predict([record, lacking])
    with pytest.raises(FeatureSpaceError, match=r"unknown columns \['hat'\]"):
        model.predict({**record, "hat": 1})
    with pytest.raises(FeatureSpaceError, match="Row 1 of X is a list among dicts"):
        model.predict([record, list(record.values())])
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict([list(record.values())])
    model.columns = None
    with pytest.raises(FeatureSpaceError, match=r"of a list, \[X\] is one row"):
        model.predict(list(record.values()))


def test_without_names_there_are_no_records():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    space = FeatureSpace.from_frame(X)
    model = DeployedClassifier(random_network(rng, X), space, np.arange(3))
    with pytest.raises(FeatureSpaceError, match="without column names"):
        model.predict({"a": 1.0, "b": 2.0, "c": 3.0})
    for rows in (X, X[:1], X.astype(np.float32), X.tolist(), X[:3].tolist(), pd.DataFrame(X)):
        assert_same(model, rows)
    other = FeatureSpace.from_frame(pd.DataFrame(X, columns=[3, 1, 2]))
    model = DeployedClassifier(model.integer_network_, other, np.arange(3))
    for frame in (pd.DataFrame(X, columns=[3, 1, 2]), pd.DataFrame(X, columns=[1, 2, 3])):
        assert_same(model, frame)
        assert_same(model, frame.iloc[:1])


@pytest.mark.parametrize("filled", [False, True])
def test_tables_of_numbers_alone(filled):
    rng = np.random.default_rng(filled)
    X = rng.normal(size=(200, 5)) * [1, 10, 100, 0.1, 5]
    steps = [SimpleImputer()] if filled else []
    encoder = make_pipeline(*steps, StandardScaler(), "passthrough").fit(X)
    space = FeatureSpace.from_encoder(encoder, X)
    model = DeployedClassifier(random_network(rng, X), space, np.arange(3))
    X[3, 2], X[60, 1] = np.nan, np.nan
    for rows in (X, X[:1], X[:16], X[3:4], X[:17], X[50:90].astype(np.float32), X[5:9].tolist()):
        assert_same(model, rows)
    for odd in (np.inf, -np.inf, 1e308, 1e300):
        X[1, 0] = odd
        with np.errstate(over="ignore"):
            for rows in (X[4:], X[1:2], X[:16], X[:17], X[1:2].tolist()):
                assert_same(model, rows)
    with pytest.raises(FeatureSpaceError, match="X has 4 columns"):
        model.predict(X[:, :4])


def test_names_in_another_order_than_the_encoder_has_them():
    model, X, _ = random_model(2)
    order = X.columns[::-1].tolist()
    turned = DeployedClassifier(
        model.integer_network_, model.feature_space_, model.classes_, columns=order
    )
    np.testing.assert_array_equal(turned.predict(X[order]), model.predict(X))
    for i in range(20):
        expected = model.decision_function(X.iloc[i : i + 1])
        np.testing.assert_array_equal(turned.decision_function(X[order].iloc[i : i + 1]), expected)
        np.testing.assert_array_equal(turned.decision_function(X.iloc[i].to_dict()), expected)


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("n_inputs", [3, 300])
def test_float32_only_where_it_is_exact(bits, n_inputs):
    rng = np.random.default_rng(bits)
    Z = rng.normal(size=(300, n_inputs)) * 40
    network = random_network(rng, Z, bits, (40, 30, 4))
    highest = np.maximum(*np.abs(network.input_range)) * network.input_factors
    for layer, made in zip(network.layers, network.exact.layers, strict=True):
        reach = (np.abs(layer.weight.astype(np.int64)) * highest.astype(np.int64)).sum(axis=1)
        assert made.is_narrow == (reach.max() <= 2**24)
        highest = np.full(len(layer.bias), layer.levels)
    for n in (1, 5, 23, 24, 300):
        expected = network.defined_totals(Z[:n])
        np.testing.assert_array_equal(network.totals(Z[:n]), expected)
        np.testing.assert_array_equal(network.decisions(Z[:n]), expected.argmax(axis=1))
    Z[0] = 1e308
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(network.totals(Z), network.defined_totals(Z))


def test_a_network_that_may_not_be_exact_is_run_as_it_is_defined():
    layer = IntegerLayer(np.full((2, 3), 7, np.int8), 4, 1.0, np.array([2**51, 1]), 0, 2**40, 3)
    network = IntegerNetwork(0.1, 8, (layer,), 1.0, np.zeros(3, int))
    X = np.random.default_rng(0).normal(size=(30, 3))
    assert network.exact is None
    np.testing.assert_array_equal(network.totals(X), network.defined_totals(X))
    model = DeployedClassifier(network, FeatureSpace.from_frame(X), np.arange(2))
    assert model._serving is None
    assert_same(model, X)
    assert_same(model, X[:1])


def test_many_rows_are_served_in_blocks():
    model, X, _ = random_model(4)
    rows = X.sample(100_000, replace=True, random_state=0)
    model.predict(X)
    tracemalloc.start()
    model.predict(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # What is returned takes a position and a label of 12 bytes a row.
    assert peak < 20 * len(rows) + 4e6


def test_a_trained_model_on_many_rows_with_gaps_and_unknown_levels(models, many_rows, tmp_path):
    for bits, model in models.items():
        model.export(tmp_path / "model")
        loaded = skcfq.load(tmp_path / "model")
        rows = pd.concat([many_rows] * 25, ignore_index=True)
        rng = np.random.default_rng(bits)
        for name in rows.columns:
            if rows[name].dtype.kind == "f":
                rows[name] *= rng.uniform(0.9, 1.1, len(rows))
                rows.loc[rng.random(len(rows)) < 0.02, name] = np.nan
        expected = defined(loaded, rows)
        assert len(expected) == 100_000
        for one in (loaded, model):
            assert int((one._logits(rows) != expected).sum()) == 0
            assert int((one.predict(rows) != one.classes_[expected.argmax(axis=1)]).sum()) == 0
            for i in range(0, 400, 7):
                np.testing.assert_array_equal(one._logits(rows.iloc[i : i + 1])[0], expected[i])


def test_what_is_made_on_demand_is_not_stored(models, credit):
    model = models[4].deployed()
    expected, size = model.decision_function(credit.data), len(pickle.dumps(model))
    again = pickle.loads(pickle.dumps(model))
    assert "_serving" not in vars(again)
    assert "exact" not in vars(again.integer_network_)
    np.testing.assert_array_equal(again.decision_function(credit.data), expected)
    assert len(pickle.dumps(model)) == size
