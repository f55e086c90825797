"""COMPAS (ProPublica): whether a defendant is arrested again within two years."""

from __future__ import annotations

import io
import os

import pandas as pd
from sklearn.utils import Bunch

from skcfq.actions import ActionSet
from skcfq.datasets._base import RemoteFile, age_group, make_bunch, random_split, read_payload

_FILE = RemoteFile(
    path="compas/compas-scores-two-years.csv",
    url="https://raw.githubusercontent.com/propublica/compas-analysis/HEAD/"
    "compas-scores-two-years.csv",
    sha256="c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d",
)

_INPUTS = [
    "sex",
    "age",
    "race",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
    "c_charge_degree",
]

_FILTERS = ["days_b_screening_arrest", "is_recid", "score_text"]

_LABEL = "two_year_recid"

_UNITS = {
    "age": "years",
    "juv_fel_count": "juvenile felonies",
    "juv_misd_count": "juvenile misdemeanors",
    "juv_other_count": "other juvenile offenses",
    "priors_count": "prior offenses",
}

_DESCR = """COMPAS two-year recidivism, ProPublica

6,172 defendants of Broward County, Florida, 2013 and 2014, after ProPublica's filter (screened
within 30 days of the arrest, known outcome, no ordinary traffic offense, a score given); 2,809 were
arrested again within two years (45.51 %). Names, dates of birth, the COMPAS scores and everything
that was recorded after the screening are never read into the table.

Recourse against a recidivism score is studied as a benchmark; it is no advice to a defendant.

Citation: Larson, J., Mattu, S., Kirchner, L. and Angwin, J. (2016). How We Analyzed the COMPAS
Recidivism Algorithm. ProPublica. Public records, no license stated.
"""


def fetch_compas(*, data_home: str | os.PathLike | None = None, random_state=0) -> Bunch:
    """Load COMPAS two-year recidivism with its action set.

    The label says ``"recidivism"`` if a defendant was arrested again within two years.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``compas/compas-scores-two-years.csv``, plain or with the suffix
        ``.gz``. None means the folder in the variable ``SKCFQ_DATA``; without it, the file is
        downloaded from ProPublica's repository.
    random_state : int, RandomState or None, default=0
        Seed of the split into 4,320 train and 1,852 test rows, stratified by the label.

    Returns
    -------
    compas : Bunch
        Keys as in :mod:`skcfq.datasets`. `data` has shape (6172, 8): 5 integer and 3 categorical
        columns, no gaps.

    Raises
    ------
    DatasetNotFoundError
        No file in the folder, or no connection.
    DatasetDamagedError
        The file is not the published one.

    Notes
    -----
    *What a person can change*: very little, and that is the point of the benchmark. A charge may
    be reduced from felony to misdemeanor; prior and juvenile offenses may be expunged or sealed
    one by one, so the counts only fall. Sex, age and race are immutable. At most 3 changes.

    *Differences from the paper's Tables 3 and 4*: the standard filter leaves 6,172 rows, fewer
    than the paper's 4,500 + 2,000, so the split is 4,320 + 1,852 (70 to 30). One-hot encoding
    gives d = 15 instead of 12, in the same 3 categorical groups. Three raw columns (9 encoded
    ones) are immutable instead of 3 encoded columns. The favorable label, no recidivism, has a
    share of 0.545; the paper prints 0.45, the share of recidivism. Sparsity (3) and cost (weighted
    l1) are the paper's.

    Examples
    --------
    >>> from skcfq.datasets import fetch_compas
    >>> compas = fetch_compas()  # doctest: +SKIP
    >>> compas.data.shape, compas.favorable  # doctest: +SKIP
    ((6172, 8), 'no recidivism')
    """
    payload = read_payload("compas", _FILE, data_home)
    # Only these columns are parsed: the file also holds names and dates of birth.
    table = pd.read_csv(
        io.BytesIO(payload), usecols=[*_INPUTS, *_FILTERS, _LABEL], keep_default_na=False
    )
    table = table[_standard_filter(table)].reset_index(drop=True)
    data = table[_INPUTS].rename(columns={"c_charge_degree": "charge_degree"})
    data["charge_degree"] = data["charge_degree"].map({"F": "felony", "M": "misdemeanor"})
    target = table[_LABEL].map({0: "no recidivism", 1: "recidivism"}).rename("outcome")
    return make_bunch(
        data=data,
        target=target,
        favorable="no recidivism",
        action_set=_action_set(),
        groups=data[["race", "sex"]].assign(age=age_group(data["age"])),
        split=random_split(target, n_train=4320, n_test=1852, random_state=random_state),
        units=_UNITS,
        descr=_DESCR,
    )


def _standard_filter(table: pd.DataFrame) -> pd.Series:
    days = pd.to_numeric(table["days_b_screening_arrest"], errors="coerce")
    return (
        days.between(-30, 30)
        & (table["is_recid"] != -1)
        & (table["c_charge_degree"] != "O")
        & (table["score_text"] != "N/A")
    )


def _action_set() -> ActionSet:
    counts = ["juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count"]
    return ActionSet(
        immutable=["sex", "age", "race"],
        decreasing=counts,
        bounds=dict.fromkeys(counts, (0, None)),
        steps=dict.fromkeys(counts, 1),
        transitions={"charge_degree": {"felony": ["misdemeanor"], "misdemeanor": []}},
        max_changes=3,
    )
