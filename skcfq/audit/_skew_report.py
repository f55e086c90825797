"""What a report on skew holds, and how it is told."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._skew_columns import SKEW_FIGURES
from skcfq.plotting import CascadeDisplay
from skcfq.utils import strict_json

_FRAMES = {
    "figures": ["feature", "group", "figure"],
    "gaps": ["feature", "figure"],
    "layers": ["feature", "group", "layer"],
    "forgotten": ["feature", "group"],
}


@dataclass(frozen=True, eq=False, repr=False)
class SkewReport:
    """How a compressed model is skewed against groups.

    Returned by :func:`skew_report`, never made by a user.

    Attributes
    ----------
    figures : DataFrame
        Indexed by ``feature``, ``group`` (``("", "everybody")`` first) and ``figure``: ``n``,
        ``before``, ``after``, ``change``, ``lower`` and ``upper`` of the change, and
        ``detectable``, the size of a change that so many people would show in 80 % of repetitions.
        :attr:`labels` says what figures are.
    gaps : DataFrame
        Indexed by ``feature`` and ``figure``: the highest less the lowest group, before and after,
        with the interval of its change; ``highest`` and ``lowest`` after. Of ``accuracy`` this is
        the Fairness Violation Observed.
    layers : DataFrame or None
        By ``feature``, ``group`` and ``layer``, as :func:`skcfq.metrics.layer_changes` has it;
        None where models are no networks of one shape.
    forgotten : DataFrame or None
        By ``feature`` and ``group``, as :func:`skcfq.metrics.forgotten_people` has it; None of a
        single deployed model.
    small_groups : list of dict
        Groups that are named and not scored: ``feature``, ``group``, ``n``.
    notes : list of str
        What could not be judged, and how figures are to be read.
    parameters : dict
        Names of the models, people, and parameters of the report.
    """

    figures: pd.DataFrame
    gaps: pd.DataFrame
    layers: pd.DataFrame | None
    forgotten: pd.DataFrame | None
    small_groups: list[dict[str, Any]]
    notes: list[str]
    parameters: Mapping[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """What each figure is, in words."""
        known = self.figures.index.get_level_values("figure").unique()
        return {name: label for name, (label, _) in SKEW_FIGURES.items() if name in known}

    @property
    def significant(self) -> pd.DataFrame:
        """The changes whose interval leaves zero out, and whether each is for the worse.

        Of many figures and groups some do so by chance: at 95 %, one of twenty.
        """
        told = self.figures[(self.figures["lower"] > 0) | (self.figures["upper"] < 0)]
        better = [SKEW_FIGURES[name][1] for name in told.index.get_level_values("figure")]
        rising = told["change"] > 0
        worse = [
            None if wanted == "same" else bool(up == (wanted == "low"))
            for wanted, up in zip(better, rising, strict=True)
        ]
        return told.assign(worse=pd.Series(worse, index=told.index, dtype=object))

    def to_frame(self) -> pd.DataFrame:
        """Return the figures with what they are in words."""
        names = self.figures.index.get_level_values("figure")
        return self.figures.assign(label=[SKEW_FIGURES[name][0] for name in names])

    def plot(self, feature: str | None = None, ax: Any = None) -> CascadeDisplay:
        """Draw the changes of all figures by the groups of a feature.

        Parameters
        ----------
        feature : str, optional
            The first by default.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : CascadeDisplay
            Drawn.

        Raises
        ------
        ValueError
            There is no such feature.
        OptionalDependencyError
            matplotlib is not installed.
        """
        return self.display(feature).plot(ax)

    def display(self, feature: str | None = None) -> CascadeDisplay:
        """Return the same, not drawn.

        Parameters
        ----------
        feature : str, optional

        Raises
        ------
        ValueError
            There is no such feature.
        """
        known = [one for one in self.figures.index.get_level_values("feature").unique() if one]
        if feature is None and known:
            feature = known[0]
        if feature is not None and feature not in known:
            raise ValueError(f"feature={reprlib.repr(feature)}; the report has {known}.")
        table = self.to_frame().reset_index()
        table = table[table["feature"].isin(["", feature])]
        table = table[["label", "group", "change", "lower", "upper", "n"]]
        names = {"label": "figure", "change": "value", "lower": "low", "upper": "high"}
        return CascadeDisplay(table=table.rename(columns=names), protocol=self.protocol)

    @property
    def protocol(self) -> str:
        """How the figures were made, in one line."""
        told = self.parameters
        return (
            f"{told['reference']} -> {', '.join(dict.fromkeys(told['deployed']))} "
            f"({len(told['deployed'])} seeds), {told['n_people']} people; paired bootstrap over "
            f"people and seeds, {100 * told['confidence']:g} % each"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values of strict JSON, from which :meth:`from_dict` has it back."""
        frames = {name: getattr(self, name) for name in _FRAMES}
        content: dict[str, Any] = {
            name: None if frame is None else frame.reset_index().to_dict(orient="list")
            for name, frame in frames.items()
        }
        content |= {
            "small_groups": self.small_groups,
            "notes": self.notes,
            "parameters": dict(self.parameters),
        }
        return strict_json(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SkewReport:
        """Return the report that :meth:`to_dict` wrote.

        Parameters
        ----------
        content : dict

        Raises
        ------
        ValueError
            It is no such report.
        """
        try:
            parts = {name: _frame(content[name], index) for name, index in _FRAMES.items()}
            parts |= {name: content[name] for name in ("small_groups", "notes", "parameters")}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no report on skew: {error!r}.") from error
        return cls(**parts)

    def __repr__(self) -> str:
        names = self.parameters["deployed"]
        deployed = names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
        told = [
            f"{row['feature']}: accuracy gap {row['before']:.3f} -> {row['after']:.3f} "
            f"({row['lower']:+.3f} to {row['upper']:+.3f})"
            for row in self.gaps.reset_index().to_dict(orient="records")
            if row["figure"] == "accuracy" and np.isfinite(row["after"])
        ]
        shown = "; ".join(told) or "no groups to compare"
        return (
            f"SkewReport({self.parameters['reference']} -> {deployed}; "
            f"{self.parameters['n_people']} people; {shown})"
        )


def _frame(columns: Any, index: list[str]) -> Any:
    if columns is None:
        return None
    frame = pd.DataFrame(columns)
    # Where nothing was compared there are no columns.
    return frame.set_index(index) if set(index) <= set(frame.columns) else frame
