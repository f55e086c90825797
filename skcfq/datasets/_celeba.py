"""CelebA's attributes: forty things that people said of a face, as a table."""

from __future__ import annotations

import io
import os
import reprlib
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skcfq.actions import ActionSet
from skcfq.datasets._base import RemoteFile, make_bunch, read_payload

# The authors give the files away on a page of theirs, by hand.
_PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_ATTRIBUTES = RemoteFile(
    path="celeba/list_attr_celeba.txt",
    url=_PAGE,
    by_hand=True,
    sha256="f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
)
_PARTITION = RemoteFile(
    path="celeba/list_eval_partition.txt",
    url=_PAGE,
    by_hand=True,
    sha256="fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
)

_HAIR = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]
_BEARD = ["5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"]
_STYLE = ["Arched_Eyebrows", "Bangs", "Bushy_Eyebrows", "Straight_Hair", "Wavy_Hair"]
_AT_ONCE = [
    "Blurry",
    "Eyeglasses",
    "Heavy_Makeup",
    "Mouth_Slightly_Open",
    "Rosy_Cheeks",
    "Smiling",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
]
# What is changed at once costs half of what takes an hour, and that two thirds of what takes weeks.
_PRICES = {0.5: _AT_ONCE, 1.0: _STYLE, 1.5: [*_HAIR, *_BEARD]}

_DESCR = """CelebA attributes, Liu, Luo, Wang and Tang

202,599 pictures of 10,177 celebrities, of which each has 40 attributes, true or false, as people
labeled them. No picture is read. The official split is by person: 162,770 training, 19,867
validation and 19,962 test rows.

The attributes are somebody's opinion of a face, some of them disparaging, and the label of a task
is one of them. It serves to measure recourse and groups on many rows, and nothing is to be decided
about anybody with it.

Non-commercial research only; the files must not be passed on.

Citation: Liu, Z., Luo, P., Wang, X. and Tang, X. (2015). Deep Learning Face Attributes in the Wild.
ICCV.
"""


def fetch_celeba_attributes(
    *, target: str = "Attractive", data_home: str | os.PathLike | None = None
) -> Bunch:
    """Load the attributes of CelebA as a table of truth values, with an action set.

    Parameters
    ----------
    target : str, default="Attractive"
        The attribute that is the label; the other 39 are the inputs.
    data_home : path-like, default=None
        Folder that holds ``celeba/list_attr_celeba.txt`` and ``celeba/list_eval_partition.txt``,
        plain or with the suffix ``.gz``. None means the folder in the variable ``SKCFQ_DATA``.
        There is no download: the authors ask for consent on their page.

    Returns
    -------
    celeba : Bunch
        Keys as in :mod:`skcfq.datasets`, and ``validation_indices``. `data` has shape (202599, 39),
        all columns bool; `target` says ``"yes"`` or ``"no"``. The groups are ``sex`` (Male) and
        ``age`` (Young), whose crossing has four.

    Raises
    ------
    DatasetNotFoundError
        No file in the folder.
    DatasetDamagedError
        The file is not the published one.
    ValueError
        The target is no attribute.

    Notes
    -----
    *What a person can change*: hair colors and beard (1.5 each), hair style and eyebrows (1), and
    what is put on or done at once, a smile included (0.5); at most 8 attributes. Sex, youth, and
    the shape and skin of a face are immutable.

    *Rules*: one hair color at most; bald people have no hair color, style or bangs; hair is
    straight or wavy; who has no beard has no goatee. Rows that break a rule, such as 1 % with two
    hair colors, are held to no more than they keep.

    Examples
    --------
    >>> from skcfq.datasets import fetch_celeba_attributes
    >>> celeba = fetch_celeba_attributes()  # doctest: +SKIP
    >>> celeba.data.shape, len(celeba.test_indices)  # doctest: +SKIP
    ((202599, 39), 19962)
    """
    table = _read_attributes(read_payload("celeba", _ATTRIBUTES, data_home))
    names = table.columns.tolist()
    if not isinstance(target, str) or target not in names:
        raise ValueError(f"target={reprlib.repr(target)} is no attribute; give one of {names}.")
    split = _read_partition(read_payload("celeba", _PARTITION, data_home))
    bunch = make_bunch(
        data=table.drop(columns=target),
        target=table[target].map({True: "yes", False: "no"}),
        favorable="yes",
        action_set=_action_set([name for name in names if name != target]),
        groups=pd.DataFrame(
            {
                "sex": table["Male"].map({True: "male", False: "female"}),
                "age": table["Young"].map({True: "young", False: "not young"}),
            }
        ),
        split=(np.flatnonzero(split == 0), np.flatnonzero(split == 2)),
        units={},
        descr=_DESCR,
    )
    bunch["validation_indices"] = np.flatnonzero(split == 1)
    return bunch


def _read_attributes(payload: bytes) -> pd.DataFrame:
    table = pd.read_csv(io.BytesIO(payload), sep=r"\s+", skiprows=1)
    return (table == 1).reset_index(drop=True)


def _read_partition(payload: bytes) -> np.ndarray:
    table = pd.read_csv(io.BytesIO(payload), sep=r"\s+", header=None, names=["file", "split"])
    return table["split"].to_numpy()


def _action_set(names: list[str]) -> ActionSet:
    prices = {name: price for price, some in _PRICES.items() for name in some if name in names}
    bald = [*_HAIR, "Bangs", "Straight_Hair", "Wavy_Hair"]
    apart = [
        *combinations(_HAIR, 2),
        *(("Bald", name) for name in bald),
        ("Straight_Hair", "Wavy_Hair"),
        ("Goatee", "No_Beard"),
    ]
    return ActionSet(
        immutable=[name for name in names if name not in prices],
        constraints=[
            f"if {one} == True then {other} == False"
            for one, other in apart
            if {one, other} <= set(names)
        ],
        cost_weights=prices,
        max_changes=8,
    )
