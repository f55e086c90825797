"""A classifier in an ONNX file, asked through onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import FeatureSpaceError, OptionalDependencyError, UnsupportedModelError
from skcfq.utils import as_numbers, as_objects, missing_mask

_NUMBERS = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_TEXT = "tensor(string)"
# Sums of float32 in another order differ by less than this.
_ROUNDING = 1e-4
# Steps that pick a label from a table, and that pass it on.
_PICKS = ("Gather", "ArrayFeatureExtractor")
_PASSES = ("Cast", "Reshape", "Identity", "Flatten", "Squeeze")
# Attributes that list the categories of a column of texts.
_CATEGORIES = ("cats_strings", "keys_strings")
# Attributes of classifiers of the ai.onnx.ml domain that list the labels.
_LABELS = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")


class OnnxClassifier:
    """A classifier that was exported to ONNX, with the interface of a fitted estimator.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        For messages.
    classes : array-like of shape (n_classes,), optional
        Labels, in the order of the scores. None reads them off the graph: from its label maps, or
        from what skl2onnx writes.
    example : DataFrame or ndarray
        Rows as the graph receives them, to see what its outputs are.

    Notes
    -----
    A graph whose answer to a row depends on the rows beside it (dynamic quantization does) is asked
    about one row at a time, and so is one with a fixed batch of one.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    output : {"labels", "probabilities", "logits"}
        What ``scores`` returns.
    """

    def __init__(self, content: bytes, name: str, classes: Any, example: Any) -> None:
        self.content = content
        self.name = name
        self._gap = _gap_of(content)
        self._alone = False
        answers = self._run(example)
        self._alone = self._depends_on_batch(example, answers)
        self._label, self._score = _places(answers, name)
        outputs = self._session.get_outputs()
        told = None if self._label is None else outputs[self._label].name
        found = np.asarray(classes) if classes is not None else _labels_of(content, answers, told)
        if found is None:
            raise UnsupportedModelError(
                f"{name} does not tell its labels: give them as `classes=`, in the order of its "
                "scores."
            )
        self.classes_ = found
        self.output = "labels" if self._score is None else self._kind(answers[self._score])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session, which no other process can use."""
        return {key: value for key, value in self.__dict__.items() if key != "_session"}

    def scores(self, X: Any) -> np.ndarray:
        """Return labels of shape (n,), or probabilities or logits of shape (n, n_classes)."""
        if self._score is None:
            return self.predict(X)
        return _as_scores(self._run(X)[self._score], self.classes_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the labels of raw rows, shape (n,): those that the graph says, where it does.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_columns)
        """
        answers = self._run(X)
        if self._label is None:
            assert self._score is not None
            scores = _as_scores(answers[self._score], self.classes_)
            if scores.ndim == 1:
                return self.classes_[(scores > (0.5 if self.output == "probabilities" else 0)) * 1]
            return self.classes_[scores.argmax(axis=1)]
        labels = np.asarray(answers[self._label]).reshape(-1)
        if labels.dtype.kind == "O":
            labels = labels.astype(str)
        return _in_classes(labels, self.classes_)

    def _depends_on_batch(self, example: Any, together: list[Any]) -> bool:
        """Tell whether rows that are asked about alone have other answers.

        Dynamic quantization takes its scale from all rows of a call; what a person is told must
        not depend on who else is asked about.
        """
        self._alone = True
        alone = self._run(example)
        return any(not _alike(a, b) for a, b in zip(together, alone, strict=True))

    def _kind(self, answer: Any) -> str:
        scores = _as_scores(answer, self.classes_)
        within = (scores >= 0).all() and (scores <= 1).all()
        one = scores.ndim == 1 or np.allclose(scores.sum(axis=1), 1, atol=1e-3)
        return "probabilities" if within and one else "logits"

    def _run(self, X: Any) -> list[Any]:
        n = len(X)
        feeds = _feeds(self._session.get_inputs(), X, self.name, self._gap)
        size = 1 if self._alone else _fixed_batch(self._session.get_inputs())
        parts = []
        for start in range(0, max(n, 1), size or max(n, 1)):
            part = {key: value[start : start + (size or n)] for key, value in feeds.items()}
            filled = {key: _filled_up(value, size) for key, value in part.items()}
            answers = self._session.run(None, filled)
            kept = n if size is None else min(size, n - start)
            parts.append([answer[:kept] for answer in answers])
        return parts[0] if len(parts) == 1 else [_joined(all_) for all_ in zip(*parts, strict=True)]

    @cached_property
    def _session(self) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise OptionalDependencyError(
                "Reading an ONNX file needs onnxruntime: pip install 'skcfq[onnx]'."
            ) from error
        options = onnxruntime.SessionOptions()
        # One row's answer should not depend on how rows are dealt out to threads.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(
                self.content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no base class of its errors
            raise UnsupportedModelError(
                f"{self.name} is no ONNX file that onnxruntime can run: {error}"
            ) from error


def read_onnx(path: str | os.PathLike, classes: Any, example: Any) -> OnnxClassifier:
    """Read an ONNX file as a classifier.

    Parameters
    ----------
    path : str or path
    classes : array-like of shape (n_classes,), optional
    example : DataFrame or ndarray
        Some rows.

    Raises
    ------
    OptionalDependencyError
        onnxruntime is not installed.
    UnsupportedModelError
        The file is no classifier that onnxruntime can run, or does not tell its labels.
    FeatureSpaceError
        The rows do not have the inputs of the graph.
    """
    path = Path(path)
    return OnnxClassifier(path.read_bytes(), path.name, classes, example)


def _feeds(inputs: Sequence[Any], X: Any, name: str, gap: str) -> dict[str, np.ndarray]:
    """Return the inputs of the graph for raw rows: one matrix, or one column each."""
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    if len(inputs) == 1 and not _is_column_of(inputs[0], frame):
        (only,) = inputs
        _check_width(only, frame, name)
        columns = [_values(only, frame.iloc[:, j], name, gap) for j in range(frame.shape[1])]
        return {only.name: np.stack(columns, axis=1)}
    by_name = {str(column): j for j, column in enumerate(frame.columns)}
    missing = [one.name for one in inputs if one.name not in by_name]
    if missing:
        raise FeatureSpaceError(
            f"{name} reads the columns {missing}, which the rows do not have: they have "
            f"{list(by_name)}. Rename them, or export the model with the columns' own names."
        )
    found = {one.name: _values(one, frame.iloc[:, by_name[one.name]], name, gap) for one in inputs}
    flat = {one.name for one in inputs if len(one.shape) == 1}
    return {key: value if key in flat else value[:, None] for key, value in found.items()}


def _is_column_of(one: Any, frame: pd.DataFrame) -> bool:
    width = one.shape[1] if len(one.shape) > 1 else 1
    return one.name in set(map(str, frame.columns)) and width == 1


def _check_width(only: Any, frame: pd.DataFrame, name: str) -> None:
    width = only.shape[1] if len(only.shape) == 2 else None
    if len(only.shape) != 2 or (isinstance(width, int) and width != frame.shape[1]):
        raise FeatureSpaceError(
            f"{name} reads one input {only.name!r} of shape {only.shape}, and the rows have "
            f"{frame.shape[1]} columns. Export the model with its preprocessing, so that it reads "
            "raw rows."
        )


def _values(one: Any, column: pd.Series, name: str, gap: str) -> np.ndarray:
    if one.type == _TEXT:
        text = np.array([str(value) for value in as_objects(column)], dtype=object)
        text[missing_mask(column)] = gap
        return text
    dtype = _NUMBERS.get(one.type)
    if dtype is None:
        raise UnsupportedModelError(
            f"{name} reads {one.name!r} as {one.type}, no column of a table."
        )
    try:
        numbers = as_numbers(column)
    except ValueError as error:
        raise FeatureSpaceError(
            f"{name} reads {one.name!r} as numbers ({one.type}), but {error}. Give the rows that "
            "the model was exported for."
        ) from error
    if np.dtype(dtype).kind != "f" and not np.isfinite(numbers).all():
        raise FeatureSpaceError(
            f"{name} reads {one.name!r} as whole numbers ({one.type}), and the column has a gap."
        )
    with np.errstate(over="ignore"):
        return numbers.astype(dtype)


def _fixed_batch(inputs: Sequence[Any]) -> int | None:
    """Return the number of rows that a graph insists on, None where any will do."""
    sizes = {one.shape[0] for one in inputs if one.shape and isinstance(one.shape[0], int)}
    return min(sizes) if sizes else None


def _filled_up(values: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or len(values) == size:
        return values
    return np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], list):
        return [one for part in parts for one in part]
    return np.concatenate(parts)


def _alike(first: Any, second: Any) -> bool:
    if isinstance(first, list):
        pairs = zip(first, second, strict=True)
        return all(
            np.allclose(list(a.values()), list(b.values()), atol=_ROUNDING) for a, b in pairs
        )
    if np.asarray(first).dtype.kind != "f":
        return np.array_equal(first, second)
    return np.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)


def _places(answers: Sequence[Any], name: str) -> tuple[int | None, int | None]:
    """Return which outputs are labels and scores; the last scores of several."""
    label = score = None
    for place, answer in enumerate(answers):
        if isinstance(answer, list):
            score = place
            continue
        values = np.asarray(answer)
        column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
        if values.dtype.kind in "iuOUSb" and column:
            label = place
        elif values.dtype.kind == "f" and values.ndim <= 2:
            score = place
    if label is None and score is None:
        raise UnsupportedModelError(f"{name} has no output that is a label or scores of classes.")
    return label, score


def _as_scores(answer: Any, classes: np.ndarray) -> np.ndarray:
    """Return scores of shape (n, n_classes), or (n,) where there is one for the second class."""
    if isinstance(answer, list):
        keys = classes.tolist()
        return np.array([[one[key] for key in keys] for one in answer], dtype=np.float64)
    scores = np.asarray(answer, dtype=np.float64)
    return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores


def _in_classes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return labels as the classes have them: some graphs have no truth values and no floats."""
    return labels.astype(classes.dtype) if classes.dtype.kind in "bf" else labels


def _gap_of(content: bytes) -> str:
    """Return the text that a graph takes for a missing one: ONNX itself has none.

    skl2onnx writes a missing category as "nan"; this library, and most others, as the empty text.
    """
    try:
        import onnx
    except ImportError:
        return ""
    try:
        graph = onnx.load_from_string(content).graph
    except Exception:  # onnxruntime says what is wrong with it
        return ""
    texts = {
        text
        for node in graph.node
        for attribute in node.attribute
        if attribute.name in _CATEGORIES
        for text in attribute.strings
    }
    return "nan" if b"nan" in texts and b"" not in texts else ""


def _labels_of(content: bytes, answers: Sequence[Any], label: str | None) -> np.ndarray | None:
    """Return the labels that a graph tells, None where it does not.

    Parameters
    ----------
    content : bytes
    answers : list
        For some rows.
    label : str or None
        Name of the output that is a label.
    """
    for answer in answers:
        if isinstance(answer, list) and answer:
            return np.asarray(list(answer[0]))
    try:
        import onnx
    except ImportError:
        return None
    graph = onnx.load_from_string(content).graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _LABELS and (attribute.ints or attribute.strings):
                texts = [value.decode() for value in attribute.strings]
                return np.asarray(texts or list(attribute.ints))
    held = {holder.name: holder for holder in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    # Back from the label to the table that it was picked from.
    while label in makers:
        node = makers[label]
        label = node.input[0]
        if node.op_type in _PICKS and label in held:
            values = onnx.numpy_helper.to_array(held[label])
            return values.astype(str) if values.dtype.kind in "OS" else values
        if node.op_type not in _PASSES:
            return None
    return None
