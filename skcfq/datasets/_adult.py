"""Adult (Census Income): who earns more than 50,000 dollars a year."""

from __future__ import annotations

import io
import os

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skcfq.actions import ActionSet
from skcfq.datasets._base import RemoteFile, age_group, make_bunch, read_payload

_URL = "https://archive.ics.uci.edu/static/public/2/adult.zip"
_TRAIN = RemoteFile(
    path="adult/adult.data",
    url=_URL,
    sha256="5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    members=("adult.data",),
)
_TEST = RemoteFile(
    path="adult/adult.test",
    url=_URL,
    sha256="a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
    members=("adult.test",),
)

_COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]

_EDUCATION = [
    "Preschool",
    "1st-4th",
    "5th-6th",
    "7th-8th",
    "9th",
    "10th",
    "11th",
    "12th",
    "HS-grad",
    "Some-college",
    "Assoc-voc",
    "Assoc-acdm",
    "Bachelors",
    "Masters",
    "Prof-school",
    "Doctorate",
]

_PAID_WORK = [
    "Private",
    "Self-emp-not-inc",
    "Self-emp-inc",
    "Federal-gov",
    "Local-gov",
    "State-gov",
]

_CIVIL_OCCUPATIONS = [
    "Adm-clerical",
    "Craft-repair",
    "Exec-managerial",
    "Farming-fishing",
    "Handlers-cleaners",
    "Machine-op-inspct",
    "Other-service",
    "Priv-house-serv",
    "Prof-specialty",
    "Protective-serv",
    "Sales",
    "Tech-support",
    "Transport-moving",
]

_UNITS = {
    "age": "years",
    "capital_gain": "US dollars a year",
    "capital_loss": "US dollars a year",
    "hours_per_week": "hours a week",
}

_DESCR = """Adult (Census Income), UCI Machine Learning Repository

48,842 people of the 1994 US census; 32,561 train and 16,281 test rows as published.
Label: yearly income above 50,000 dollars (24.08 % of train, 23.62 % of test).
Gaps: workclass, occupation and native_country, together in about 7 % of the rows.
Left out: fnlwgt (a census weight) and education_num (the rank of education).

Citation: Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository,
doi:10.24432/C5XW20. License: CC BY 4.0.
"""


def fetch_adult(*, data_home: str | os.PathLike | None = None) -> Bunch:
    """Load Adult (Census Income) with its action set.

    The label says whether a person of the 1994 US census earns more than 50,000 dollars a year.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``adult/adult.data`` and ``adult/adult.test``, plain or with the suffix
        ``.gz``. None means the folder in the variable ``SKCFQ_DATA``; without it, the files are
        downloaded from the UCI Machine Learning Repository.

    Returns
    -------
    adult : Bunch
        Keys as in :mod:`skcfq.datasets`. `data` has shape (48842, 12): 4 integer columns and 8
        columns of text with gaps; the official train rows come first.

    Raises
    ------
    DatasetNotFoundError
        No file in the folder, or no connection.
    DatasetDamagedError
        The file is not the published one.

    Notes
    -----
    *What a person can change*: more education (ordered, up only), the sector of paid work
    (``workclass``), a civilian occupation, 10 to 60 working hours a week, more realized capital
    gains (steps of 100 dollars up to 40,000; the value 99,999 is a top code, no amount), smaller
    capital losses; at most 5 of these. Nobody is advised to work without pay or to hide a job,
    and who gave no workclass or occupation stays there. Age, sex, race, country of birth, marital
    status and relationship are immutable. The time that education takes is not modeled.

    *Differences from the paper's Tables 3 and 4*: ``education_num`` repeats ``education`` and is
    left out, so that an action cannot set them apart; the three columns with gaps get a category
    for it. One-hot encoding gives d = 106 instead of 104, in 8 categorical groups as in the paper.
    6 raw columns (63 encoded ones) are immutable instead of 6 encoded columns. The share of the
    favorable label is 0.241 in train and 0.236 in test (paper: 0.24). Splits, sparsity (5) and
    cost (weighted l1) are the paper's.

    Examples
    --------
    >>> from skcfq.datasets import fetch_adult
    >>> adult = fetch_adult()  # doctest: +SKIP
    >>> adult.data.shape, adult.favorable  # doctest: +SKIP
    ((48842, 12), '>50K')
    """
    train = _read(read_payload("adult", _TRAIN, data_home), skiprows=0)
    test = _read(read_payload("adult", _TEST, data_home), skiprows=1)
    data = pd.concat([train, test], ignore_index=True)
    # Labels of the test file end with a dot.
    target = data.pop("income").str.rstrip(".")
    data = data.drop(columns=["fnlwgt", "education_num"])
    positions = np.arange(len(data))
    return make_bunch(
        data=data,
        target=target,
        favorable=">50K",
        action_set=_action_set(),
        groups=data[["sex", "race"]].assign(age=age_group(data["age"])),
        split=(positions[: len(train)], positions[len(train) :]),
        units=_UNITS,
        descr=_DESCR,
    )


def _read(payload: bytes, *, skiprows: int) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(payload),
        header=None,
        names=_COLUMNS,
        skiprows=skiprows,
        skipinitialspace=True,
        na_values="?",
    )


def _action_set() -> ActionSet:
    return ActionSet(
        immutable=["age", "sex", "race", "native_country", "marital_status", "relationship"],
        increasing=["education", "capital_gain"],
        decreasing=["capital_loss"],
        bounds={
            "capital_gain": (0, 40_000),
            "capital_loss": (0, None),
            "hours_per_week": (10, 60),
        },
        steps={"capital_gain": 100, "capital_loss": 100, "hours_per_week": 1},
        ordinal={"education": _EDUCATION},
        transitions={
            "workclass": dict.fromkeys([*_PAID_WORK, "Without-pay", "Never-worked"], _PAID_WORK),
            "occupation": dict.fromkeys([*_CIVIL_OCCUPATIONS, "Armed-Forces"], _CIVIL_OCCUPATIONS),
        },
        max_changes=5,
    )
