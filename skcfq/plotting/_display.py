"""What all displays share: one axis, the protocol below it, and words for who cannot see it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Self

import numpy as np

from skcfq.plotting._axes import axis_for, claim, write_protocol
from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._svg import to_svg
from skcfq.utils import check_flag


class Display(ABC):
    """Base of the displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
        Both after :meth:`plot`, of its last call.
    protocol : str
        How the figures were made, to be printed beside them.
    """

    ax_: Any
    figure_: Any
    protocol: str

    def plot(self, ax: Any = None, *, show_protocol: bool = False) -> Self:
        """Draw what the display holds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure. An axis that shows another metric is refused: validity, cost and
            direction are never mixed.
        show_protocol : bool, default=False
            Whether the protocol is written below the axis.

        Returns
        -------
        display : the display itself, with ``ax_`` and ``figure_``

        Raises
        ------
        OptionalDependencyError
            matplotlib is not installed.
        """
        check_flag("show_protocol", show_protocol)
        ax = axis_for(ax, self._size())
        claim(ax, *self._labels())
        self._draw(ax)
        if show_protocol:
            write_protocol(ax, self.protocol)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_svg(self) -> str:
        """Return the display as an ``<svg>`` element, drawn apart from pyplot and its settings.

        Returns
        -------
        svg : str
            As :func:`skcfq.plotting.to_svg` makes it, with the display's title and description.
            Neither ``figure_`` nor an open figure is left.

        Raises
        ------
        OptionalDependencyError
            matplotlib is not installed.
        """
        drawing = copy(self)
        with matplotlib_module("style").context("default"):
            figure = matplotlib_module("figure").Figure(figsize=self._size(), layout="constrained")
            drawing.plot(figure.subplots())
            return to_svg(figure, title=self.title, description=self.description)

    @property
    @abstractmethod
    def title(self) -> str:
        """What the figure is about, in a few words."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What the figure shows, in sentences with its numbers: for who cannot see it."""

    @abstractmethod
    def _labels(self) -> tuple[str, str]:
        """Return the labels of the horizontal and of the vertical axis."""

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw the data on an axis that is labeled already."""

    def _size(self) -> tuple[float, float]:
        """Return width and height of a new figure, in inches."""
        return 6.0, 4.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title})"


def frozen(values: Any) -> np.ndarray:
    """Return a copy that nobody writes into."""
    copy = np.array(values)
    copy.setflags(write=False)
    return copy


def check_protocol(protocol: Any) -> str:
    """Return the protocol, which nothing is drawn without.

    Raises
    ------
    ValueError
        It is no text, or empty.
    """
    if not isinstance(protocol, str) or not protocol.strip():
        raise ValueError(
            f"protocol={protocol!r}; say in one line how the figures were made, such as "
            "result.protocol: figures of two protocols cannot be compared."
        )
    return protocol
