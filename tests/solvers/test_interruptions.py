"""Ctrl-C and workers that die: every person who was finished is kept, nothing is made up."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skcfq import CounterfactualSampler, RecourseSolver, RecourseTransformer, TableEncoder
from skcfq.datasets import make_credit
from skcfq.exceptions import InterruptedWarning, WorkerDiedError
from skcfq.metrics import RecourseScorer
from skcfq.models import as_predictor
from skcfq.solvers import _batches, _collection, _people
from skcfq.solvers._worker import solve_part
from skcfq.solvers.exact import _branch_and_bound, _convex
from skcfq.utils import HeldInterrupts, interrupts_heard

pytestmark = pytest.mark.usefixtures("short_teachers")

CREDIT = make_credit(240, random_state=4)
MODEL = make_pipeline(TableEncoder(), LogisticRegression(max_iter=1000))
MODEL.fit(CREDIT.data, CREDIT.target)
# Without its last column's weight: another model of the same table.
OTHER = make_pipeline(TableEncoder(), LogisticRegression(C=0.02, max_iter=1000))
OTHER.fit(CREDIT.data, CREDIT.target)
PEOPLE = CREDIT.data.head(40)


def solver_for(**parameters) -> RecourseSolver:
    given = {"target": CREDIT.favorable, "random_state": 0}
    return RecourseSolver(CREDIT.action_set, **given | parameters)


def press(monkeypatch, place, name, at):
    """Press Ctrl-C in the call with number `at` of some function."""
    original, calls = getattr(place, name), []

    def pressed(*args, **kwargs):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(place, name, pressed)
    return calls


def interrupted(solve, *args, **kwargs):
    with pytest.warns(InterruptedWarning, match=r"Interrupted: \d+ of \d+"):
        return solve(*args, **kwargs)


def assert_kept(part, whole):
    """Who was finished has the answer of the whole; nobody else has any."""
    left = part.status == "time_limit"
    done = ~left
    assert part.interrupted and not whole.interrupted
    np.testing.assert_array_equal(part.status[done], whole.status[done])
    np.testing.assert_array_equal(part.cost[done], whole.cost[done])
    np.testing.assert_array_equal(part.lower_bound[done], whole.lower_bound[done])
    pd.testing.assert_frame_equal(part.points[done], whole.points[done])
    pd.testing.assert_frame_equal(part.points[left], part.X[left])
    assert np.isnan(part.cost[left]).all() and not part.changed[left].any()
    assert not part.lower_bound[left].any() and not part.valid[left].any()
    assert len(part.to_frame()) >= len(part)
    return int((done & part.denied).sum()), int(left.sum())


@pytest.fixture(scope="module")
def whole():
    methods = ("milp", "exact", "gradient")
    return {method: solver_for(method=method).solve(MODEL, PEOPLE) for method in methods}


def test_programs_keep_every_person_of_a_batch(whole, monkeypatch):
    calls = press(monkeypatch, _convex._Program, "solve", 5)
    part = interrupted(solver_for(method="milp").solve, MODEL, PEOPLE)
    assert len(calls) == 5
    done, left = assert_kept(part, whole["milp"])
    assert done == 4 and left > 4


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_branch_and_bound_proves_nothing_about_open_nodes(share, whole, monkeypatch):
    calls = press(monkeypatch, _branch_and_bound, "dual_bound", 0)
    solver_for(method="exact").solve(MODEL, PEOPLE)
    press(monkeypatch, _branch_and_bound, "dual_bound", 1 + int(share * len(calls)))
    part, full = interrupted(solver_for(method="exact").solve, MODEL, PEOPLE), whole["exact"]
    proved = np.isin(part.status, ("optimal", "infeasible"))
    np.testing.assert_array_equal(part.status[proved], full.status[proved])
    np.testing.assert_allclose(part.cost[proved], full.cost[proved], rtol=1e-8)
    assert proved.any() == (share > 0)
    assert not proved[part.denied].all()
    # What was found on the way is valid, and its bound is none too high.
    assert (part.cost[part.reachable] >= full.cost[part.reachable] * (1 - 1e-9)).all()
    known = part.denied & full.reachable
    assert (part.lower_bound[known] <= full.cost[known] * (1 + 1e-9)).all()


def test_points_that_were_confirmed_stay_while_others_are_asked_again(whole, monkeypatch):
    original, calls = _people.verify, []

    def verify(task, problem, states):
        calls.append(len(states))
        if len(calls) >= 2:
            raise KeyboardInterrupt
        checked, shortfall = original(task, problem, states)
        checked.cost[::2], checked.status[::2] = np.nan, "not_found"
        return checked, shortfall

    monkeypatch.setattr(_people, "verify", verify)
    part = interrupted(solver_for(method="gradient").solve, MODEL, PEOPLE)
    done, left = assert_kept(part, whole["gradient"])
    assert done > 4 and left == calls[1] > 4


@pytest.mark.parametrize("at", [2, 3])
def test_alternatives(at, monkeypatch):
    solver = solver_for(method="exact", n_alternatives=3)
    full = solver.solve(MODEL, PEOPLE)
    press(monkeypatch, _people, "linear_problem", at)
    part = interrupted(solver.solve, MODEL, PEOPLE)
    # Everybody's cheapest was known by then.
    np.testing.assert_array_equal(part.status, full.status)
    np.testing.assert_array_equal(part.cost, full.cost)
    others = zip(part.alternatives, full.alternatives, strict=True)
    for rank, (mine, theirs) in enumerate(others, start=2):
        assert mine.interrupted
        left = mine.status == "time_limit"
        assert left.any() == (rank >= at)
        np.testing.assert_array_equal(mine.status[~left], theirs.status[~left])


class DownError(Exception):
    """What a service says that is gone."""


class Service:
    """A model that counts the questions, and is interrupted by the keyboard at one of them."""

    __name__ = "service"
    error = KeyboardInterrupt

    def __init__(self):
        self.asked, self.last = 0, np.inf

    def __call__(self, rows):
        self.asked += 1
        if self.asked > self.last:
            raise self.error
        score = rows["income"] / 2000 - rows["loan_amount"] / 5000 + (rows["guarantor"] == "yes")
        return np.column_stack([np.zeros(len(rows)), score - 1])


@pytest.fixture
def service():
    """The model, its predictor, a solver, and how often the whole asks."""
    service = Service()
    model = as_predictor(service, classes=["denied", "granted"], background=CREDIT.data)
    rules = clone(CREDIT.action_set).set_params(max_changes=1)
    solver = solver_for(method="black_box", batch_size=4, beam_width=1, n_restarts=0)
    solver.set_params(action_set=rules)
    service.asked = 0
    full = solver.solve(model, PEOPLE.head(30))
    assert full.denied.sum() > 8 and full.reachable.any()
    given = SimpleNamespace(service=service, model=model, solver=solver, full=full)
    given.total, service.asked = service.asked, 0
    return given


def test_searches_keep_every_batch(service):
    counts = []
    for share in (0.02, 0.5):
        service.service.asked, service.service.last = 0, int(share * service.total)
        part = interrupted(service.solver.solve, service.model, PEOPLE.head(30))
        done, left = assert_kept(part, service.full)
        assert left > 0
        counts.append(done)
    assert counts[0] == 0 < counts[1]


def test_a_stream_ends_with_the_chunk_that_was_interrupted(service):
    chunks, read = [PEOPLE.iloc[first : first + 10] for first in (0, 10, 20, 30)], []

    def source():
        for number, chunk in enumerate(chunks):
            read.append(number)
            yield chunk

    stream = service.solver.solve_chunks(service.model, source())
    parts = [next(stream)]
    service.service.last = service.service.asked + 12
    with pytest.warns(InterruptedWarning):
        parts.extend(stream)
    assert read == [0, 1] and len(parts) == 2
    assert [part.interrupted for part in parts] == [False, True]
    assert len(parts[1]) == 10 and (parts[1].status == "time_limit").any()


def test_between_two_chunks_there_is_nothing_to_hand_over():
    def source():
        yield PEOPLE.head(10)
        raise KeyboardInterrupt

    stream = solver_for(method="exact").solve_chunks(MODEL, source())
    assert not next(stream).interrupted
    with pytest.raises(KeyboardInterrupt):
        next(stream)


@pytest.mark.parametrize("at", [1, 2])
def test_a_comparison_hands_over_both(at, monkeypatch):
    solver = solver_for(method="exact", batch_size=4)
    mine, theirs = solver.compare(MODEL, OTHER, PEOPLE)
    n_batches = -(-int(mine.denied.sum()) // 4)
    press(monkeypatch, _batches, "solve_chunk", 2 if at == 1 else n_batches + 2)
    first, second = interrupted(solver.compare, MODEL, OTHER, PEOPLE)
    if at == 1:
        assert_kept(first, mine)
        assert (second.status[second.denied] == "time_limit").all() and second.interrupted
    else:
        assert not first.interrupted and first.status.tolist() == mine.status.tolist()
        done, left = assert_kept(second, theirs)
        assert done == 4 and left > 0


def test_ctrl_c_while_actions_are_exchanged(monkeypatch):
    from skcfq.solvers import _comparison

    press(monkeypatch, _comparison, "with_cheaper_actions", 2)
    results = interrupted(solver_for(method="exact").compare, MODEL, OTHER, PEOPLE)
    for result in results:
        assert result.interrupted and not (result.status == "time_limit").any()


def test_a_batch_is_written_whole(monkeypatch):
    """A real signal, in the middle of writing what is known about a batch."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    original, calls = _collection.Collection.write, []

    def write(self, rows, part):
        calls.append(1)
        signal.raise_signal(signal.SIGINT)
        return original(self, rows, part)

    solver = solver_for(method="milp", batch_size=3)
    whole = solver.solve(MODEL, PEOPLE)
    monkeypatch.setattr(_collection.Collection, "write", write)
    try:
        part = interrupted(solver.solve, MODEL, PEOPLE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) == 1
    done, _ = assert_kept(part, whole)
    assert done == 3


def test_held_interrupts_leave_other_handlers_and_threads_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with HeldInterrupts() as held:
            signal.raise_signal(signal.SIGINT)
            assert not seen
        assert seen == [signal.SIGINT] and not held.pressed
        with HeldInterrupts():
            thread = threading.Thread(target=lambda: seen.append(HeldInterrupts().__enter__()))
            thread.start()
            thread.join()
        assert signal.getsignal(signal.SIGINT).__name__ == "<lambda>"
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with HeldInterrupts() as held:
            signal.raise_signal(signal.SIGINT)
        assert not held.pressed and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_press_does_not_wait():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    reached = []

    def work():
        with HeldInterrupts() as held:
            signal.raise_signal(signal.SIGINT)
            reached.append(held.came)
            signal.raise_signal(signal.SIGINT)
            reached.append("never")

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == [True]


def test_what_is_held_is_heard_where_it_may_be():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    seen = []
    try:
        with HeldInterrupts() as outer, HeldInterrupts() as inner:
            for _ in range(2):
                try:
                    with interrupts_heard():
                        seen.append("in")
                        signal.raise_signal(signal.SIGINT)
                except KeyboardInterrupt:
                    seen.append("heard")
            assert not inner.came and not outer.came
            signal.raise_signal(signal.SIGINT)
            try:
                with interrupts_heard():
                    seen.append("never")
            except KeyboardInterrupt:
                seen.append("at once")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["in", "heard", "in", "heard", "at once"]
    assert outer.pressed and not inner.pressed


def scoring(model):
    scorer = RecourseScorer("validity_drop", reference=OTHER, solver=solver_for(method="exact"))
    grid = {"logisticregression__C": [0.5, 1.0]}
    search = GridSearchCV(model, grid, cv=2, scoring=scorer)
    return search.fit(CREDIT.data, CREDIT.target)


@pytest.mark.parametrize(
    "work",
    [
        scoring,
        lambda model: (
            RecourseTransformer(model, action_set=CREDIT.action_set, target=CREDIT.favorable)
            .fit(CREDIT.data)
            .transform(PEOPLE)
        ),
        lambda model: CounterfactualSampler(
            model, action_set=CREDIT.action_set, target=CREDIT.favorable
        ).fit_resample(CREDIT.data, CREDIT.target),
    ],
    ids=["search", "transformer", "sampler"],
)
def test_a_part_of_the_people_is_no_answer(work, monkeypatch):
    press(monkeypatch, _batches, "solve_chunk", 1)
    with pytest.raises(KeyboardInterrupt):
        work(MODEL)


class Broken:
    """Workers that die after two batches."""

    def __init__(self, error, solve=solve_part):
        self.error, self.solve, self.n, self.left, self.stopped = error, solve, 1, 2, []

    def __call__(self, n, told):
        assert n == self.n
        self.told = told
        return self

    def submit(self, rows, part):
        future = Future()
        if self.left == 0:
            future.set_exception(self.error)
        else:
            self.left -= 1
            future.set_result(self.solve("broken", self.told, rows, part))
        return future

    def close(self, *, stop):
        self.stopped.append(stop)


@pytest.fixture
def share(monkeypatch):
    """Share any work out, among some workers."""

    def share(workers):
        slow = SimpleNamespace(seconds=100.0, timed=nullcontext)
        monkeypatch.setattr(_batches, "Pace", lambda *of: slow)
        monkeypatch.setattr(_batches, "Processes", workers)

    return share


@pytest.mark.parametrize(
    "error",
    [
        TerminatedWorkerError("a worker was killed"),
        BrokenProcessPool("broken"),
        CancelledError("lost by a cluster"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_pool_that_breaks_costs_no_finished_batch(error, share):
    solver = solver_for(method="milp", batch_size=4, n_jobs=2)
    alone = clone(solver).set_params(n_jobs=1)
    full, pair = alone.solve(MODEL, PEOPLE), alone.compare(MODEL, MODEL, PEOPLE)
    workers = Broken(error)
    share(workers)
    # Two batches of the workers, and the one that was solved here meanwhile.
    with pytest.raises(WorkerDiedError, match=r"4 of 16 were not.*n_jobs.*batch_size") as caught:
        solver.solve(MODEL, PEOPLE)
    assert assert_kept(*caught.value.results, full) == (12, 4)
    assert caught.value.__cause__ is error and workers.stopped == [True]
    # Four batches of the first model, then two of the second.
    workers.left = 6
    with pytest.raises(WorkerDiedError) as caught:
        solver.compare(MODEL, MODEL, PEOPLE)
    first, second = caught.value.results
    assert first.status.tolist() == pair[0].status.tolist() and not first.interrupted
    assert assert_kept(second, pair[1]) == (12, 4)


def test_an_error_of_a_worker_is_its_own_and_costs_no_finished_batch(share):
    solver = solver_for(method="milp", batch_size=4, n_jobs=2)
    full = clone(solver).set_params(n_jobs=1).solve(MODEL, PEOPLE)
    error = OSError("the service is down")
    share(Broken(error))
    with pytest.raises(OSError, match="service") as caught:
        solver.solve(MODEL, PEOPLE)
    assert caught.value is error
    assert assert_kept(*caught.value.results, full) == (12, 4)


def test_ctrl_c_keeps_what_workers_have_finished(share, monkeypatch):
    """Also what was finished while this process was busy with a batch of its own."""
    solver = solver_for(method="milp", batch_size=4, n_jobs=2)
    full = clone(solver).set_params(n_jobs=1).solve(MODEL, PEOPLE)
    share(Broken(OSError("ended")))
    # Workers have their own name for it.
    press(monkeypatch, _batches, "solve_chunk", 1)
    part = interrupted(solver.solve, MODEL, PEOPLE)
    assert assert_kept(part, full) == (8, 8)


def test_what_a_model_raises_costs_no_finished_batch(service):
    counts = []
    service.service.error = DownError
    for share in (0.0, 0.5):
        service.service.asked, service.service.last = 0, int(share * service.total)
        with pytest.raises(DownError) as caught:
            service.solver.solve(service.model, PEOPLE.head(30))
        results = getattr(caught.value, "results", ())
        counts.append(assert_kept(*results, service.full)[0] if results else 0)
        assert bool(results) == any(
            "`results`" in n for n in getattr(caught.value, "__notes__", [])
        )
    assert counts[0] == 0 < counts[1]


def test_what_a_model_raises_in_a_comparison_costs_nothing_that_is_finished(service):
    # One function is both models, and these few people are two batches of each.
    rows = PEOPLE.head(30)[service.full.denied].head(5)
    pair = service.solver.compare(service.model, service.model, rows)
    total, service.service.error = service.service.asked, DownError
    for share, n_results in ((0.46, 1), (0.95, 2)):
        service.service.asked, service.service.last = 0, int(share * total)
        with pytest.raises(DownError) as caught:
            service.solver.compare(service.model, service.model, rows)
        results = caught.value.results
        assert len(results) == n_results and len(caught.value.__notes__) == 1
        assert assert_kept(results[-1], pair[n_results - 1]) == (4, 1)


class Fatal:
    """A model whose process dies when it is asked about some person."""

    __name__ = "fatal"

    def __init__(self, income):
        self.income, self.parent = income, os.getpid()

    def __call__(self, rows):
        if os.getpid() != self.parent and (rows["income"] == self.income).any():
            os.kill(os.getpid(), signal.SIGKILL)
        score = rows["income"] / 2000 - rows["loan_amount"] / 5000
        return np.column_stack([np.zeros(len(rows)), score - 1])


@pytest.fixture
def fatal():
    """Twenty batches for a model that kills the worker in which it meets a late person."""
    X = PEOPLE.assign(income=PEOPLE["income"] + np.arange(len(PEOPLE)) / 1024)
    fatal = Fatal(np.inf)
    model = as_predictor(fatal, classes=["denied", "granted"], background=CREDIT.data)
    rules = clone(CREDIT.action_set).set_params(immutable=["income"])
    solver = solver_for(method="black_box", batch_size=2, beam_width=1, n_restarts=0, n_jobs=2)
    solver.set_params(action_set=rules)
    whole = clone(solver).set_params(n_jobs=1).solve(model, X)
    fatal.income = X["income"].iloc[np.flatnonzero(whole.denied)[-1]]
    return SimpleNamespace(model=model, function=fatal, X=X, solver=solver, whole=whole)


def assert_little_is_lost(fatal):
    with pytest.raises(WorkerDiedError, match=r"\d+ of \d+ were not.*n_jobs.*batch_size") as caught:
        fatal.solver.solve(fatal.model, fatal.X)
    (part,) = caught.value.results
    done, left = assert_kept(part, fatal.whole)
    assert done > 0 and left > 0
    # The next call has workers again.
    fatal.function.income = np.inf
    again = fatal.solver.solve(fatal.model, fatal.X)
    assert again.status.tolist() == fatal.whole.status.tolist()


@pytest.mark.slow  # workers take long to start
@pytest.mark.usefixtures("shared_until_death")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_worker_that_dies_costs_no_finished_batch(fatal):
    assert_little_is_lost(fatal)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_until_death")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.filterwarnings("ignore")  # Dask's own, about processes and sockets
def test_a_worker_of_dask_that_dies_costs_no_finished_batch(fatal):
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("dask.distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        assert_little_is_lost(fatal)
