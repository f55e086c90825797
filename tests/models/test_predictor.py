"""``as_predictor``: whatever is read, space and logits together reproduce the model."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

from skcfq import RecourseSolver, TeacherClassifier
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import (
    BackgroundRequiredError,
    FeatureSpaceError,
    UnsupportedModelError,
)
from skcfq.models import Predictor, as_predictor, split_model


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 120
    frame = pd.DataFrame(
        {
            "income": rng.normal(30_000, 8_000, n).round(),
            "debt": np.where(rng.random(n) < 0.1, np.nan, rng.exponential(5_000, n)),
            "job": rng.choice(["clerk", "nurse", "welder"], n),
        }
    )
    score = frame["income"] / 1e4 - frame["debt"].fillna(0) / 5e3 + (frame["job"] == "nurse")
    return frame, np.where(score > score.median(), "grant", "refuse")


def columns_encoder():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("numbers", numbers, ["income", "debt"]), ("job", OneHotEncoder(), ["job"])]
    )


def scaled_mlp():
    return MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0)


MODELS = {
    "table encoder": make_pipeline(TableEncoder(), LogisticRegression()),
    "column transformer": make_pipeline(columns_encoder(), LogisticRegression()),
    "nested pipeline": make_pipeline(
        columns_encoder(), make_pipeline("passthrough", StandardScaler(), scaled_mlp())
    ),
    "sampler": make_imblearn_pipeline(
        TableEncoder(), RandomOverSampler(random_state=0), LogisticRegression()
    ),
    "monotone tables": make_pipeline(
        ColumnTransformer([("ranks", QuantileTransformer(n_quantiles=20), ["income"])]),
        LogisticRegression(),
    ),
    "frozen": make_pipeline(columns_encoder(), FrozenEstimator(LogisticRegression())),
    "search": GridSearchCV(
        make_pipeline(columns_encoder(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=2,
    ),
}


def fitted(name, people):
    X, y = people
    model = MODELS[name]
    if name == "frozen":  # the encoder is fitted first, the frozen model on what it gives
        encoder = columns_encoder().fit(X)
        head = FrozenEstimator(LogisticRegression().fit(encoder.transform(X), y))
        return FrozenEstimator(Pipeline([("encoder", encoder), ("head", head)]))
    return model.fit(X, y)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_space_and_logits_reproduce_predict(name, people):
    X, _ = people
    model = fitted(name, people)
    predictor = as_predictor(model, background=X)
    assert isinstance(predictor, Predictor)
    assert predictor.differentiable
    assert predictor.name in ("LogisticRegression", "MLPClassifier")
    logits = predictor.logits(torch.from_numpy(predictor.space.encode(X)))
    np.testing.assert_array_equal(predictor.classes[logits.argmax(dim=1)], model.predict(X))
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))


@pytest.mark.parametrize("as_frame", [False, True])
def test_no_encoder_in_front(as_frame):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    X = pd.DataFrame(X, columns=["a", "b"]) if as_frame else X
    model = LogisticRegression().fit(X, np.asarray(X)[:, 0] > 0)
    predictor = as_predictor(model, background=X)
    np.testing.assert_array_equal(predictor.space.encode(X), np.asarray(X))
    assert predictor.classes.tolist() == [False, True]
    with pytest.raises(BackgroundRequiredError, match="background="):
        as_predictor(model)


def test_background_needs_the_columns_of_the_model():
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    model = LogisticRegression().fit(X, [0, 1, 1])
    for wrong in (X[["b", "a"]], X.to_numpy(), X[["a"]]):
        with pytest.raises(FeatureSpaceError, match=r"\['a', 'b'\]"):
            as_predictor(model, background=wrong)
    unnamed = LogisticRegression().fit(X.to_numpy(), [0, 1, 1])
    with pytest.raises(FeatureSpaceError, match="reads 2 columns"):
        as_predictor(unnamed, background=X.to_numpy()[:, :1])


@pytest.mark.parametrize("background", [True, "rows", np.zeros(3), [[1], [1, 2]]])
def test_a_background_that_is_no_table_is_refused_where_none_is_needed_too(people, background):
    frame, y = people
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(frame, y)
    with pytest.raises(FeatureSpaceError, match="`background` must be a table"):
        RecourseSolver().solve(model, frame, background=background)


def test_table_encoder_carries_its_statistics(people):
    X, y = people
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y)
    assert as_predictor(model).space is model[0].feature_space_
    # One source: a background does not replace the training rows' statistics.
    assert as_predictor(model, background=X[:20]).space is model[0].feature_space_


def test_encoder_without_statistics_needs_a_background(people):
    X, y = people
    model = make_pipeline(columns_encoder(), LogisticRegression()).fit(X, y)
    with pytest.raises(BackgroundRequiredError, match="background="):
        as_predictor(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LinearRegression(), "no classifier"),
    ],
)
def test_models_without_a_head_are_refused(model, message):
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(UnsupportedModelError, match=message):
        as_predictor(model.fit(X, [0, 1, 0, 1]), background=X)


@pytest.mark.parametrize("model", [np.sum, lambda X: X[:, 0], "model", LogisticRegression])
def test_no_estimator_at_all(model):
    with pytest.raises(UnsupportedModelError, match="fitted estimator|classes=|fitted classifier"):
        as_predictor(model)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        FrozenEstimator(LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [1.0]}),
    ],
    ids=repr,
)
def test_unfitted_models_are_not_fitted_here(model):
    with pytest.raises(NotFittedError, match=r"`model`.*call `fit` on it.*FrozenEstimator"):
        as_predictor(model, background=np.zeros((2, 2)))


def test_mixing_step_closes_the_model_and_is_named(people):
    X, y = people
    model = make_pipeline(columns_encoder(), PCA(2), LogisticRegression()).fit(X, y)
    predictor = as_predictor(model, background=X)
    assert not predictor.differentiable
    with pytest.raises(UnsupportedModelError, match="(?i)exact.*pca.*black_box"):
        RecourseSolver(method="exact", target="grant").solve(model, X, background=X)


def test_predictor_is_returned_as_it_is_and_is_frozen(people):
    X, y = people
    predictor = as_predictor(make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y))
    assert as_predictor(predictor) is predictor
    with pytest.raises(AttributeError):
        predictor.classes = None


def test_fingerprint_survives_pickle_and_tells_models_apart(people):
    X, y = people
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y)
    fingerprint = as_predictor(model).fingerprint
    assert as_predictor(pickle.loads(pickle.dumps(model))).fingerprint == fingerprint
    assert pickle.loads(pickle.dumps(as_predictor(model))).fingerprint == fingerprint
    others = [
        make_pipeline(TableEncoder(), LogisticRegression(C=0.1)).fit(X, y),  # other head
        make_pipeline(TableEncoder(), LogisticRegression()).fit(X, y == "grant"),  # other labels
        make_pipeline(TableEncoder(), LogisticRegression()).fit(X[:100], y[:100]),  # other space
    ]
    assert len({fingerprint, *(as_predictor(other).fingerprint for other in others)}) == 4


class OwnProtocol(ClassifierMixin, BaseEstimator):
    """The smallest estimator that speaks the library's own protocol."""

    def fit(self, X, y):
        self.encoder_ = TableEncoder().fit(X)
        self.feature_space_ = self.encoder_.feature_space_
        self.classes_ = np.unique(y)
        torch_generator = torch.Generator().manual_seed(0)
        self.network_ = torch.nn.Linear(
            self.feature_space_.n_encoded, len(self.classes_), dtype=torch.float64
        )
        with torch.no_grad():
            self.network_.weight.normal_(generator=torch_generator)
        return self

    def logits_(self, Z):
        return self.network_(Z)

    def predict(self, X):
        Z = torch.from_numpy(self.encoder_.transform(X))
        return self.classes_[self.logits_(Z).argmax(dim=1).numpy()]


def test_own_estimator_alone_needs_no_background(people):
    X, y = people
    model = OwnProtocol().fit(X, y)
    predictor = as_predictor(FrozenEstimator(model))
    assert predictor.space is model.feature_space_
    logits = predictor.logits(torch.from_numpy(predictor.space.encode(X)))
    np.testing.assert_array_equal(predictor.classes[logits.argmax(dim=1)], model.predict(X))
    before = predictor.fingerprint
    with torch.no_grad():
        model.network_.bias += 1.0
    assert as_predictor(model).fingerprint != before


def test_own_estimator_behind_a_step_joins_both_encoders(people):
    X, y = people
    model = make_pipeline(columns_encoder(), OwnProtocol()).fit(X, y)
    with pytest.raises(BackgroundRequiredError):
        as_predictor(model)
    predictor = as_predictor(model, background=X)
    assert predictor.space.raw_columns == tuple(X.columns)
    Z = predictor.space.encode(X)
    np.testing.assert_allclose(Z, model[1].encoder_.transform(model[0].transform(X)), atol=1e-9)
    logits = predictor.logits(torch.from_numpy(Z))
    np.testing.assert_array_equal(predictor.classes[logits.argmax(dim=1)], model.predict(X))


def test_known_space_is_taken_as_it_is(people):
    X, y = people
    model = Pipeline([("columns", columns_encoder()), ("model", LogisticRegression())]).fit(X, y)
    space = FeatureSpace.from_encoder(model[0], X[:50])
    assert as_predictor(model, space=space).space is space
    with pytest.raises(FeatureSpaceError, match="reads 5 columns"):
        as_predictor(model, space=FeatureSpace.from_frame(X[["income"]]))


def test_split_model_skips_what_predict_skips(people):
    X, y = people
    inner = make_pipeline(None, StandardScaler(), LogisticRegression())
    model = make_imblearn_pipeline(columns_encoder(), RandomOverSampler(), "passthrough", inner[-1])
    assert [name for name, _ in split_model(model)[0]] == ["columntransformer"]
    nested = Pipeline([("encode", columns_encoder()), ("rest", inner)]).fit(X, y)
    steps, final = split_model(nested)
    assert [name for name, _ in steps] == ["encode", "rest.standardscaler"]
    assert isinstance(final, LogisticRegression)
    assert isinstance(FeatureSpace.from_encoder(Pipeline(steps), X), FeatureSpace)


def autograd_gradient(predictor, rows, target):
    rows = rows.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(predictor.logits(rows), target, reduction="sum")
    return torch.autograd.grad(loss, rows)[0]


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
def test_the_closed_gradient_is_that_of_the_graph(hidden):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 3
    predictor = as_predictor(TeacherClassifier(hidden, max_iter=2, random_state=0).fit(X, y))
    rows = torch.from_numpy(rng.normal(size=(20, 3)))
    target = torch.from_numpy(rng.integers(3, size=20))
    gradient, logits = predictor.loss_gradient(rows, target)
    torch.testing.assert_close(gradient, autograd_gradient(predictor, rows, target))
    assert torch.equal(logits, predictor.logits(rows))
    single = predictor.in_precision(torch.float32)
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(
        single.loss_gradient(rows.float(), target)[0].double(), gradient, **close
    )
    torch.testing.assert_close(
        predictor.logits_in(torch.float32)(rows.float()).double(), logits, **close
    )
    assert predictor.logits(rows).dtype == torch.float64


def test_the_gradient_of_a_model_that_is_no_network_of_ours():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    predictor = as_predictor(LogisticRegression().fit(X, y), background=X)
    rows, target = torch.from_numpy(X[:5]), torch.ones(5, dtype=torch.int64)
    gradient, _ = predictor.loss_gradient(rows, target)
    torch.testing.assert_close(gradient, autograd_gradient(predictor, rows, target))
    assert predictor.in_precision(torch.float32) is None
    assert predictor.logits_in(torch.float32)(rows.float()).dtype == torch.float64


@pytest.mark.parametrize("rows", [[], [0], [0, 0, 0]])
@pytest.mark.parametrize("kind", ["frame", "steps", "closed"])
def test_a_background_in_which_nothing_varies_is_refused(rows, kind):
    X = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20) % 3})
    y = np.arange(20) > 9
    model = {
        "frame": LogisticRegression(),
        "steps": make_pipeline(StandardScaler(), LogisticRegression()),
        "closed": GaussianNB(),
    }[kind].fit(X, y)
    says = f"`background` has {len(rows)} row.*rows that the model was trained on"
    with pytest.raises(BackgroundRequiredError, match=says):
        RecourseSolver(target=True).solve(model, X, background=X.iloc[rows])
    weights = np.append(1.0, np.zeros(19))
    with pytest.raises(BackgroundRequiredError, match="all alike"):
        as_predictor(model, background=X, sample_weight=weights)
    assert as_predictor(model, background=X.iloc[[0, 1]]).space.n_raw == 2
