"""Default of Credit Card Clients: who fails to pay the card bill of the next month."""

from __future__ import annotations

import io
import os

import pandas as pd
from sklearn.utils import Bunch

from skcfq.actions import ActionSet
from skcfq.datasets._base import RemoteFile, age_group, make_bunch, random_split, read_payload

# UCI publishes a spreadsheet; this is its CSV export, equal in every value.
_FILE = RemoteFile(
    path="default/default_of_credit_card_clients.csv",
    url="https://raw.githubusercontent.com/charmlab/recourse_benchmarks/HEAD/"
    "data/catalog/_data_main/raw_data/uci_credit.csv",
    sha256="1b3c12230a6a9448e17f688a04fae434e20d0014bdc61b2d1fd75d8e28904c4e",
)

_MONTHS = ["sep", "aug", "jul", "jun", "may", "apr"]

_RECENT = _MONTHS[:3]

_NAMES = {
    "LIMIT_BAL": "credit_limit",
    "SEX": "sex",
    "EDUCATION": "education",
    "MARRIAGE": "marital_status",
    "AGE": "age",
    # The file jumps from PAY_0 to PAY_2.
    **{f"PAY_{i}": f"delay_{month}" for i, month in zip([0, 2, 3, 4, 5, 6], _MONTHS, strict=True)},
    **{f"BILL_AMT{i}": f"bill_{month}" for i, month in enumerate(_MONTHS, start=1)},
    **{f"PAY_AMT{i}": f"paid_{month}" for i, month in enumerate(_MONTHS, start=1)},
}

_LABELS = {
    "sex": {1: "male", 2: "female"},
    "education": {1: "graduate school", 2: "university", 3: "high school"},
    "marital_status": {1: "married", 2: "single"},
}

_UNITS = {
    "credit_limit": "NT dollars",
    "age": "years",
    **{f"delay_{month}": "months late" for month in _MONTHS},
    **{f"bill_{month}": "NT dollars" for month in _MONTHS},
    **{f"paid_{month}": "NT dollars" for month in _MONTHS},
}

_DESCR = """Default of Credit Card Clients (Taiwan), UCI Machine Learning Repository

30,000 card holders, April to September 2005; 6,636 did not pay in October (22.12 %). No gaps.
delay_*: -2 no use of the card, -1 paid in full, 0 revolving credit, 1 to 8 months late (-2 and 0
are undocumented and read as usual). Undocumented codes of education and marital status are
"other". The number of the row is left out; 35 rows are duplicates without it.

Citation: Yeh, I.-C. (2009). Default of Credit Card Clients. UCI Machine Learning Repository,
doi:10.24432/C55S3H. License: CC BY 4.0.
"""


def fetch_default_credit(*, data_home: str | os.PathLike | None = None, random_state=0) -> Bunch:
    """Load Default of Credit Card Clients with its action set.

    The label says whether a card holder in Taiwan failed to pay the bill of October 2005.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``default/default_of_credit_card_clients.csv``, plain or with the suffix
        ``.gz``. None means the folder in the variable ``SKCFQ_DATA``; without it, a public CSV
        export of the spreadsheet of the UCI Machine Learning Repository is downloaded.
    random_state : int, RandomState or None, default=0
        Seed of the split into 24,000 train and 6,000 test rows, stratified by the label.

    Returns
    -------
    default : Bunch
        Keys as in :mod:`skcfq.datasets`. `data` has shape (30000, 23): 20 integer and 3
        categorical columns, months by name, amounts in NT dollars (about 0.03 US dollars each).

    Raises
    ------
    DatasetNotFoundError
        No file in the folder, or no connection.
    DatasetDamagedError
        The file is not the published one.

    Notes
    -----
    *What a card holder can change*: in the three latest months, be less late (at best pay in
    full), spend less (bills fall, not below 0) and pay more (steps of 1,000 dollars, up to the
    99 % quantile); gain a higher education. At most 4 of these. Age, sex and marital status, the
    limit that the bank sets, and the three older months are immutable. Bills, payments and delays
    are coupled in life; the action set does not model that.

    *Differences from the paper's Tables 3 and 4*: the three categorical groups are one-hot, not
    integers, so that d = 29 instead of 23. 13 raw columns (16 encoded ones) are immutable instead
    of 1. 24,000 and 6,000 rows, share of the favorable label (0.779; paper 0.78), nonnegative
    amounts, sparsity (4) and cost (weighted l2) are the paper's.

    Examples
    --------
    >>> from skcfq.datasets import fetch_default_credit
    >>> default = fetch_default_credit()  # doctest: +SKIP
    >>> default.data.shape, default.favorable  # doctest: +SKIP
    ((30000, 23), 'no default')
    """
    payload = read_payload("default_credit", _FILE, data_home)
    data = pd.read_csv(io.BytesIO(payload), skiprows=1)
    target = data.pop("default payment next month").map({0: "no default", 1: "default"})
    data = data.drop(columns="ID").rename(columns=_NAMES)
    for column, labels in _LABELS.items():
        data[column] = data[column].map(labels).fillna("other")
    groups = data[["sex", "education", "marital_status"]].assign(age=age_group(data["age"]))
    # What is neither of the three degrees has no rank among them.
    data["education"] = data["education"].where(data["education"] != "other")
    return make_bunch(
        data=data,
        target=target.rename("outcome"),
        favorable="no default",
        action_set=_action_set(),
        groups=groups,
        split=random_split(target, n_train=24_000, n_test=6_000, random_state=random_state),
        units=_UNITS,
        descr=_DESCR,
    )


def _action_set() -> ActionSet:
    delays = [f"delay_{month}" for month in _RECENT]
    bills = [f"bill_{month}" for month in _RECENT]
    payments = [f"paid_{month}" for month in _RECENT]
    past = [f"{kind}_{month}" for kind in ("delay", "bill", "paid") for month in _MONTHS[3:]]
    return ActionSet(
        immutable=["credit_limit", "sex", "marital_status", "age", *past],
        increasing=[*payments, "education"],
        decreasing=[*delays, *bills],
        bounds=dict.fromkeys(delays, (-1, None)) | dict.fromkeys(bills, (0, None)),
        quantile_bounds=dict.fromkeys(payments, (0, 0.99)),
        steps=dict.fromkeys(delays, 1) | dict.fromkeys([*bills, *payments], 1_000),
        ordinal={"education": ["high school", "university", "graduate school"]},
        max_changes=4,
        cost="l2",
    )
