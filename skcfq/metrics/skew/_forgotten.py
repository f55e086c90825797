"""People whom compression forgets: whom compressed models decide otherwise, seed after seed."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import pandas as pd

from skcfq.metrics.skew._checks import read_labels
from skcfq.metrics.skew._decisions import means_by_group
from skcfq.utils import is_list


def forgotten_people(reference: Any, deployed: Any, groups: Any = None) -> pd.DataFrame:
    """Return the shares of people whom compressed models decide unlike their reference, by group.

    Parameters
    ----------
    reference : array-like of shape (n,)
        Decisions of the reference.
    deployed : array-like of shape (s, n), or list of s array-like
        Decisions of models that were compressed with s seeds.
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.

    Returns
    -------
    shares : DataFrame
        One row for ``"everybody"`` and each group: ``n``; the share whom ``any`` of the models,
        ``most`` (more than half) and ``all`` decide unlike the reference; ``each``, the mean over
        models. Those of ``most`` are forgotten by the compression, and not by a seed.

    Raises
    ------
    ValueError
        Lengths differ, or there is no model.

    References
    ----------
    Hooker et al. (2020), arXiv 2010.03058.

    Examples
    --------
    >>> shares = forgotten_people([1, 1, 0], [[1, 0, 0], [1, 0, 1], [1, 0, 0]])
    >>> shares[["any", "most", "all"]].round(2).loc["everybody"].tolist()
    [0.67, 0.33, 0.33]
    """
    own = read_labels(reference, "reference")
    if not is_list(deployed) or not len(deployed):
        raise ValueError(
            f"`deployed` is {reprlib.repr(deployed)}; give a list of the decisions of one or more "
            "models, each with one label a person."
        )
    others = [read_labels(one, "deployed", len(own), like="reference") for one in deployed]
    unlike = np.mean([one != own for one in others], axis=0)
    columns = {
        "any": (unlike > 0).astype(float),
        "most": (unlike > 0.5).astype(float),
        "all": (unlike == 1).astype(float),
        "each": unlike,
    }
    return means_by_group(columns, groups, len(own))
