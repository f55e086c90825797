"""The full-precision network: teacher in training, reference in evaluation."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import nn

from skcfq.encoding import TableEncoder
from skcfq.estimators._inner_models import fit_encoder
from skcfq.estimators._network_classifier import (
    NetworkClassifier,
    draw_seed,
    seeded_initialization,
    seeded_layers,
)
from skcfq.estimators._networks import full_precision_network
from skcfq.estimators._training import epochs_for, train
from skcfq.nn import SupervisedModule
from skcfq.utils._sklearn_compat import HasMethods, Interval, StrOptions

NETWORK_CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like"],
    "module": [nn.Module, callable, None],
    "encoder": [HasMethods(["fit", "transform"]), None],
    "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "callbacks": [list, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class TeacherClassifier(NetworkClassifier):
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
        Passes over the data; None takes enough for some thousand updates.
    batch_size : int, default=256
    learning_rate_init : float, default=0.003
        Rate of Adam at the start; it falls to 0 along a cosine.
    alpha : float, default=1e-3
        Weight decay.
    class_weight : dict, "balanced" or None, default=None
    callbacks : list of skorch callbacks, default=None
        One of them may stop the training early.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : transformer
    feature_space_ : FeatureSpace
    network_ : FullPrecisionMLP or Module
        In float64.
    history_ : DataFrame of shape (n_passes, 3)
    n_iter_ : int

    Notes
    -----
    An array of float64 is trained in float64, all else in float32; inference is in float64.

    Examples
    --------
    >>> from skcfq import TeacherClassifier
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(300, random_state=0)
    >>> teacher = TeacherClassifier((8,), max_iter=20, random_state=0)
    >>> teacher.fit(credit.data, credit.target).predict(credit.data[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = dict(NETWORK_CONSTRAINTS)

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (64, 64),
        *,
        module: Any = None,
        encoder: Any = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        learning_rate_init: float = 0.003,
        alpha: float = 1e-3,
        class_weight: Any = None,
        callbacks: list | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.module = module
        self.encoder = encoder
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

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
        rng = check_random_state(self.random_state)
        encoder = TableEncoder() if self.encoder is None else self.encoder
        self.encoder_, self.feature_space_ = fit_encoder(
            encoder, table.X, table.labels, table.sample_weight
        )
        encoded = self.feature_space_.encode(table.X)
        with seeded_initialization(draw_seed(rng)):
            network = full_precision_network(
                self.module, self.hidden_layer_sizes, encoded.shape[1], len(self.classes_)
            )
        generator = torch.Generator().manual_seed(draw_seed(rng))
        with seeded_layers(self.module, rng):
            history = train(
                SupervisedModule(network).to(table.dtype),
                table.tensors(encoded),
                max_epochs=epochs_for(len(table), self.batch_size, self.max_iter),
                batch_size=self.batch_size,
                learning_rate=self.learning_rate_init,
                weight_decay=self.alpha,
                generator=generator,
                callbacks=self.callbacks or [],
                progress="teacher" if self.verbose else None,
            )
        self._finish(network, history)
        return self
