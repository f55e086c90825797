"""Several processes, a cluster, streams and bad rows."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from contextlib import nullcontext
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import RecourseSolver, TableEncoder
from skcfq.audit import audit_recourse
from skcfq.datasets import make_credit
from skcfq.solvers import _batches, _chunk, _pace
from skcfq.solvers._worker import solve_part

pytestmark = pytest.mark.usefixtures("short_teachers")

CREDIT = make_credit(240, random_state=4)
LINEAR = make_pipeline(TableEncoder(), LogisticRegression(max_iter=1000))
LINEAR.fit(CREDIT.data, CREDIT.target)
OTHER = make_pipeline(TableEncoder(), LogisticRegression(C=0.01, max_iter=1000))
OTHER.fit(CREDIT.data, CREDIT.target)
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


def audited(X, **parameters):
    solver, rows = solver_for(method="exact", **parameters), X.reset_index(drop=True)
    return audit_recourse(LINEAR, OTHER, rows, solver=solver, background=CREDIT.data, batch_size=50)


def assert_same_audit(X, said, alone=None):
    before = len(said)
    alone, two = audited(X) if alone is None else alone, audited(X, n_jobs=2)
    assert len(said) > before and alone.people["advised"].any()
    pd.testing.assert_frame_equal(two.people, alone.people)
    assert two.to_json() == alone.to_json()


@pytest.fixture(scope="module")
def people():
    return CREDIT.data.head(80)


@pytest.mark.parametrize("method", ["exact", "black_box"])
def test_two_processes_give_what_one_gives(people, method, request):
    X = people.head(40)
    alone = solver_for(method=method, n_alternatives=2).solve(MODELS[method], X)
    said = request.getfixturevalue("shared")
    two = solver_for(method=method, n_alternatives=2, n_jobs=2).solve(MODELS[method], X)
    # The control that another process did some of the work.
    assert said
    if method == "exact":
        assert_same_audit(X, said)
    assert_same(two, alone)
    assert_same(two.alternatives[0], alone.alternatives[0])
    assert alone.denied.sum() > 4 and alone.reachable.any()


# The cluster's own threads and sockets, when it is closed.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_local_cluster_of_dask(people, request):
    distributed = pytest.importorskip("distributed")
    alone = solver_for(method="exact").solve(LINEAR, people)
    audit = audited(people)
    said = request.getfixturevalue("shared")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client, parallel_config(backend="dask"):
        result = solver_for(method="exact", n_jobs=2).solve(LINEAR, people)
        # What is the same for all people was sent once, and is held no longer.
        sent, held = client.run_on_scheduler(seen_and_held)
        assert_same_audit(people, said, audit)
    assert_same(result, alone)
    assert len(said) > 2 and len(sent) == 1 and not held


def seen_and_held(dask_scheduler):
    """Return the names of data that was sent to a cluster, and of what it still knows."""
    seen = {str(entry[0]) for entry in dask_scheduler.transition_log}
    return [key for key in seen if key.startswith("bytes-")], list(dask_scheduler.tasks)


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_of_joblib(people, backend, request):
    alone = solver_for(method="exact").solve(LINEAR, people)
    said = request.getfixturevalue("shared")
    with parallel_config(backend=backend):
        two = solver_for(method="exact", n_jobs=2).solve(LINEAR, people)
    assert_same(two, alone)
    assert not said


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


class Inside:
    """Workers in this process, which answer at once."""

    def __init__(self, n, told):
        self.n, self.told, self.batches, self.key = n, told, [], uuid4().hex

    def submit(self, rows, part):
        self.batches.append(rows)
        future = Future()
        future.set_result(solve_part(self.key, self.told, rows, part))
        return future

    def close(self, *, stop):
        assert not stop


def test_work_is_sent_only_where_it_is_worth_it(people, monkeypatch):
    """Little work is done here and in the batches of one job, whatever was seen of its pace."""
    solver = solver_for(method="exact").set_params(batch_size=None)
    alone, inside = solver.solve(LINEAR, people), []
    monkeypatch.setattr(
        _batches, "Processes", lambda n, told: inside.append(Inside(n, told)) or inside[-1]
    )
    monkeypatch.setattr(_pace, "_OWN", 0.0)
    for worth in (60.0, 1e-9):
        monkeypatch.setattr(_batches, "_WORTH_A_START", worth)
        monkeypatch.setattr(_batches, "_WORTH_USING", worth)
        for batch_size in (None, 8):
            two = solver.set_params(n_jobs=2, batch_size=batch_size)
            for _ in range(2):
                assert_same(two.solve(LINEAR, people), alone)
        assert bool(inside) == (worth < 1)


@pytest.mark.parametrize("started", [0, 1], ids=["cold", "warm"])
@pytest.mark.parametrize("batch_size", [None, 8], ids=str)
def test_everybody_is_solved_once_and_the_last_batches_are_small(
    people, batch_size, started, monkeypatch
):
    solver = solver_for(method="exact", batch_size=batch_size)
    alone, inside = solver.solve(LINEAR, people), []
    n_denied = int(alone.denied.sum())
    slow = SimpleNamespace(seconds=100.0, timed=nullcontext)
    monkeypatch.setattr(_batches, "Pace", lambda *of: slow)
    monkeypatch.setattr(_batches, "_PART", 1024)
    monkeypatch.setattr(_batches, "started_processes", lambda: started)
    monkeypatch.setattr(
        _batches, "Processes", lambda n, told: inside.append(Inside(n, told)) or inside[-1]
    )
    assert_same(solver.set_params(n_jobs=2).solve(LINEAR, people), alone)
    (workers,) = inside
    rows, sizes = np.concatenate(workers.batches), [len(batch) for batch in workers.batches]
    assert workers.n == 1 and len(np.unique(rows)) == len(rows) == n_denied
    if batch_size is None:
        # What is sent before anybody has answered is little.
        first = 1 + (not started)
        assert sizes[0] == (-(-n_denied // 4) if started else 4)
        assert sorted(sizes[first - 1 :], reverse=True)[-1] <= 4 < max(sizes)
    else:
        assert set(sizes[:-1]) == {8}


def test_small_batches_go_together_and_stay_small(people, monkeypatch):
    solver = solver_for(method="exact", batch_size=2)
    alone, inside, solved = solver.solve(LINEAR, people), [], []
    fast = SimpleNamespace(seconds=0.02, timed=nullcontext)
    monkeypatch.setattr(_batches, "Pace", lambda *of: fast)
    monkeypatch.setattr(_batches, "_WORTH_A_START", 1e-9)
    monkeypatch.setattr(_batches, "_WORTH_SENDING", 0.09)
    monkeypatch.setattr(
        _batches, "Processes", lambda n, told: inside.append(Inside(n, told)) or inside[-1]
    )
    solve = _chunk._solve_group

    def noted(method, effort, task, *others):
        solved.append(len(task))
        return solve(method, effort, task, *others)

    monkeypatch.setattr(_chunk, "_solve_group", noted)
    assert_same(solver.set_params(n_jobs=2).solve(LINEAR, people), alone)
    sizes = [len(rows) for rows in inside[0].batches]
    assert sizes[0] == 4 and sizes == sorted(sizes, reverse=True)
    assert max(solved) == 2 and sum(solved) == alone.denied.sum()


def test_where_others_work_no_more_processes_are_started(people, monkeypatch):
    solver = solver_for(method="exact", n_jobs=2)
    monkeypatch.setattr(_pace, "_OWN", 2.0)
    monkeypatch.setattr(_batches, "_WORTH_A_START", 1e-9)
    monkeypatch.setattr(_batches, "Processes", None)
    alone = solver_for(method="exact").solve(LINEAR, people)
    assert_same(solver.solve(LINEAR, people), alone)


class Silent(Inside):
    """Workers that never start."""

    def submit(self, rows, part):
        self.batches.append(rows)
        return Future()


def test_nobody_is_waited_for_who_has_not_started(people, monkeypatch):
    solver = solver_for(method="exact").set_params(batch_size=None)
    alone, silent = solver.solve(LINEAR, people), Silent(3, None)
    slow = SimpleNamespace(seconds=100.0, timed=nullcontext)
    monkeypatch.setattr(_batches, "Pace", lambda *of: slow)
    monkeypatch.setattr(_batches, "_PART", 1024)
    monkeypatch.setattr(_batches, "started_processes", lambda: 0)
    monkeypatch.setattr(_batches, "Processes", lambda n, told: silent)
    assert_same(solver.set_params(n_jobs=4).solve(LINEAR, people), alone)
    assert [len(rows) for rows in silent.batches] == [4, 4, 4]
