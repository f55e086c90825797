"""How much each layer matters, at rows and at recourse points (Figure 13)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.plotting._axes import clean, legend_above
from skcfq.plotting._display import Display, check_protocol, frozen
from skcfq.plotting._style import style
from skcfq.plotting._tables import named, numbers_of
from skcfq.plotting._texts import drawn, number, upright
from skcfq.results import RecourseResult
from skcfq.theory import estimated_sensitivities
from skcfq.utils import as_objects, check_flag, check_parameters, take_rows


class LayerSensitivityDisplay(Display):
    r"""Sensitivity of each layer, one line a profile.

    Made by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    sensitivities : dict of str to array-like of shape (n_layers,)
        By profile, such as at people's rows and at recourse points. Not negative.
    protocol : str
    normalize : bool, default=True
        Whether each profile is shown as shares of its sum, so that profiles of different scales
        can be compared.

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    sensitivities : dict of str to ndarray
        As they were given.

    Examples
    --------
    >>> from skcfq.plotting import LayerSensitivityDisplay
    >>> profiles = {"at rows": [1.0, 1.2, 0.8], "at recourse points": [0.5, 3.0, 0.5]}
    >>> display = LayerSensitivityDisplay.from_predictions(profiles, protocol="made up")
    >>> display.plot().ax_.get_ylabel()
    "Sensitivity\n(share of the layers' sum)"
    """

    def __init__(self, *, sensitivities: dict, protocol: str, normalize: bool = True) -> None:
        profiles = named(sensitivities, "sensitivities", "one number a layer")
        self._profiles = {name: _profile(values, name) for name, values in profiles.items()}
        check_flag("normalize", normalize)
        self.normalize = normalize
        self.protocol = check_protocol(protocol)

    @property
    def sensitivities(self) -> dict[str, np.ndarray]:
        """The profiles; arrays cannot be written into."""
        return dict(self._profiles)

    @classmethod
    @check_parameters(result=[RecourseResult])
    def from_estimator(
        cls,
        deployed: Any,
        result: RecourseResult,
        *,
        background: Any = None,
        normalize: bool = True,
    ) -> LayerSensitivityDisplay:
        """Estimate the sensitivities of a model at people's rows and at their recourse points.

        Parameters
        ----------
        deployed : fitted estimator
            As in :func:`skcfq.theory.estimated_sensitivities`.
        result : RecourseResult
            Its people with advice are looked at, before and after it, for their target.
        background : DataFrame or ndarray, default=None
            Where the model carries no statistics.
        normalize : bool, default=True

        Returns
        -------
        display : LayerSensitivityDisplay
        """
        rows = result.reachable
        if not rows.any():
            raise ValueError("`result` has nobody with advice, so nothing can be estimated.")
        at = {"at people's rows": result.X, "at recourse points": result.points}
        profiles = {
            name: estimated_sensitivities(
                deployed, take_rows(X, rows), target=result.target[rows], background=background
            ).mean(axis=0)
            for name, X in at.items()
        }
        return cls(sensitivities=profiles, protocol=result.protocol, normalize=normalize)

    @classmethod
    def from_predictions(
        cls, sensitivities: dict, *, protocol: str, normalize: bool = True
    ) -> LayerSensitivityDisplay:
        """Take profiles that were computed already, such as ``sensitivities_`` of PTQClassifier.

        Parameters
        ----------
        sensitivities : dict of str to array-like of shape (n_layers,)
            By profile.
        protocol : str
            How they were estimated, in one line.
        normalize : bool, default=True

        Returns
        -------
        display : LayerSensitivityDisplay
        """
        return cls(sensitivities=sensitivities, protocol=protocol, normalize=normalize)

    @property
    def title(self) -> str:
        """What the figure is about."""
        return "Sensitivity by layer"

    @property
    def description(self) -> str:
        """The profiles, layer by layer."""
        cells = [
            f"{name}: {', '.join(number(value) for value in values)}"
            for name, values in self._shown().items()
        ]
        label = " ".join(self._labels()[1].split())
        return f"{label}, from the first layer on. {'; '.join(cells)}."

    def _shown(self) -> dict[str, np.ndarray]:
        if not self.normalize:
            return self._profiles
        return {
            name: values / (values.sum() if values.sum() > 0 else 1.0)
            for name, values in self._profiles.items()
        }

    def _labels(self) -> tuple[str, str]:
        unit = "share of the layers' sum" if self.normalize else "loss per unit of weight"
        return "Layer, from the input to the output", upright(f"Sensitivity ({unit})")

    def _draw(self, ax: Any) -> None:
        handles, shown = [], self._shown()
        for position, values in enumerate(shown.values()):
            look, layers = style(position), np.arange(1, len(values) + 1)
            handles += ax.plot(
                layers,
                values,
                color=look.color,
                linestyle=look.line,
                marker=look.marker,
                markersize=7,
            )
        most = max(map(len, shown.values()))
        ax.set_xticks(range(1, most + 1))
        ax.set_xlim(0.7, most + 0.3)
        ax.set_ylim(bottom=0)
        clean(ax, "y")
        legend_above(ax, handles, [drawn(name) for name in shown])


def _profile(values: Any, name: str) -> np.ndarray:
    where = f"sensitivities[{name!r}]"
    try:
        column = numbers_of(as_objects(values), where)
    except (TypeError, ValueError):
        column = np.zeros((0, 0))
    if column.ndim != 1 or not len(column) or not (column >= 0).all():
        raise ValueError(f"{where} must hold one number of at least 0 for each layer.")
    return frozen(column)
