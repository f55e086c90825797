"""How a fitted classifier, or a function of raw rows, becomes a predictor."""

from __future__ import annotations

import os
import reprlib
import sys
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from skcfq.deploy import DeployedClassifier, load
from skcfq.encoding import FeatureSpace, TableEncoder, space_in_front
from skcfq.exceptions import (
    BackgroundRequiredError,
    FeatureSpaceError,
    UnreadableStepError,
    UnsupportedModelError,
)
from skcfq.models._functions import (
    RowHead,
    label_head_of,
    read_function,
    read_labels,
    row_head_of,
)
from skcfq.models._heads import (
    EstimatorHead,
    head_with_threshold,
    is_own_estimator,
    read_head,
)
from skcfq.models._pipelines import Steps, check_model_is_fitted, join_steps, split_model
from skcfq.models._predictor import Predictor, check_decisions
from skcfq.models._thresholds import DecisionThreshold, read_threshold
from skcfq.utils import take_rows


def as_predictor(
    model: Any,
    *,
    background: Any = None,
    sample_weight: Any = None,
    space: FeatureSpace | None = None,
    classes: Any = None,
    output: str = "auto",
    example: Any = None,
) -> Predictor:
    """Read a fitted classifier, or any function of raw rows, as a predictor.

    Parameters
    ----------
    model : estimator
        An estimator of this library, a loaded model file, a linear classifier of scikit-learn,
        an ``MLPClassifier``, or a pipeline that ends in one of them behind an encoder that works
        column by column (samplers are skipped). ``FrozenEstimator`` and fitted searches are
        unwrapped. A torch module maps encoded rows to scores, in its own precision. A path is that
        of a model file, or of an ONNX file, which is asked through onnxruntime. Any other
        classifier, and any function of raw rows, is asked as it is, without gradients. A
        :class:`Predictor` is returned as it is.
    background : DataFrame or ndarray of shape (n, n_raw_columns), optional
        The population that spreads, quantiles and observed bounds are taken from. Needed only
        where the model does not carry them: estimators of this library do, and so does a pipeline
        whose one preprocessing step is a ``TableEncoder``. A model file carries what it was
        exported with; unless that is everything, ``background`` takes its place.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows of ``background``.
    space : FeatureSpace, optional
        The model's feature space, where it is known already: a student keeps its teacher's
        as ``feature_space_``. A model file takes it where it is its own, told in full. A torch
        module reads its codes; without it, the columns as they are, all of them numbers.
    classes : array-like of shape (n_classes,), optional
        Labels of a plain function or a torch module, in the order of its scores; of an ONNX file
        that does not tell them.
    output : {"auto", "labels", "probabilities", "logits"}, default="auto"
        What a plain function or a torch module returns. ``"auto"`` takes scores of shape
        (n, n_classes) whose rows sum to one for probabilities, others for logits, else labels.
    example : DataFrame or ndarray, optional
        Rows as the whole model receives them. With their types a pipeline needs no ``background``
        if its last step carries statistics and the others impute, scale linearly or one-hot encode.

    Returns
    -------
    predictor : Predictor
        Frozen. The argmax of ``predictor.logits``, in float64, is the model's ``predict``: a
        classifier with another rule is asked for labels alone. A model that is only a function has
        ``differentiable == False`` and ``row_logits`` alone: the logarithms of its probabilities,
        its scores, or 0 and 1.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The model is not fitted; nothing is fitted here.
    UnsupportedModelError
        The model is no classifier, or a function without ``classes``.
    BackgroundRequiredError
        Statistics are needed, and ``background`` is None.
    FeatureSpaceError
        ``background`` does not have the columns that the model was fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
    >>> as_predictor(model, background=X)
    Predictor(LogisticRegression, 2 raw and 2 encoded columns, 2 classes)
    """
    _check_background(background)
    if not isinstance(space, FeatureSpace | None):
        raise FeatureSpaceError(f"space={reprlib.repr(space)}; give a FeatureSpace, or None.")
    return _read(model, background, sample_weight, space, classes, output, example)


def _read(
    model: Any,
    background: Any,
    sample_weight: Any,
    space: FeatureSpace | None,
    classes: Any,
    output: str,
    example: Any,
) -> Predictor:
    if isinstance(model, Predictor):
        return model
    if background is not None and len(background) == 0:
        _refuse_population(0)
    if isinstance(model, str | os.PathLike):
        return _file_predictor(model, background, sample_weight, space, classes)
    if _is_module(model):
        return _module_predictor(model, background, sample_weight, space, classes, output)
    if callable(model) and not isinstance(model, type) and not hasattr(model, "fit"):
        return _function_predictor(model, background, sample_weight, space, classes, output)
    if isinstance(model, DeployedClassifier):
        return _loaded_predictor(model, background, sample_weight, space)
    return _estimator_predictor(model, background, sample_weight, space, example)


def _check_background(background: Any) -> None:
    """Refuse what is no table, also where the model carries a population of its own."""
    if background is None or hasattr(background, "columns"):
        return
    try:
        n_dims = np.ndim(background)
    except ValueError:  # lists of different lengths
        n_dims = 0
    if n_dims != 2:
        raise FeatureSpaceError(
            f"`background` must be a table of 2 dimensions, got {reprlib.repr(background)}. Give "
            "the rows that spreads and observed ranges come from."
        )


def _estimator_predictor(
    model: Any, background: Any, sample_weight: Any, space: FeatureSpace | None, example: Any
) -> Predictor:
    check_model_is_fitted(model)
    steps, final = split_model(model)
    threshold = read_threshold(model)
    given = space
    try:
        head = read_head(final)
        if threshold is not None:
            head = head_with_threshold(head, final, threshold)
        if space is None:
            space = _read_space(steps, final, background, sample_weight, example)
        _check_width(space, head, final)
        predictor = Predictor(model, space, np.asarray(final.classes_), head, threshold)
        if model is not final or not is_own_estimator(final):
            check_decisions(predictor, background)
        return predictor
    except (UnsupportedModelError, UnreadableStepError) as error:
        if not (hasattr(model, "classes_") and hasattr(model, "predict")):
            raise
        name, reason = type(final).__name__, str(error).rstrip(".")
    row_head = row_head_of(model, name, reason, threshold)
    predictor = _row_predictor(model, row_head, background, sample_weight, given, threshold)
    try:
        check_decisions(predictor, background)
    except UnsupportedModelError as error:
        # `predict` alone decides; how near it is to another decision, nobody can tell.
        row_head = label_head_of(model, name, f"{reason}. {str(error).rstrip('.')}")
        return replace(predictor, head=row_head, threshold=None)
    return predictor


def _check_width(space: FeatureSpace, head: Any, final: Any) -> None:
    if space.n_encoded != head.n_inputs:
        raise FeatureSpaceError(
            f"{type(final).__name__} reads {head.n_inputs} columns, but there are "
            f"{space.n_encoded} encoded ones. Give the rows that the whole model receives as "
            "`background`."
        )


def _loaded_predictor(
    model: DeployedClassifier, background: Any, sample_weight: Any, space: FeatureSpace | None
) -> Predictor:
    """Read a model file; what it does not tell of the population comes from a background."""
    from skcfq.nn import DeployedNetwork

    told = model.feature_space_
    if space is not None and space.fingerprint == told.fingerprint and space.same_map(told):
        told = space
    elif background is not None and told.statistics != "full":
        told = _with_variety(background, told.described_by(background, sample_weight))
    return Predictor(model, told, model.classes_, DeployedNetwork(model.integer_network_))


def _file_predictor(
    path: str | os.PathLike, background: Any, sample_weight: Any, space: Any, classes: Any
) -> Predictor:
    """Read an ONNX file, or a model file of this library."""
    if not os.path.isfile(path):
        raise UnsupportedModelError(
            f"{os.fspath(path)!r} is no classifier, and no file of that name exists. Give a fitted "
            "classifier, or the path of a model file or of an ONNX file."
        )
    if not os.fspath(path).endswith(".onnx"):
        return _loaded_predictor(load(path), background, sample_weight, space)
    if background is None:
        raise BackgroundRequiredError(
            f"{os.fspath(path)} carries no statistics of its raw columns. Give `background=`, the "
            "rows that spreads, quantiles and observed bounds are to be taken from."
        )
    from skcfq.models._onnx_model import read_onnx

    model = read_onnx(path, classes, take_rows(background, np.arange(min(len(background), 64))))
    if space is None:
        space = _raw_space(model.name, background, sample_weight)
    head = RowHead(model.scores, model.classes_, model.output, model.name)
    predictor = Predictor(model, space, model.classes_, head)
    try:
        check_decisions(predictor, background)
    except UnsupportedModelError:
        labels = RowHead(model.predict, model.classes_, "labels", model.name)
        return replace(predictor, head=labels)
    return predictor


def _is_module(model: Any) -> bool:
    # Whoever has a torch module has torch; nobody else is made to load it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _module_predictor(
    module: Any, background: Any, sample_weight: Any, space: Any, classes: Any, output: str
) -> Predictor:
    from skcfq.models._torch_model import ModuleClassifier

    name = type(module).__name__
    if output not in ("auto", "probabilities", "logits"):
        raise UnsupportedModelError(
            f"output is {output!r}; use 'auto', 'probabilities' or 'logits' for a torch module."
        )
    labels = read_labels(classes, name)
    if background is None:
        raise BackgroundRequiredError(
            f"What {name} reads and returns is found out on some rows: give `background=`."
        )
    if space is None:
        space = _with_variety(background, FeatureSpace.from_frame(background, sample_weight))
    model = ModuleClassifier(module, space, labels, output, background)
    return Predictor(model, space, labels, EstimatorHead(model))


def _function_predictor(
    function: Any, background: Any, sample_weight: Any, space: Any, classes: Any, output: str
) -> Predictor:
    name = getattr(function, "__name__", type(function).__name__)
    if classes is None:
        raise UnsupportedModelError(
            f"{name} is only a function: give its labels, in the order of its scores, as "
            "`classes=`, such as as_predictor(function, classes=[0, 1], background=X)."
        )
    if space is None:
        space = _raw_space(name, background, sample_weight)
    if background is None and output == "auto":
        raise BackgroundRequiredError(
            f"What {name} returns is found out on a few rows: give `background=`, or `output=`."
        )
    example = None if background is None else take_rows(background, np.arange(2))
    model = read_function(function, classes, output, example)
    return Predictor(model=model, space=space, classes=model.classes_, head=model.head)


def _row_predictor(
    model: Any,
    head: RowHead,
    background: Any,
    sample_weight: Any,
    space: Any,
    threshold: DecisionThreshold | None,
) -> Predictor:
    """Read a classifier whose inside is closed; its encoder is read where that is open."""
    steps, final = split_model(model)
    own = None
    try:
        own = _read_space(steps, final, background, sample_weight)
    except ValueError:
        if space is None:
            space = _raw_space(head.name, background, sample_weight)
    if space is None:
        assert own is not None
        space = own
    own_space = own is not None and own.same_map(space)
    return Predictor(model, space, head.classes, head, threshold, own_space)


def _raw_space(name: str, background: Any, sample_weight: Any) -> FeatureSpace:
    """Scale numbers and spread categories, as a unit for the actions of a closed model."""
    if background is None:
        raise BackgroundRequiredError(
            f"{name} carries no statistics of its raw columns. Give `background=`, the rows that "
            "spreads, quantiles and observed bounds are to be taken from."
        )
    encoder = TableEncoder().fit(background, sample_weight=sample_weight)
    return _with_variety(background, encoder.feature_space_)


def _read_space(
    steps: Steps, final: Any, background: Any, sample_weight: Any, example: Any = None
) -> FeatureSpace:
    own = is_own_estimator(final)
    if own and not steps:
        return final.feature_space_
    if own and background is None and example is not None:
        found = space_in_front(final.feature_space_, join_steps(steps), example)
        if found is not None:
            return found
    if own:
        steps = [*steps, ("encoder", _own_encoder(final))]
    elif len(steps) == 1 and hasattr(steps[0][1], "feature_space_"):
        return steps[0][1].feature_space_
    if background is None:
        raise BackgroundRequiredError(
            f"{type(final).__name__} carries no statistics of its raw columns. Give "
            "`background=`, the rows that spreads, quantiles and observed bounds are to be taken "
            "from (usually the training rows, as the whole model receives them)."
        )
    if steps:
        space = FeatureSpace.from_encoder(join_steps(steps), background, sample_weight)
    else:
        _check_columns(final, background)
        space = FeatureSpace.from_frame(background, sample_weight)
    return _with_variety(background, space)


def _with_variety(background: Any, space: FeatureSpace) -> FeatureSpace:
    """Return the space of a background, unless no two of its rows differ."""
    for block in space.blocks:
        told = block.statistics
        if told.frequencies is not None and np.count_nonzero(told.frequencies) > 1:
            return space
        if told.minimum is not None and told.maximum is not None and told.minimum < told.maximum:
            return space
    _refuse_population(len(background))


def _refuse_population(n: int) -> NoReturn:
    raise BackgroundRequiredError(
        f"`background` has {n} {'row' if n == 1 else 'rows'}{', all alike' if n > 1 else ''}: no "
        "spread and no observed range can be read off, so everybody would seem to be stuck. Give "
        "the rows that the model was trained on, or a sample of some hundred."
    )


def _own_encoder(final: Any) -> Any:
    encoder = getattr(final, "encoder_", None)
    if encoder is None:
        raise UnsupportedModelError(
            f"{type(final).__name__} stands behind preprocessing steps and has no `encoder_` to "
            "join to them. Give the steps as its `encoder=` instead."
        )
    return encoder


def _check_columns(final: Any, background: Any) -> None:
    """Refuse a background whose columns would silently be read in another order."""
    names = getattr(final, "feature_names_in_", None)
    if names is None or list(getattr(background, "columns", [])) == list(names):
        return
    raise FeatureSpaceError(
        f"{type(final).__name__} was fitted on the columns {list(names)}; `background` must be a "
        "DataFrame with these columns in this order."
    )
