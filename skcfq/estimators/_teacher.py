"""The full-precision network: teacher in training, reference in evaluation."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import nn

from skcfq.encoding import TableEncoder
from skcfq.estimators._all_or_nothing import all_or_nothing
from skcfq.estimators._trained import TrainedClassifier
from skcfq.nn import MOST_UNITS, SupervisedModule, subnormals_as_zero
from skcfq.training import (
    LoopSettings,
    Validation,
    draw_seed,
    fit_encoder,
    full_precision_network,
    generator_on,
    seeded_initialization,
    seeded_layers,
    settled_passes,
    taken_over,
    train,
    training_device,
)
from skcfq.utils import HasMethods, Interval, ListOf, Named, StrOptions

# Of Adam. One layer alone needs a higher rate, and bears it: its logits grow with its weights, and
# not with a product of them.
_RATE, _LINEAR_RATE = 0.003, 0.01

# Nobody waits for more; a slip of the keyboard would.
MOST_PASSES = 1_000_000

_CALLBACK = HasMethods(["initialize", "on_epoch_end"])

NETWORK_CONSTRAINTS: dict = {
    "hidden_layer_sizes": [ListOf(Interval(Integral, 1, MOST_UNITS, closed="both"))],
    "module": [nn.Module, callable, None],
    "encoder": [HasMethods(["fit", "transform"]), None],
    "max_iter": [Interval(Integral, 1, MOST_PASSES, closed="both"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, MOST_PASSES, closed="both")],
    "warm_start": ["boolean"],
    "callbacks": [ListOf(_CALLBACK, Named(_CALLBACK)), None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


# A teacher that is half as wide as its student has so many units a layer at least.
_LEAST_UNITS = 32


def half_as_wide(layers: tuple[int, ...]) -> tuple[int, ...]:
    """Return layers of half as many units, or the same where that would be too few.

    A student that starts from two copies of each of its teacher's units rounds them against each
    other, and loses less.

    Parameters
    ----------
    layers : tuple of int
    """
    if any(units % 2 or units < 2 * _LEAST_UNITS for units in layers):
        return layers
    return tuple(units // 2 for units in layers)


class TeacherClassifier(TrainedClassifier):
    """Full-precision multi-layer perceptron on mixed tables.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Empty for logistic regression.
    module : torch Module or callable, default=None
        Network to be trained instead, from encoded rows to one logit a class: a module, which is
        copied and whose weights are the start, or a callable ``(n_inputs, n_classes) -> Module``.
    encoder : transformer, default=None
        Map from raw to encoded columns; None is a :class:`~skcfq.TableEncoder`.
    max_iter : int, default=None
        Passes over the data. None trains until the loss stops falling: on a share of the rows it
        is seen how long it falls on the others, and then the network is trained on all rows.
    batch_size : int, default=256
    learning_rate_init : float, default=None
        Rate of Adam at the start; it falls to 0 along a cosine. None takes 0.003, and 0.01 where
        there is no hidden layer.
    alpha : float, default=1e-3
        Weight decay.
    class_weight : dict, "balanced" or None, default=None
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows, stratified by label, stop once the validation
        loss has not fallen by 0.01 % for ``n_iter_no_change`` passes, and return to the pass where
        it was lowest.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    warm_start : bool, default=False
        Go on from the weights of the previous fit; see the notes.
    callbacks : list of skorch callbacks, default=None
        Or pairs of a name and a callback. One of them may stop the training early.
    device : str, default="cpu"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``: where the network is trained. It is
        used on the CPU.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : transformer
    feature_space_ : FeatureSpace
    action_set_, target_
        What the student was given whose fit made this teacher, for solvers; else missing.
    network_ : FullPrecisionMLP or Module
        In float64.
    history_ : DataFrame
        Loss and seconds of every pass; with ``early_stopping``, loss and accuracy on the
        validation share. Later fits with ``warm_start`` are appended.
    n_iter_ : int
        Passes of the last fit.
    interrupted_ : bool
        Whether Ctrl-C ended the fit early.

    Notes
    -----
    An array of float64 is trained in float64, all else in float32; inference is in float64.

    With ``warm_start`` a further fit has ``max_iter`` passes more, from the weights that are
    there, behind the encoder that is there; the learning rate starts anew. Columns, labels and
    layers must be the same.

    A network whose loss still falls after 2500 updates, 30 passes at least, ends with a
    ``ConvergenceWarning``: ``learning_rate_init`` is too low, or the columns have scales of their
    own behind a custom ``encoder``.

    After Ctrl-C the network is kept as it is, if it has seen a pass, after numbers that are not
    finite as it was before that pass; both with a warning.

    Examples
    --------
    >>> from skcfq import TeacherClassifier
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(300, random_state=0)
    >>> teacher = TeacherClassifier((8,), max_iter=20, random_state=0)
    >>> teacher.fit(credit.data, credit.target).predict(credit.data[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        **NETWORK_CONSTRAINTS,
        "learning_rate_init": [*NETWORK_CONSTRAINTS["learning_rate_init"], None],
    }

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (64, 64),
        *,
        module: Any = None,
        encoder: Any = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        learning_rate_init: float | None = None,
        alpha: float = 1e-3,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        callbacks: list | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module = module
        self.encoder = encoder
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TeacherClassifier:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Numbers, text, categories and gaps.
        y : array-like of shape (n_samples,)
            Labels of two or more classes.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : TeacherClassifier
        """
        table = self._training_table(X, y, sample_weight)
        device = training_device(self.device)
        rng = check_random_state(self.random_state)
        rows, held = self._hold_out(table, rng)
        whole, table = table, table.take(rows)
        if not self._goes_on:
            encoder = TableEncoder() if self.encoder is None else self.encoder
            self.encoder_, self.feature_space_ = fit_encoder(
                encoder, table.X, table.labels, table.sample_weight
            )
        encoded = self._encoded(table)
        with seeded_initialization(draw_seed(rng)):
            network = full_precision_network(
                self.module, self.hidden_layer_sizes, encoded.rows.shape[1], len(self.classes_)
            ).to(table.dtype)
        if self._goes_on:
            network = taken_over(self.network_, network)
        module = SupervisedModule(network).to(device)
        validation = None
        if held is not None:
            validation = Validation(module, self._encoded(whole.take(held)).to(device))
        generator = torch.Generator().manual_seed(draw_seed(rng))
        settings = LoopSettings(
            name="teacher",
            max_epochs=self.max_iter or 1,
            batch_size=self.batch_size,
            learning_rate=self._learning_rate(),
            weight_decay=self.alpha,
            callbacks=[] if self.callbacks is None else list(self.callbacks),
            patience=self.n_iter_no_change,
            device=device,
            verbose=bool(self.verbose),
        )
        with seeded_layers(self.module, rng), subnormals_as_zero():
            if self.max_iter is None:
                passes = settled_passes(network, encoded, settings, draw_seed(rng))
                settings = replace(settings, max_epochs=passes)
            trained = train(
                module,
                encoded,
                settings,
                generator=generator_on(device, generator),
                validation=validation,
            )
        self._finish(network, trained)
        return self

    def _learning_rate(self) -> float:
        if self.learning_rate_init is not None:
            return self.learning_rate_init
        linear = self.module is None and len(self.hidden_layer_sizes) == 0
        return _LINEAR_RATE if linear else _RATE
