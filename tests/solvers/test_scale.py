"""Several processes, a cluster, streams and bad rows."""

from __future__ import annotations

import weakref

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder
from skcfq.datasets import make_credit
from skcfq.solvers import _batches

pytestmark = pytest.mark.usefixtures("short_teachers")

CREDIT = make_credit(240, random_state=4)
LINEAR = make_pipeline(TableEncoder(), LogisticRegression(max_iter=1000))
LINEAR.fit(CREDIT.data, CREDIT.target)
FOREST = make_pipeline(TableEncoder(), RandomForestClassifier(5, random_state=0))
FOREST.fit(CREDIT.data, CREDIT.target)
MODELS = {"exact": LINEAR, "milp": LINEAR, "gradient": LINEAR, "black_box": FOREST}


def solver_for(**parameters) -> RecourseSolver:
    given = {"target": CREDIT.favorable, "random_state": 0, "batch_size": 8}
    return RecourseSolver(CREDIT.action_set, **given | parameters)


def assert_same(result, other) -> None:
    np.testing.assert_array_equal(result.status, other.status)
    np.testing.assert_array_equal(result.cost, other.cost)
    np.testing.assert_array_equal(result.changed, other.changed)
    pd.testing.assert_frame_equal(result.points, other.points)


@pytest.fixture(scope="module")
def people():
    return CREDIT.data.head(80)


@pytest.mark.parametrize("method", ["exact", "black_box"])
def test_two_processes_give_what_one_gives(people, method):
    X = people.head(16) if method == "black_box" else people.head(40)
    alone = solver_for(method=method, n_alternatives=2).solve(MODELS[method], X)
    two = solver_for(method=method, n_alternatives=2, n_jobs=2).solve(MODELS[method], X)
    assert_same(two, alone)
    assert_same(two.alternatives[0], alone.alternatives[0])
    assert alone.denied.sum() > 4 and alone.reachable.any()


# The cluster's own threads and sockets, when it is closed.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_local_cluster_of_dask(people):
    distributed = pytest.importorskip("distributed")
    alone = solver_for(method="exact").solve(LINEAR, people)
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client, parallel_config(backend="dask"):
        result = solver_for(method="exact", n_jobs=2).solve(LINEAR, people)
        # The control that the cluster did the work.
        steps = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.transition_log))
    assert_same(result, alone)
    assert steps > 0


def test_chunks_are_what_the_table_is(people):
    whole = solver_for(method="exact", batch_size=64).solve(LINEAR, people)
    chunks = [people.iloc[start : start + 30] for start in range(0, 80, 30)]
    parts = list(solver_for(method="exact", batch_size=64).solve_chunks(LINEAR, iter(chunks)))
    assert [len(part) for part in parts] == [30, 30, 20]
    np.testing.assert_array_equal(np.concatenate([part.status for part in parts]), whole.status)
    np.testing.assert_allclose(np.concatenate([part.cost for part in parts]), whole.cost)
    pd.testing.assert_frame_equal(pd.concat([part.points for part in parts]), whole.points)


def test_a_stream_is_read_as_it_is_used_and_forgotten_afterwards():
    read, most, alive = 0, 0, weakref.WeakSet()

    def source():
        nonlocal read
        for start in range(0, 240, 40):
            read += 1
            yield CREDIT.data.iloc[start : start + 40]

    stream = solver_for(method="exact", batch_size=64).solve_chunks(LINEAR, source())
    assert read == 0
    for seen, result in enumerate(stream, start=1):
        assert read == seen and len(result) == 40
        alive.add(result)
        most = max(most, len(alive))
    assert read == 6
    # The one in hand, and the one before it until the name is bound again.
    assert most <= 2


def odd_rows(X: pd.DataFrame, names: list, *, extreme: bool) -> pd.DataFrame:
    odd = X.astype({"employment": object, "income": float})
    odd.loc[names[0], "employment"] = "astronaut"
    odd.loc[names[1], "savings"] = np.nan
    odd.loc[names[2], "loan_duration"] = -600
    odd.loc[names[3], "income"] = -1e12 if extreme else -4321.5
    return odd


@pytest.mark.parametrize(
    ("method", "extreme"),
    [
        ("exact", False),
        ("milp", False),
        ("gradient", False),
        ("black_box", False),
        ("exact", True),
    ],
)
def test_one_odd_row_never_fails_a_batch(people, method, extreme):
    X = people.head(24 if method == "exact" else 16)
    model = MODELS[method]
    plain = solver_for(method=method).solve(model, X)
    rows = np.flatnonzero(plain.denied)[:4]
    names = X.index[rows].tolist()
    result = solver_for(method=method).solve(model, odd_rows(X, names, extreme=extreme))
    others = np.setdiff1d(np.arange(len(X)), rows)
    np.testing.assert_array_equal(result.status[others], plain.status[others])
    if method in ("exact", "milp"):
        np.testing.assert_allclose(result.cost[others], plain.cost[others], rtol=1e-6)
    assert (model.predict(result.points)[result.valid] == CREDIT.favorable).all()
    held = result.points.loc[names[0]]
    assert result.valid[rows[0]] or held["employment"] == "astronaut"


def test_a_table_of_nobody_and_of_one(people):
    with pytest.raises(ValueError, match=r"0 (sample|row)|empty"):
        solver_for().solve(LINEAR, people.head(0))
    denied = people[LINEAR.predict(people) != CREDIT.favorable]
    assert len(solver_for(n_jobs=2).solve(LINEAR, denied.head(1))) == 1


def test_work_is_sent_only_where_it_is_worth_it(people, monkeypatch):
    """Answers are the same; little work stays here, and all but what told so is sent."""
    sent = []

    def noted(**options):
        assert options["n_jobs"] == 2
        return lambda jobs: (sent.append(1) or work(*given) for work, given, _ in jobs)

    monkeypatch.setattr(_batches, "Parallel", noted)
    monkeypatch.setattr(_batches, "_FIRST", 2)
    monkeypatch.setattr(_batches, "_FASTER", 2)
    solver = solver_for(method="exact").set_params(batch_size=None)
    alone = solver.solve(LINEAR, people)
    two = solver.set_params(n_jobs=2)
    assert_same(two.solve(LINEAR, people), alone)
    assert not sent
    monkeypatch.setattr(_batches, "_WORTH", 0.0)
    monkeypatch.setattr(_batches, "_TELLING", 1e-9)
    assert_same(two.solve(LINEAR, people), alone)
    # Some are solved here, and the others shared out so that a slow one holds nobody up.
    assert 2 < len(sent) <= 2 * _batches._EACH
