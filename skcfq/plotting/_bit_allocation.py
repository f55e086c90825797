"""The weight bits of each layer, and how they are spread over its units (Figure 8)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.plotting._axes import clean, legend_above, note
from skcfq.plotting._display import Display, check_protocol, frozen
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._people import models_of
from skcfq.plotting._style import style
from skcfq.plotting._tables import named, numbers_of
from skcfq.plotting._texts import drawn, number
from skcfq.utils import as_objects, is_list

_LARGEST_AREA = 260.0
_FILLED = 0.7


class BitAllocationDisplay(Display):
    """Weight bits of each layer: a line at the average, and a mark for each width of its units.

    The area of a mark is the share of the layer's units that have the width. Made by
    :meth:`from_estimators` or :meth:`from_predictions`.

    Parameters
    ----------
    bits : dict of str to list of array-like
        By model: for each layer the widths of its units, or one width.
    protocol : str

    Attributes
    ----------
    ax_, figure_, protocol
        See :meth:`plot`.
    bits : dict of str to list of ndarray

    Examples
    --------
    >>> from skcfq.plotting import BitAllocationDisplay
    >>> display = BitAllocationDisplay.from_predictions(
    ...     {"mixed": [4, 2, 8], "by unit": [[2, 4, 4], [2, 2, 3], [8, 8]]}, protocol="made up"
    ... )
    >>> [averages.round(2).tolist() for averages in display.averages.values()]
    [[4.0, 2.0, 8.0], [3.33, 2.33, 8.0]]
    >>> display.plot().ax_.get_ylabel()
    'Weight bits'
    """

    def __init__(self, *, bits: dict, protocol: str) -> None:
        models = named(bits, "bits", "a list with the widths of each layer")
        self._bits = {name: _layers(layers, name) for name, layers in models.items()}
        self.protocol = check_protocol(protocol)

    @property
    def bits(self) -> dict[str, list[np.ndarray]]:
        """The widths of the units, layer by layer; arrays cannot be written into."""
        return {name: list(layers) for name, layers in self._bits.items()}

    @property
    def averages(self) -> dict[str, np.ndarray]:
        """The average width of each layer, by model."""
        return {
            name: np.array([layer.mean() for layer in layers])
            for name, layers in self._bits.items()
        }

    @classmethod
    def from_estimators(cls, deployed: Any) -> BitAllocationDisplay:
        """Read the widths of fitted quantized classifiers, or of model files.

        Parameters
        ----------
        deployed : fitted estimator, or dict of str to such
            Each with ``unit_bit_widths_``, or with ``bit_widths_``.

        Returns
        -------
        display : BitAllocationDisplay
            Its protocol tells the average bits per weight, which weighs layers by their weights.
        """
        models, bits, said = models_of(deployed), {}, []
        for name, model in models.items():
            widths = getattr(model, "unit_bit_widths_", getattr(model, "bit_widths_", None))
            if widths is None:
                raise ValueError(
                    f"`deployed` has a {type(model).__name__} without bit widths. Give fitted "
                    "quantized classifiers, or widths to from_predictions."
                )
            bits[name] = list(widths)
            average = getattr(model, "average_bits_", None)
            said.append(name if average is None else f"{name}: {average:.2f} bits per weight")
        return cls(bits=bits, protocol="; ".join(said))

    @classmethod
    def from_predictions(cls, bits: dict, *, protocol: str) -> BitAllocationDisplay:
        """Take widths that are known already.

        Parameters
        ----------
        bits : dict of str to list of array-like
            By model: for each layer the widths of its units, or one width.
        protocol : str
            How they were chosen, in one line.

        Returns
        -------
        display : BitAllocationDisplay
        """
        return cls(bits=bits, protocol=protocol)

    @property
    def title(self) -> str:
        """What the figure is about."""
        return "Weight bits by layer"

    @property
    def description(self) -> str:
        """Average and range of each layer, model by model."""
        parts = []
        for name, layers in self._bits.items():
            cells = [
                f"layer {i + 1}: {number(layer.mean())}"
                + (f" ({layer.min():g} to {layer.max():g})" if np.ptp(layer) else "")
                for i, layer in enumerate(layers)
            ]
            parts.append(f"{name}: {', '.join(cells)}.")
        return f"Average weight bits of each layer. {' '.join(parts)}"

    def _labels(self) -> tuple[str, str]:
        return "Layer, from the input to the output", "Weight bits"

    def _draw(self, ax: Any) -> None:
        lines = matplotlib_module("lines")
        n_layers = max(len(layers) for layers in self._bits.values())
        width, handles = _FILLED / len(self._bits), []
        for position, layers in enumerate(self._bits.values()):
            look = style(position)
            offset = width * (position + 0.5) - _FILLED / 2
            for i, layer in enumerate(layers):
                found, counts = np.unique(layer, return_counts=True)
                x, average = i + 1 + offset, layer.mean()
                areas = _LARGEST_AREA * counts / len(layer) * min(1.0, 2 * width)
                ax.scatter(
                    np.full(len(found), x),
                    found,
                    areas,
                    color=look.color,
                    marker=look.marker,
                    alpha=0.55,
                    linewidths=0,
                )
                ends = [x - 0.46 * width, x + 0.46 * width]
                ax.plot(ends, [average, average], color=look.color, linewidth=2.4)
            handles.append(
                lines.Line2D([], [], color=look.color, marker=look.marker, linewidth=2.4)
            )
        ax.set_xticks(range(1, n_layers + 1))
        ax.set_xlim(0.4, n_layers + 0.6)
        most = max(layer.max() for layers in self._bits.values() for layer in layers)
        ax.set_ylim(0, most + 1)
        ax.yaxis.set_major_locator(matplotlib_module("ticker").MaxNLocator(integer=True))
        clean(ax, "y")
        legend_above(ax, handles, [drawn(name) for name in self._bits])
        note(ax, "Line: average of the layer's units. Area of a mark: share of units at a width.")


def _layers(layers: Any, name: str) -> list[np.ndarray]:
    if not is_list(layers) or not len(layers):
        raise ValueError(f"bits[{name!r}] must be a list, not empty, with one entry a layer.")
    return [frozen(_widths(layer, f"bits[{name!r}]")) for layer in layers]


def _widths(layer: Any, where: str) -> np.ndarray:
    try:
        values = numbers_of(as_objects(layer if is_list(layer) else [layer]), where)
    except (TypeError, ValueError):
        values = np.array([])
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 64)).all():
        raise ValueError(f"{where} must hold widths from 0 to 64 bits for each layer.")
    return values
