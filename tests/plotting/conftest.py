"""Figures without a screen, closed after each test; two models that disagree."""

from __future__ import annotations

import copy

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder, plotting


@pytest.fixture(autouse=True)
def figures():
    """Draw into memory, and leave no figure behind."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="session")
def people():
    """Return 160 people with an income, loans and an age."""
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "income": rng.normal(50.0, 20.0, 160),
            "loans": rng.randint(0, 6, 160),
            "age": rng.randint(20, 60, 160),
        }
    )


@pytest.fixture(scope="session")
def reference(people):
    """Return a linear model of the table."""
    score = people["income"] / 20 - people["loans"] + people["age"] / 40
    model = make_pipeline(TableEncoder(), LogisticRegression())
    return model.fit(people, np.where(score > score.median(), "yes", "no"))


@pytest.fixture(scope="session")
def deployed(reference):
    """Return a coarser copy that is a little stricter, which breaks some advice and not all."""
    model = copy.deepcopy(reference)
    head = model[-1]
    head.coef_ = head.coef_ * [[1.04, 0.93, 1.5]]
    return model


@pytest.fixture(scope="session")
def solver():
    """Return a solver under which the age stays as it is."""
    return RecourseSolver(ActionSet(immutable=["age"]), target="yes", random_state=0)


@pytest.fixture(scope="session")
def pair(reference, deployed, people, solver):
    """Return the results of both models."""
    return solver.compare(reference, deployed, people)


LONG = "a name of a group that nobody can say in one breath, with $5k and $9k"


@pytest.fixture(scope="session")
def displays():
    """Return one display of each kind, with awkward names."""
    rng = np.random.RandomState(0)
    values = rng.rand(90) < 0.2
    runs = pd.DataFrame(
        [
            {
                "method": method,
                "budget": bits,
                "overhead": bits,
                "validity_drop": level / bits + 0.01 * rng.rand(),
            }
            for method, level in (("LSQ-QAT", 0.6), ("_own", 0.4), (LONG, 0.2))
            for bits in (2, 4, 8)
            for _ in range(2)
        ]
    )
    once = runs.drop_duplicates("method")
    grid = np.add.outer(np.linspace(0, 1, 30), np.linspace(0, 1, 40))
    protocol = "method=exact, cost=l1 (std), margin=0; 812 refused rows of $Adult$, " * 2
    return {
        "budget": plotting.BudgetCurveDisplay.from_predictions(
            runs, "validity_drop", protocol=protocol
        ),
        "bars": plotting.MethodBarDisplay.from_predictions(
            runs, "validity_drop", condition="budget", protocol=protocol
        ),
        "dots": plotting.MethodBarDisplay.from_predictions(
            runs, "validity_drop", kind="dots", protocol=protocol
        ),
        "groups": plotting.GroupDisplay.from_predictions(
            {"LSQ-QAT": values, "CFQ": values[::-1]},
            np.repeat(["women", LONG, "few"], [50, 37, 3]),
            "validity_drop",
            protocol=protocol,
            min_group_size=5,
        ),
        "margins": plotting.MarginDisplay.from_predictions(
            {"reference": rng.rand(90), "CFQ": rng.normal(0.3, 0.4, 90)}, protocol=protocol
        ),
        "bits": plotting.BitAllocationDisplay.from_predictions(
            {"mixed": [4, 2, 8], "CFQ": [rng.choice([2, 3, 4], 40), [2, 3], [8]]},
            protocol=protocol,
        ),
        "cascade": plotting.CascadeDisplay.from_changes(
            pd.DataFrame(
                [
                    {"figure": f, "group": g, "value": v, "low": v - 0.1, "high": v + 0.1, "n": 9}
                    for f in ("Accuracy", LONG, "loss of $y$")
                    for g, v in (("women", -0.2), (LONG, 0.05), ("few", np.nan))
                ]
            ),
            protocol=protocol,
        ),
        "sensitivities": plotting.LayerSensitivityDisplay.from_predictions(
            {"at rows": [1, 2, 1.5], "at recourse points": [0.1, 4, 0]}, protocol=protocol
        ),
        "trade-off": plotting.CostRobustnessDisplay.from_predictions(
            once, cost="overhead", metric="validity_drop", protocol=protocol
        ),
        "shift": plotting.CostShiftDisplay.from_predictions(
            np.append(rng.rand(90), 0.5),
            np.append(rng.rand(90), np.nan),
            np.append(values, True),
            protocol=protocol,
        ),
        "boundary": plotting.BoundaryDisplay(
            x=np.linspace(0, 1, 40),
            y=np.linspace(0, 1, 30),
            grants_reference=grid > 1,
            grants_deployed=grid > 1.2,
            person=[0.2, 0.2],
            advice=[0.9, 0.2],
            advice_fails=True,
            advice_deployed=[0.9, 0.4],
            features=("income (EUR)", "loans"),
            protocol=protocol,
        ),
    }


@pytest.fixture(
    params=[
        "budget",
        "bars",
        "dots",
        "groups",
        "margins",
        "bits",
        "cascade",
        "sensitivities",
        "trade-off",
        "shift",
        "boundary",
    ]
)
def display(request, displays):
    """Return one display after the other."""
    return displays[request.param]
