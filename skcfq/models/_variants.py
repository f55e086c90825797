"""Plausible deployments of one model: the uncertainty set of robust recourse (Appendix E.2).

A sample: what holds on M variants holds on another one only as often as
:func:`~skcfq.metrics.deployment_success` says on variants of another seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.models._pipelines import split_model, with_final
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor
from skcfq.nn import FullPrecisionMLP, QuantizedMLP
from skcfq.quantization import MAXIMUM_CANDIDATE_BITS, mse_step, signed_range, step_position
from skcfq.utils import Interval, ListOf, StrOptions, check_parameters

KINDS = ("rounding", "steps", "calibration")


@check_parameters(
    n_variants=[Interval(Integral, 1, 100_000, closed="both")],
    kinds=[StrOptions(set(KINDS)), ListOf(StrOptions(set(KINDS)), least=1)],
    bits=[Interval(Integral, 2, MAXIMUM_CANDIDATE_BITS, closed="both"), None],
    step_jitter=[Interval(Real, 0, 1, closed="left")],
    clip_jitter=[Interval(Real, 0, 1, closed="left")],
    calibration_rows=[Interval(Integral, 1, 10_000_000, closed="both")],
    random_state=["random_state"],
)
def deployment_variants(
    model: Any,
    n_variants: int = 8,
    *,
    kinds: Iterable[str] = KINDS,
    X: Any = None,
    background: Any = None,
    bits: int | None = None,
    step_jitter: float = 0.02,
    clip_jitter: float = 0.02,
    calibration_rows: int = 256,
    random_state: Any = None,
) -> list[Predictor]:
    r"""Draw M models that a deployment of one model could turn out to be.

    Each has the architecture, widths and feature space of ``model``, and all ``kinds`` of change.

    Parameters
    ----------
    model : fitted estimator or Predictor
        A quantized classifier of this library, alone or at the end of a pipeline. With ``bits``, a
        full-precision model whose weights can be read: ``TeacherClassifier``, a linear classifier
        or an ``MLPClassifier``. It is not changed.
    n_variants : int, default=8
        M.
    kinds : iterable of {"rounding", "steps", "calibration"}
        ``"rounding"``: a weight w is stored as one of the two codes around w/s, each with the
        probability of its nearness, not as the nearest one. ``"steps"``: each weight step and each
        clip is multiplied by a number drawn evenly from 1 ± jitter, before rounding.
        ``"calibration"``: each clip is multiplied by the value that calibration gives on a random
        batch of X over the one that it gives on all of X.
    X : DataFrame or ndarray of shape (n, n_raw_columns), optional
        Raw rows that the calibration batches are drawn from, with replacement.
    background : DataFrame or ndarray, optional
        As in :func:`as_predictor`: the same rows that the solver gets.
    bits : int, optional
        Weight width, 2 to 16, at which a full-precision model is deployed; each layer has the step
        of least squared error.
    step_jitter, clip_jitter : float, default=0.02
        Half width of the relative jitter, in [0, 1), of ``"steps"``.
    calibration_rows : int, default=256
        Rows of a calibration batch.
    random_state : int, RandomState instance or None, default=None
        With one integer, the first variants of a longer list are those of a shorter one.

    Returns
    -------
    variants : list of Predictor
        ``variants[k].model`` is a fitted estimator of the class of ``model``.

    Raises
    ------
    UnsupportedModelError
        The weights cannot be read, or the model is in full precision and ``bits`` is None.

    Notes
    -----
    Appendix E.2 of the paper. Give them to ``RecourseSolver.solve`` as ``variants=``, and others,
    of another seed, to :func:`~skcfq.metrics.deployment_success`. Biases are not changed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0], [1.0]])
    >>> model = LogisticRegression().fit(X, [0, 1])
    >>> deployment_variants(model, 2, kinds="rounding", bits=4, background=X)[0]
    Predictor(LogisticRegression, 1 raw and 1 encoded columns, 2 classes)
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    predictor = as_predictor(model, background=background)
    final = split_model(predictor.model)[1]
    _check_model(predictor, final, kinds, bits)
    jitter = (step_jitter, clip_jitter) if "steps" in kinds else (0.0, 0.0)
    change = _Change("rounding" in kinds, *jitter, bits)
    calibrated = "calibration" in kinds
    calibration = _Calibration(predictor, final, X, calibration_rows) if calibrated else None
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_variants)
    return [_variant(predictor, final, change, calibration, seed) for seed in seeds.tolist()]


@dataclass(frozen=True)
class _Change:
    """What is drawn for each variant."""

    rounding: bool
    step_jitter: float
    clip_jitter: float
    bits: int | None

    def rounded(self, weight: Tensor, step: Tensor, ends: tuple[Any, Any], rng: Any) -> Tensor:
        """Return a weight tensor on the grid of a step, as one deployment would store it.

        ``ends`` are the lowest and the highest code.
        """
        scaled = weight.detach().double() / step
        if self.rounding:
            codes = (scaled + torch.from_numpy(rng.random_sample(tuple(weight.shape)))).floor()
        else:
            codes = scaled.round()
        return codes.clamp(*ends) * step

    def quantized(self, weight: Tensor, rng: Any) -> Tensor:
        """Return a full-precision weight tensor as it is deployed at ``bits``."""
        assert self.bits is not None
        step = mse_step(weight.double(), self.bits) * _jitter(self.step_jitter, rng)
        return self.rounded(weight, step, signed_range(self.bits), rng)


class _Calibration:
    """What calibration on a batch does to clips, against all rows.

    Clips that were learned are not those of any calibration rule: only changes that are relative
    to them give variants around the model.
    """

    def __init__(self, predictor: Predictor, final: Any, X: Any, n_rows: int):
        if X is None:
            raise ValueError(
                "kinds has 'calibration' and X=None: give the rows that calibration batches are "
                "drawn from as `X=`, or kinds=('rounding', 'steps')."
            )
        self.network = final.network_
        self.rows = torch.from_numpy(predictor.space.encode(X))
        if len(self.rows) == 0:
            raise ValueError("X has no rows: give those that calibration batches are drawn from.")
        self.n_rows = n_rows
        self.reference = self._calibrated(self.rows)

    def _calibrated(self, rows: Tensor) -> dict[str, nn.Parameter]:
        network = copy.deepcopy(self.network)
        network.calibrate(rows)
        return dict(network.named_parameters())

    def apply(self, network: QuantizedMLP, rng: Any) -> None:
        """Move the clips of a copy by what one random batch moves them."""
        drawn = self._calibrated(self.rows[rng.randint(len(self.rows), size=self.n_rows)])
        for name, parameter in network.named_parameters():
            if name.endswith("log_clips"):
                parameter.add_(drawn[name] - self.reference[name])


def _variant(
    predictor: Predictor, final: Any, change: _Change, calibration: _Calibration | None, seed: int
) -> Predictor:
    """Draw one deployment of a model whose final estimator is ``final``."""
    changed = _changed_final(final, change, calibration, np.random.RandomState(seed))
    return as_predictor(with_final(predictor.model, changed), space=predictor.space)


def _changed_final(final: Any, change: _Change, calibration: _Calibration | None, rng: Any) -> Any:
    """Return a copy of the final estimator with the parameters of one deployment."""
    changed = copy.copy(final)
    network = getattr(final, "network_", None)
    if network is not None:
        changed.network_ = copy.deepcopy(network)
        with torch.no_grad():
            if isinstance(network, QuantizedMLP):
                _change_quantized(changed.network_, change, calibration, rng)
            else:
                for layer in changed.network_.layers:
                    layer.weight.copy_(change.quantized(layer.weight, rng))
        return changed
    if hasattr(final, "coefs_"):
        changed.coefs_ = [_quantized_array(coef, change, rng) for coef in final.coefs_]
        return changed
    try:
        changed.coef_ = _quantized_array(final.coef_, change, rng)
    except AttributeError:
        raise UnsupportedModelError(
            f"{type(final).__name__} computes its coefficients from other parameters, so it "
            "cannot be deployed with others. Give a model that stores them, such as LinearSVC or "
            "LogisticRegression."
        ) from None
    return changed


def _change_quantized(
    network: QuantizedMLP, change: _Change, calibration: _Calibration | None, rng: Any
) -> None:
    if calibration is not None:
        calibration.apply(network, rng)
    for layer in network.quantized_layers:
        choice = layer.choice
        layer.log_steps[step_position(choice)] += math.log(_jitter(change.step_jitter, rng))
        # A weight on the grid is its own nearest code, so the layer's own rounding keeps it.
        step, *ends = map(torch.as_tensor, (layer.steps_at(choice), *layer.codes_at(choice)))
        if layer.per_channel:
            step, *ends = (one.reshape(-1, 1) for one in (step, *ends))
        layer.weight.copy_(change.rounded(layer.weight, step, (ends[0], ends[1]), rng))
        if layer.log_clips is not None:
            layer.log_clips.add_(math.log(_jitter(change.clip_jitter, rng)))


def _jitter(half_width: float, rng: Any) -> float:
    return float(1 + half_width * rng.uniform(-1, 1))


def _quantized_array(coef: Any, change: _Change, rng: Any) -> np.ndarray:
    array = np.asarray(coef)
    quantized = change.quantized(torch.from_numpy(array.astype(np.float64)), rng)
    return quantized.numpy().astype(array.dtype)


def _check_model(
    predictor: Predictor, final: Any, kinds: tuple[str, ...], bits: int | None
) -> None:
    network = getattr(final, "network_", None)
    if isinstance(network, QuantizedMLP):
        if bits is not None:
            raise ValueError(
                f"bits={bits!r}, but {predictor.name} is quantized already, at the widths "
                f"{network.bit_widths.tolist()}. Leave `bits` away."
            )
        return
    # An estimator that only speaks the protocol of this library has no weights to be read.
    if not predictor.differentiable or not (
        isinstance(network, FullPrecisionMLP) or hasattr(final, "coefs_") or hasattr(final, "coef_")
    ):
        raise UnsupportedModelError(
            f"{predictor.name} has no weights that can be read, so its deployments cannot be "
            "drawn. Give the models themselves to solve(..., variants=[...])."
        )
    if bits is None:
        raise UnsupportedModelError(
            f"{predictor.name} is not quantized. Give the quantized model that is deployed, or the "
            "weight width that this one will be deployed at, such as bits=8."
        )
    signed_range(bits)
    if "calibration" in kinds:
        raise ValueError(
            f"kinds has 'calibration', but {predictor.name} is in full precision and has no "
            "clips to calibrate. Give kinds=('rounding', 'steps')."
        )
