"""A generated lending table: same kinds of features as the real ones, and no file at all."""

from __future__ import annotations

import numbers

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from skcfq.actions import ActionSet
from skcfq.datasets._base import age_group, make_bunch, random_split

_EDUCATION = ["primary", "secondary", "vocational", "bachelor", "master"]

_UNITS = {
    "age": "years",
    "income": "euros a month",
    "savings": "euros",
    "loan_amount": "euros",
    "loan_duration": "months",
    "years_employed": "years",
    "open_loans": "loans",
    "missed_payments": "payments in the last two years",
}

_DESCR = """Generated lending table

Applicants for a consumer loan with numbers, counts, an ordered category, unordered categories and
gaps (undisclosed savings, unknown employment). The decision is a nonlinear function of the monthly
burden of the loan, reserves, stability and payment history, plus noise; sex and age play no part
in it, but are correlated with what does. No real person is behind any row.
"""

# Cuts the score where about 35 % of the applicants are refused.
_MOST_ROWS = 10_000_000
_THRESHOLD = 1.3


def make_credit(n_samples: int = 2000, *, random_state=None) -> Bunch:
    r"""Generate a lending table with its action set.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of applicants; at least 50, so that both parts of the split hold both labels.
    random_state : int, RandomState or None, default=None
        Seed of the table and of its split (70 to 30, stratified by the label).

    Returns
    -------
    credit : Bunch
        Keys as in :mod:`skcfq.datasets`. `data` has shape (n_samples, 14): 8 numeric columns (one
        with gaps) and 6 categorical ones (one with gaps, one ordered). Labels are ``"granted"``
        (about 65 %) and ``"denied"``.

    Raises
    ------
    ValueError
        `n_samples` is no integer of at least 50.

    Notes
    -----
    With the annuity :math:`r` that repays the loan at 6 % a year, the burden is
    :math:`b = (r + 90 \cdot \text{open loans}) / \text{income}`, and the score is

    .. math::

        2 \tanh\frac{0.25 - b}{0.1} + 0.7 \log_{10}\frac{\text{savings} + 100}{2000}
        - 0.9 \sqrt{\text{missed payments}} + 0.5 \tanh\frac{\text{years employed}}{4}
        + \ldots + 0.4\, \varepsilon

    with terms for employment, education, housing and a guarantor, and normal noise. A loan is
    granted if the score exceeds a constant, so the rule does not depend on the sample.

    *What an applicant can change*: ask for less money, another duration, earn up to 1,000 euros a
    month more, save up to 50,000 euros, pay off open loans, stay employed for up to two more years,
    take a further degree, move from unemployed or fixed-term to other work, bring a guarantor; at
    most 4 of these. Age, sex, housing, purpose and missed payments are immutable.

    Examples
    --------
    >>> from skcfq.datasets import make_credit
    >>> credit = make_credit(500, random_state=0)
    >>> credit.data.shape, credit.favorable
    ((500, 14), 'granted')
    >>> credit.units["loan_amount"], len(credit.train_indices), len(credit.test_indices)
    ('euros', 350, 150)
    """
    if not isinstance(n_samples, numbers.Integral) or not 50 <= n_samples <= _MOST_ROWS:
        raise ValueError(
            f"n_samples is {n_samples!r}; give an integer from 50, so that both parts of the split "
            f"hold both labels, to {_MOST_ROWS}."
        )
    rng = check_random_state(random_state)
    n = int(n_samples)
    data = _draw_applicants(n, rng)
    granted = _score(data) + 0.4 * rng.standard_normal(n) > _THRESHOLD
    target = pd.Series(granted, name="decision").map({True: "granted", False: "denied"})
    # What the bank knows is not always what the applicant disclosed.
    data.loc[rng.random(n) < 0.06, "savings"] = np.nan
    data.loc[rng.random(n) < 0.03, "employment"] = np.nan
    n_test = round(0.3 * n)
    return make_bunch(
        data=data,
        target=target,
        favorable="granted",
        action_set=_action_set(),
        groups=data[["sex"]].assign(age=age_group(data["age"])),
        split=random_split(target, n_train=n - n_test, n_test=n_test, random_state=rng),
        units=_UNITS,
        descr=_DESCR,
    )


def _draw_applicants(n: int, rng: np.random.RandomState) -> pd.DataFrame:
    age = np.clip(np.round(18 + rng.gamma(2.6, 9.0, n)), 18, 80).astype(int)
    sex = rng.choice(["female", "male"], n)
    rank = np.clip(rng.binomial(4, 0.45, n) - (age < 22), 0, 4)
    employment = rng.choice(
        ["permanent", "fixed-term", "self-employed", "unemployed"], n, p=[0.58, 0.2, 0.13, 0.09]
    )
    at_work = employment != "unemployed"
    years_employed = np.where(at_work, np.floor(rng.beta(1.1, 2.5, n) * (age - 16)), 0).astype(int)
    log_income = 7.25 + 0.16 * rank + 0.18 * np.log1p(years_employed) - 0.55 * ~at_work
    log_income += 0.07 * (sex == "male") + 0.28 * rng.standard_normal(n)
    income = 10 * np.round(np.exp(log_income) / 10)
    savings = np.round(np.exp(6.4 + 0.03 * (age - 18) + 1.3 * rng.standard_normal(n)))
    loan_amount = 500 * np.clip(np.round(np.exp(2.9 + 0.75 * rng.standard_normal(n))), 2, 120)
    return pd.DataFrame(
        {
            "age": age,
            "sex": sex,
            "education": np.array(_EDUCATION)[rank],
            "employment": employment,
            "years_employed": years_employed,
            "income": income,
            "savings": savings,
            "housing": _draw_housing(age, rng),
            "open_loans": rng.poisson(0.8, n),
            "missed_payments": rng.negative_binomial(0.5, 0.45, n),
            "purpose": rng.choice(
                ["car", "household", "education", "renovation"], n, p=[0.4, 0.25, 0.1, 0.25]
            ),
            "loan_amount": loan_amount.astype(int),
            "loan_duration": 6 * rng.randint(2, 17, n),
            "guarantor": rng.choice(["no", "yes"], n, p=[0.88, 0.12]),
        }
    )


def _draw_housing(age: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    draw = rng.random(len(age))
    owns = draw < np.clip(0.015 * (age - 20), 0.0, 0.6)
    with_parents = ~owns & (draw > 1 - np.clip(0.06 * (32 - age), 0.02, 0.7))
    return np.select([owns, with_parents], ["own", "with parents"], default="rent")


def _score(data: pd.DataFrame) -> np.ndarray:
    rate = 0.06 / 12
    annuity = data["loan_amount"] * rate / (1 - (1 + rate) ** -data["loan_duration"])
    burden = (annuity + 90 * data["open_loans"]) / data["income"]
    employment = {"permanent": 0.5, "fixed-term": 0.0, "self-employed": 0.1, "unemployed": -1.0}
    housing = {"own": 0.4, "rent": 0.0, "with parents": 0.15}
    rank = {level: position for position, level in enumerate(_EDUCATION)}
    score = (
        2.0 * np.tanh((0.25 - burden) / 0.1)
        + 0.7 * np.log10((data["savings"] + 100) / 2000)
        - 0.9 * np.sqrt(data["missed_payments"])
        + 0.5 * np.tanh(data["years_employed"] / 4)
        + data["employment"].map(employment)
        + data["housing"].map(housing)
        + 0.15 * data["education"].map(rank)
        + 0.9 * (data["guarantor"] == "yes")
    )
    return score.to_numpy(dtype=float)


def _action_set() -> ActionSet:
    work = ["permanent", "fixed-term", "self-employed"]
    return ActionSet(
        immutable=["age", "sex", "housing", "purpose", "missed_payments"],
        increasing=["income", "savings", "years_employed", "education"],
        decreasing=["loan_amount", "open_loans"],
        bounds={
            "savings": (0, 50_000),
            "loan_amount": (1_000, None),
            "loan_duration": (12, 96),
            "open_loans": (0, None),
        },
        relative_bounds={"income": (0, 1_000), "years_employed": (0, 2)},
        steps={
            "income": 50,
            "savings": 100,
            "loan_amount": 500,
            "loan_duration": 6,
            "open_loans": 1,
            "years_employed": 1,
        },
        ordinal={"education": _EDUCATION},
        transitions={
            "employment": {
                "unemployed": work,
                "fixed-term": ["permanent", "self-employed"],
                "self-employed": ["permanent"],
                "permanent": [],
            },
            "guarantor": {"no": ["yes"], "yes": []},
        },
        max_changes=4,
    )
