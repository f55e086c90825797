"""Models that are only a function of raw rows: trees, forests, a web service.

Nothing is known of them but what they answer, so they have no gradients and no weights, and exact
methods cannot reason about them. ``method="black_box"`` asks them about whole batches of raw rows.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import UnsupportedModelError
from skcfq.utils import is_list

if TYPE_CHECKING:
    from skcfq.models._thresholds import DecisionThreshold

OUTPUTS = ("auto", "labels", "probabilities", "logits")
# Probabilities below this count as this: a logit must stay finite.
_SMALLEST = 1e-12


class RowHead:
    """Logits of a model that is a function of raw rows.

    Parameters
    ----------
    function : callable
        Raw rows to labels of shape (n,), or to scores of shape (n, n_classes).
    classes : ndarray of shape (n_classes,)
    output : {"labels", "probabilities", "logits"}
        What the function returns. Probabilities become their logarithms, labels 1 for the class
        that was said and 0 for the others.
    name : str
        For messages.
    reason : str
        Why nothing more is known of the model.
    shift : float, default=0.0
        What the margin of the last of two classes is smaller by, for a threshold of its own.

    Examples
    --------
    >>> import numpy as np
    >>> head = RowHead(lambda X: X[:, 0] > 1, np.array([False, True]), "labels", "rule")
    >>> head(np.array([[0.0], [2.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        classes: np.ndarray,
        output: str,
        name: str,
        reason: str = "it is only a function of raw rows, without gradients or weights",
        shift: float = 0.0,
    ):
        self.function = function
        self.classes = classes
        self.output = output
        self.name = name
        self.reason = reason
        self.shift = shift

    def __call__(self, X: Any) -> np.ndarray:
        """Return the logits of raw rows, shape (n, n_classes)."""
        answer = np.asarray(self.function(X))
        if self.output == "labels":
            return self._one_hot(answer, len(X))
        scores = self._scores(answer, len(X))
        if self.output == "probabilities":
            scores = np.log(np.clip(scores, _SMALLEST, None))
        if self.shift:
            scores = scores - self.shift * np.array([0.0, 1.0])
        return scores

    def _scores(self, answer: np.ndarray, n: int) -> np.ndarray:
        scores = np.asarray(answer, dtype=np.float64)
        if scores.shape == (n,) and len(self.classes) == 2:
            # One number per row speaks of the second class.
            first = 1 - scores if self.output == "probabilities" else np.zeros(n)
            scores = np.column_stack([first, scores])
        if scores.shape != (n, len(self.classes)):
            raise UnsupportedModelError(
                f"{self.name} returned an array of shape {answer.shape} for {n} rows and "
                f"{len(self.classes)} classes. It must return shape ({n}, {len(self.classes)}), "
                "or labels with output='labels'."
            )
        if not np.isfinite(scores).all():
            raise UnsupportedModelError(
                f"{self.name} returned a number that is not finite. Make it return finite "
                f"{self.output} for every row, gaps included."
            )
        return scores

    def _one_hot(self, answer: np.ndarray, n: int) -> np.ndarray:
        if answer.shape != (n,):
            raise UnsupportedModelError(
                f"{self.name} returned an array of shape {answer.shape} for {n} rows. It must "
                "return one label a row, or scores with output='probabilities' or 'logits'."
            )
        hot = answer[:, None] == self.classes[None, :]
        if not hot.any(axis=1).all():
            stranger = answer[~hot.any(axis=1)].tolist()[0]
            raise UnsupportedModelError(
                f"{self.name} returned the label {stranger!r}, which is none of the classes "
                f"{self.classes.tolist()}. Give all labels as `classes=`."
            )
        return hot.astype(np.float64)

    @property
    def digest(self) -> str:
        """SHA-256 of the pickled function, or of its name where it cannot be pickled."""
        try:
            content = pickle.dumps(self.function)
        except (pickle.PicklingError, AttributeError, TypeError):
            content = getattr(self.function, "__qualname__", repr(type(self.function))).encode()
        return hashlib.sha256(content + f"{self.output}{self.shift or ''}".encode()).hexdigest()


class FunctionModel:
    """A function that was given as a model: it predicts, and it is always fitted.

    Parameters
    ----------
    head : RowHead
    """

    def __init__(self, head: RowHead):
        self.head = head
        self.classes_ = head.classes

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each raw row."""
        if self.head.output == "labels":
            return np.asarray(self.head.function(X))
        return self.classes_[self.head(X).argmax(axis=1)]


def read_function(
    function: Callable[[Any], Any], classes: Any, output: str, example: Any
) -> FunctionModel:
    """Wrap a plain function.

    Parameters
    ----------
    function : callable
    classes : array-like of shape (n_classes,)
    output : {"auto", "labels", "probabilities", "logits"}
        ``"auto"`` looks at the answer for a few rows: scores of shape (n, n_classes) whose rows
        sum to one are probabilities, other scores logits, everything else labels.
    example : DataFrame or ndarray
        Raw rows to look at.

    Raises
    ------
    UnsupportedModelError
        ``output`` is none of the above.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if not isinstance(output, str) or output not in OUTPUTS:
        raise UnsupportedModelError(f"output is {output!r}; use one of {OUTPUTS}.")
    labels = read_labels(classes, name)
    if output == "auto":
        output = _guess(_first_answer(function, example, name), len(labels))
    return FunctionModel(RowHead(function, labels, output, name))


def _first_answer(function: Callable[[Any], Any], example: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(function(example))
    except Exception as error:  # whatever a user's function raises
        raise UnsupportedModelError(
            f"{name} raised {type(error).__name__} on the first rows of `background` ({error}). "
            "Give `background` the columns that it reads, as it reads them."
        ) from error


def read_labels(classes: Any, name: str) -> np.ndarray:
    """Return the labels of a model that does not carry them.

    Raises
    ------
    UnsupportedModelError
        They are not two or more texts, or numbers.
    """
    given = list(classes) if is_list(classes) else []
    single = all(isinstance(one, str | Number | np.generic) for one in given)
    # An array would write the numbers among texts as texts.
    kinds = {isinstance(one, str) for one in given}
    if not single or len(kinds) != 1 or not len(set(given)) == len(given) >= 2:
        raise UnsupportedModelError(
            f"classes={classes!r}; give the labels of {name}, two at least and each once, in the "
            "order of its scores: all texts, or all numbers."
        )
    return np.asarray(classes)


def _guess(answer: np.ndarray, n_classes: int) -> str:
    if answer.ndim != 2 or answer.shape[1] != n_classes:
        return "labels"
    is_share = (answer >= 0).all() and np.allclose(answer.sum(axis=1), 1)
    return "probabilities" if is_share else "logits"


def row_head_of(
    model: Any, name: str, reason: str, threshold: DecisionThreshold | None = None
) -> RowHead:
    """Return how a fitted classifier is asked about raw rows.

    Its probabilities are asked for where it has them, else its decision function, else labels; of a
    model with a threshold, the score that this is set on.
    """
    classes = np.asarray(model.classes_)
    shift = 0.0 if threshold is None else threshold.tied_logit
    for method, output in (("predict_proba", "probabilities"), ("decision_function", "logits")):
        function = getattr(model, method, None)
        if function is None or (threshold is not None and threshold.method != method):
            continue
        one_against_one = output == "logits" and len(classes) > 2
        if not one_against_one:
            return RowHead(function, classes, output, name, reason, shift)
    return label_head_of(model, name, reason)


def label_head_of(model: Any, name: str, reason: str) -> RowHead:
    """Return how a fitted classifier is asked for its labels alone."""
    return RowHead(model.predict, np.asarray(model.classes_), "labels", name, reason)
