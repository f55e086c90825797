"""Teachers and encoders: fitted ones are used as they are, unfitted ones are cloned and fitted."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcfq import CFQClassifier, QATClassifier, TableEncoder, TeacherClassifier
from skcfq.estimators import Quantizer
from skcfq.exceptions import (
    FeatureSpaceError,
    SpaceMismatchError,
    UnreadableStepError,
    UnsupportedModelError,
)
from skcfq.nn import FullPrecisionMLP


def column_transformer(X):
    numbers = list(X.select_dtypes("number").columns)
    text = [name for name in X.columns if name not in numbers]
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), text),
    )


def logistic(X):
    return make_pipeline(column_transformer(X), LogisticRegression())


def cfq(credit, **parameters):
    rules = {"action_set": credit.action_set, "target": credit.favorable}
    return CFQClassifier(objective="paper", **rules, **parameters)


def test_default_teacher_has_the_student_s_layers_and_a_length_of_its_own(credit, quick):
    model = cfq(credit, **quick, alpha=0.01, class_weight="balanced").fit(
        credit.data, credit.target
    )
    teacher = model.teacher_
    assert isinstance(teacher, TeacherClassifier)
    assert isinstance(teacher.network_, FullPrecisionMLP)
    assert [len(layer.bias) for layer in teacher.network_.layers] == [8, 2]
    assert (teacher.max_iter, teacher.alpha, teacher.class_weight) == (None, 0.01, "balanced")
    assert teacher.feature_space_ is model.feature_space_
    assert teacher.encoder_ is model.encoder_


@pytest.mark.parametrize(
    ("objective", "layers", "expected"),
    [
        ("faithful", (64, 64), (32, 32)),
        ("faithful", (128, 64, 64), (64, 32, 32)),
        ("faithful", (64, 62), (64, 62)),
        ("faithful", (65,), (65,)),
        ("faithful", (), ()),
        ("paper", (64, 64), (64, 64)),
    ],
)
def test_default_teacher_of_a_student_that_follows_it_is_half_as_wide(objective, layers, expected):
    model = CFQClassifier(objective=objective, hidden_layer_sizes=layers)
    assert model.set_params(teacher__alpha=0.5).teacher.hidden_layer_sizes == expected


def test_unfitted_teacher_is_cloned_and_seeded(credit, quick):
    teacher = TeacherClassifier((6, 6), max_iter=12, batch_size=16)
    model = cfq(credit, teacher=teacher, **quick).fit(credit.data, credit.target)
    assert not hasattr(teacher, "network_")
    assert teacher.random_state is None
    assert model.teacher_.n_iter_ == 12
    again = cfq(credit, teacher=teacher, **quick).fit(credit.data, credit.target)
    np.testing.assert_array_equal(
        model.teacher_.predict_proba(credit.data), again.teacher_.predict_proba(credit.data)
    )


@pytest.mark.parametrize("wrap", [lambda model: model, FrozenEstimator])
def test_fitted_teacher_is_used_as_it_is(wrap, credit, quick):
    teacher = TeacherClassifier((8,), max_iter=12, batch_size=16, random_state=1).fit(
        credit.data, credit.target
    )
    before = teacher.predict_proba(credit.data)
    model = cfq(credit, teacher=wrap(teacher), **quick).fit(credit.data, credit.target)
    assert model.teacher_ is teacher
    np.testing.assert_array_equal(teacher.predict_proba(credit.data), before)
    assert model.feature_space_ is teacher.feature_space_


def test_student_starts_from_the_teacher(credit, quick):
    """At rate (almost) 0 an 8-bit student is its teacher."""
    model = QATClassifier(
        budget=8,
        quantizer=Quantizer(activation_bits=32),
        learning_rate_init=1e-12,
        teacher=TeacherClassifier((8,), max_iter=1, random_state=0),
        **{**quick, "max_iter": 1},
    ).fit(credit.data, credit.target)
    reference = model.teacher_.decision_function(credit.data)
    np.testing.assert_allclose(model.decision_function(credit.data), reference, atol=0.05)
    # Also where the teacher stands behind a pipeline's steps.
    teacher = make_pipeline(TableEncoder(), clone(model.teacher_)).fit(credit.data, credit.target)
    other = clone(model).set_params(teacher=FrozenEstimator(teacher))
    other.fit(credit.data, credit.target)
    np.testing.assert_allclose(
        other.decision_function(credit.data), teacher.decision_function(credit.data), atol=0.05
    )


@pytest.mark.parametrize("state", ["unfitted", "fitted", "frozen", "search"])
def test_pipeline_as_teacher(state, credit, quick):
    teacher = logistic(credit.data)
    if state == "search":
        teacher = GridSearchCV(teacher, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    if state in ("fitted", "frozen"):
        teacher.fit(credit.data, credit.target)
    if state == "frozen":
        teacher = FrozenEstimator(teacher)
    model = cfq(credit, teacher=teacher, **quick).fit(credit.data, credit.target)
    assert "validity_loss" in model.history_
    fitted = logistic(credit.data).fit(credit.data, credit.target)
    if state != "search":
        np.testing.assert_array_equal(
            model.teacher_.predict_proba(credit.data), fitted.predict_proba(credit.data)
        )
    encoded = model.feature_space_.encode(credit.data)
    np.testing.assert_allclose(encoded, fitted[:-1].transform(credit.data), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(encoded, model.encoder_.transform(credit.data), atol=1e-9)


def test_linear_model_and_perceptron_of_scikit_learn_as_teachers(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    X = (X - X.mean()) / X.std()
    for teacher in (LogisticRegression(), MLPClassifier((5,), max_iter=2000, random_state=0)):
        model = CFQClassifier(teacher=teacher, **quick).fit(X, score > 0)
        assert type(model.teacher_) is type(teacher)
        np.testing.assert_array_equal(model.encoder_.transform(X), X)


def test_weights_reach_every_teacher(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0).to_numpy()
    y = (score > 0).astype(int)
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    teachers = [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression())),
    ]
    expected = make_pipeline(StandardScaler(), LogisticRegression())
    kept = weights > 0
    expected.fit(X[kept], y[kept], logisticregression__sample_weight=weights[kept])
    for teacher in teachers[1:]:
        model = QATClassifier(teacher=teacher, **quick).fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(model.teacher_.predict_proba(X), expected.predict_proba(X))
        income = model.feature_space_.blocks[0].statistics
        assert income.n == weights.sum()
        assert income.mean == pytest.approx(np.average(X[:, 0], weights=weights))
    scaled = StandardScaler().fit_transform(X)
    model = QATClassifier(teacher=teachers[0], **quick).fit(scaled, y, sample_weight=weights)
    alone = LogisticRegression().fit(scaled[kept], y[kept], weights[kept])
    np.testing.assert_allclose(model.teacher_.coef_, alone.coef_)
    assert model.feature_space_.blocks[0].statistics.n == weights.sum()


def test_teacher_that_takes_no_weights(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    weights = np.arange(len(X)) % 2 + 1
    with pytest.raises(ValueError, match="KNeighborsClassifier takes none in `fit`. Fit it first"):
        QATClassifier(teacher=KNeighborsClassifier(), **quick).fit(X, score > 0, weights)


def test_teacher_of_other_classes(credit, quick):
    teacher = logistic(credit.data).fit(credit.data, credit.target == "granted")
    with pytest.raises(ValueError, match=r"`teacher` knows the classes \[False, True\], y has"):
        cfq(credit, teacher=teacher, **quick).fit(credit.data, credit.target)


def test_teacher_on_other_columns(credit, quick):
    teacher = TeacherClassifier((8,), max_iter=2).fit(credit.data[["age", "income"]], credit.target)
    with pytest.raises(ValueError, match="feature names"):
        cfq(credit, teacher=teacher, **quick).fit(credit.data, credit.target)


@pytest.mark.parametrize("teacher", [RandomForestClassifier(3), KNeighborsClassifier()])
def test_teacher_that_cannot_be_read(teacher, people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    name = type(teacher).__name__
    with pytest.raises(UnsupportedModelError, match=f"{name} has no linear or neural head"):
        CFQClassifier(teacher=teacher, **quick).fit(X, score > 0)


def test_regressor_as_teacher(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    with pytest.raises(UnsupportedModelError, match="LinearRegression is no classifier"):
        CFQClassifier(teacher=LinearRegression(), **quick).fit(X, (score > 0).astype(int))


def test_teacher_behind_a_step_that_mixes_columns(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    teacher = make_pipeline(PCA(), LogisticRegression())
    with pytest.raises(UnsupportedModelError, match="PCA"):
        CFQClassifier(teacher=teacher, **quick).fit(X, score > 0)


@pytest.mark.parametrize("state", ["unfitted", "fitted", "frozen"])
def test_column_transformer_as_encoder(state, credit, quick):
    encoder = column_transformer(credit.data)
    if state != "unfitted":
        encoder.fit(credit.data)
    given = FrozenEstimator(encoder) if state == "frozen" else encoder
    model = cfq(credit, encoder=given, **quick).fit(credit.data, credit.target)
    if state == "unfitted":
        assert not hasattr(encoder, "transformers_")
        encoder.fit(credit.data)
    else:
        assert model.encoder_ is encoder
    encoded = model.feature_space_.encode(credit.data)
    np.testing.assert_allclose(encoded, encoder.transform(credit.data), rtol=1e-9, atol=1e-9)
    assert "validity_loss" in model.history_
    # What the teacher was told to read may be given again, with the teacher.
    teacher = FrozenEstimator(model.teacher_)
    again = cfq(credit, encoder=model.encoder_, teacher=teacher, **quick)
    assert again.fit(credit.data, credit.target).feature_space_ is model.feature_space_


def test_encoder_goes_to_an_unfitted_teacher(credit, quick):
    teacher = TeacherClassifier((8,), max_iter=12, batch_size=16)
    model = cfq(credit, encoder=column_transformer(credit.data), teacher=teacher, **quick)
    model.fit(credit.data, credit.target)
    assert teacher.encoder is None
    assert type(model.encoder_).__name__ == "ColumnTransformer"


def test_two_encoders(credit, quick):
    encoder = column_transformer(credit.data)
    fitted = TeacherClassifier((8,), max_iter=2).fit(credit.data, credit.target)
    own = TeacherClassifier((8,), encoder=TableEncoder())
    for teacher in (fitted, FrozenEstimator(fitted), own, logistic(credit.data)):
        model = cfq(credit, encoder=encoder, teacher=teacher, **quick)
        with pytest.raises(SpaceMismatchError, match="give `encoder=None`"):
            model.fit(credit.data, credit.target)


def test_encoder_that_mixes_columns(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    with pytest.raises(UnreadableStepError, match="PCA"):
        CFQClassifier(encoder=make_pipeline(StandardScaler(), PCA()), **quick).fit(X, score > 0)


def test_linear_teacher_fitted_on_an_array_and_used_on_a_frame(people, quick):
    X, score = people
    X = X[["income", "years"]].fillna(3000.0)
    teacher = LogisticRegression(max_iter=1000).fit(X.to_numpy(), score > 0)
    model = QATClassifier(teacher=teacher, **quick).fit(X, score > 0)
    assert model.predict(X).shape == (len(X),)
    named = LogisticRegression(max_iter=1000).fit(X, score > 0)
    with pytest.raises(FeatureSpaceError, match="must be a DataFrame with these columns"):
        QATClassifier(teacher=named, **quick).fit(X.to_numpy(), score > 0)
