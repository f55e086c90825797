"""What a model file tells of the training rows, and what can be done with it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import PowerTransformer

import skcfq
from skcfq import ActionSet, QATClassifier, RecourseSolver
from skcfq.deploy import read_header, save
from skcfq.exceptions import BackgroundRequiredError, SpaceMismatchError
from skcfq.metrics import RecourseScorer, validity_drop

pytestmark = pytest.mark.usefixtures("short_teachers")

LEVELS = ("none", "bounds", "full")
# Read by Python, to the last bit.
SCORES = ("score_1", "score_2", "score_3", "score_4")
MOST_BYTES = {"none": 40, "bounds": 100}


@pytest.fixture(scope="module")
def paths(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    for level in LEVELS:
        models[4].export(folder / level, statistics=level)
    return {level: folder / level for level in LEVELS}


def small(**more):
    return QATClassifier(4, hidden_layer_sizes=(4,), max_iter=2, random_state=0, **more)


@pytest.mark.parametrize("level", LEVELS)
def test_predictions_are_the_same(level, models, paths, many_rows):
    loaded = skcfq.load(paths[level])
    expected = models[4].decision_function(many_rows)
    np.testing.assert_array_equal(loaded.decision_function(many_rows), expected)
    assert loaded.feature_space_.fingerprint == models[4].feature_space_.fingerprint
    assert loaded.feature_space_.statistics == level


def test_what_each_level_tells(models, paths, credit):
    full = models[4].feature_space_
    for level in LEVELS:
        for block, own in zip(
            skcfq.load(paths[level]).feature_space_.blocks, full.blocks, strict=True
        ):
            told = block.statistics.to_dict()
            flags = {name for name in ("is_whole", "is_binary") if getattr(own.statistics, name)}
            if level == "none":
                assert told.keys() == {"n", "missing"} | flags and told["n"] == 0
            elif level == "bounds" and block.kind == "table":
                assert told == own.statistics.to_dict()
            elif level == "bounds":
                range_ = {"n", "missing", "minimum", "maximum", "encoded_std"}
                assert told.keys() - {"mean"} == range_ | flags
                assert told == {name: own.statistics.to_dict()[name] for name in told}
            else:
                assert told == own.statistics.to_dict()


def test_a_file_tells_bounds_unless_asked_for_more_or_less(models, paths, tmp_path):
    models[4].export(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == paths["bounds"].read_bytes()


def test_values_of_rows_in_the_file(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.lognormal(size=(201, 2)), columns=["a", "b"])
    model = small().fit(X, X["a"] > 1)
    texts = {}
    for level in LEVELS:
        model.export(tmp_path / level, statistics=level)
        texts[level] = json.dumps(read_header(tmp_path / level))
    ends, medians = X.agg(["min", "max"]).to_numpy().ravel(), X.median().to_numpy()
    found = {
        level: {value for value in X.to_numpy().ravel().tolist() if repr(value) in text}
        for level, text in texts.items()
    }
    # The median of a column fills its gaps, so predictions need it.
    assert found["none"] == {*medians.tolist()}
    assert found["bounds"] == {*medians.tolist(), *ends.tolist()}
    assert len(found["full"]) > 190


@pytest.mark.parametrize("n_columns", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_bytes_a_column(n_columns, tmp_path):
    X = pd.DataFrame(
        np.random.default_rng(0).lognormal(size=(60, n_columns)),
        columns=[f"measurement {i}" for i in range(n_columns)],
    )
    X.iloc[0, ::2] = np.nan
    model = small().fit(X, X.iloc[:, 1] > 1)
    for level, most in MOST_BYTES.items():
        sizes = model.export(tmp_path / "m", statistics=level)
        assert sizes["header"] <= most * n_columns
        loaded = skcfq.load(tmp_path / "m")
        np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))


def test_default_advice_needs_the_default_file_alone(models, paths, credit):
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    X = credit.data.iloc[:12]
    expected = solver.solve(models[4], X)
    for level in ("bounds", "full"):
        result = solver.solve(skcfq.load(paths[level]), X)
        pd.testing.assert_frame_equal(result.points, expected.points)
        np.testing.assert_array_equal(result.cost, expected.cost)
        assert result.space_fingerprint == expected.space_fingerprint
    for level in LEVELS:
        result = solver.solve(skcfq.load(paths[level]), X, background=credit.data)
        pd.testing.assert_frame_equal(result.points, expected.points)


@pytest.mark.parametrize("level", LEVELS)
def test_a_file_can_be_a_variant(level, models, paths, credit):
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    X, given = credit.data.iloc[:12], {"background": credit.data}
    result = solver.solve(models[4], X, variants=[skcfq.load(paths[level])], **given)
    expected = solver.solve(models[4], X, variants=[models[4]], **given)
    pd.testing.assert_frame_equal(result.points, expected.points)


@pytest.mark.parametrize("level", LEVELS)
def test_comparisons_need_no_statistics_of_the_file(level, models, paths, credit):
    loaded, X = skcfq.load(paths[level]), credit.data.iloc[:5]
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    expected = solver.compare(models[4].teacher_, models[4], X)
    for background in (None, credit.data):
        first, second = solver.compare(models[4].teacher_, loaded, X, background=background)
        np.testing.assert_array_equal(second.cost, expected[1].cost)
        assert validity_drop(models[4].teacher_, loaded, first) == validity_drop(
            models[4].teacher_, models[4], expected[0]
        )
    scorer = RecourseScorer("faithfulness", reference=models[4].teacher_, max_people=10)
    assert scorer(loaded, X) == scorer(models[4], X)


@pytest.mark.filterwarnings("ignore::skcfq.exceptions.CostFallbackWarning")
def test_what_is_not_told_is_asked_for(models, paths, credit):
    number = next(name for name in credit.data if credit.data[name].dtype.kind == "f")
    X = credit.data.iloc[:8]
    free = ActionSet(bounds={number: "observed"})
    quantiles = ActionSet(quantile_bounds={number: (0.1, 0.9)})
    for level, solver, says in (
        ("none", RecourseSolver(free), "background=.*statistics='bounds'"),
        ("none", RecourseSolver(ActionSet()), "background=.*statistics='bounds'"),
        ("bounds", RecourseSolver(quantiles), "quantiles.*background=.*statistics='full'"),
        ("bounds", RecourseSolver(cost_weights="mad"), "deviation.*background=.*statistics='full'"),
    ):
        solver.set_params(target=credit.favorable, random_state=0)
        with pytest.raises(BackgroundRequiredError, match=says):
            solver.solve(skcfq.load(paths[level]), X)
        given = solver.solve(skcfq.load(paths[level]), X, background=credit.data)
        expected = solver.solve(models[4], X)
        np.testing.assert_array_equal(given.cost, expected.cost)


def test_percentiles_are_unknown_and_not_zero(models, paths, credit):
    X = credit.data.iloc[:40]
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    result = solver.solve(skcfq.load(paths["bounds"]), X)
    told = solver.solve(models[4], X)
    frame = result.to_frame(details=True)
    # None of a number is known; an ordered category has those of its shares.
    numbers = frame["feature"].isin([one.name for one in result.actions.numeric]).to_numpy()
    assert numbers.any()
    assert frame["percentile_from"][numbers].isna().all()
    pd.testing.assert_frame_equal(frame[~numbers], told.to_frame(details=True)[~numbers])
    with pytest.raises(BackgroundRequiredError, match="statistics='full'"):
        result.percentile_shifts()
    row = int(frame["row"][numbers].iloc[0])
    assert result.flipset(row)["max_percentile_shift"].isna().all()
    assert told.flipset(row)["max_percentile_shift"].notna().all()


def test_levels_are_checked_before_anything_is_written(models, paths, tmp_path):
    for level in ("all", None, "Full"):
        with pytest.raises(ValueError, match="give one of"):
            models[4].export(tmp_path / "m", statistics=level)
    with pytest.raises(ValueError, match="statistics='none'"):
        save(tmp_path / "m", skcfq.load(paths["none"]))
    assert not (tmp_path / "m").exists()
    for level in LEVELS:
        save(tmp_path / "m", skcfq.load(paths[level]), level)
        assert (tmp_path / "m").read_bytes() == paths[level].read_bytes()
    save(tmp_path / "m", skcfq.load(paths["full"]))
    assert (tmp_path / "m").read_bytes() == paths["bounds"].read_bytes()


def test_a_file_that_claims_the_space_of_another_model_is_refused(models, paths, forge, credit):
    header = read_header(paths["bounds"])["feature_space"]
    header["scale"][0] *= 2
    forged = skcfq.load(forge(paths["bounds"], feature_space=header))
    assert forged.feature_space_.fingerprint == models[4].feature_space_.fingerprint
    with pytest.raises(SpaceMismatchError):
        RecourseSolver(target=credit.favorable).compare(
            models[4].teacher_, forged, credit.data.iloc[:3]
        )


@pytest.mark.filterwarnings("ignore::skcfq.exceptions.CostFallbackWarning")
@pytest.mark.parametrize("level", LEVELS)
def test_columns_of_every_kind(level, tmp_path):
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "empty": np.full(n, np.nan),
            "flag": rng.random(n) < 0.5,
            "few": rng.choice([None, "a", "b"], n),
            "one": ["same"] * n,
            "share": rng.random(n),
            "whole": rng.integers(0, 9, n),
        }
    )
    model = small().fit(X, X["whole"] > 4)
    model.export(tmp_path / "m", statistics=level)
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    assert loaded.feature_space_.same_map(model.feature_space_)
    solver = RecourseSolver(target=True, random_state=0)
    given = {} if level != "none" else {"background": X}
    # A background is also what the search copies from: both get it.
    result, expected = (solver.solve(one, X, **given) for one in (loaded, model))
    np.testing.assert_array_equal(result.cost, expected.cost)


def test_functions_of_a_column_are_told_because_predictions_need_them(tmp_path):
    X = np.random.default_rng(0).gamma(2.0, size=(80, 3))
    model = small(encoder=PowerTransformer()).fit(X, X[:, 0] > 2)
    model.export(tmp_path / "m", statistics="none")
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("schema", [1, 2, 3, 4])
def test_files_of_earlier_schemas(schema, tmp_path, request):
    folder = request.path.parent / "files"
    table = pd.read_csv(folder / "scores.csv", converters=dict.fromkeys(SCORES, float))
    loaded = skcfq.load(folder / f"schema_{schema}.skcfq")
    assert (folder / f"schema_{schema}.skcfq").read_bytes()[8] == schema
    scores = loaded.decision_function(table[loaded.feature_names_in_])
    np.testing.assert_array_equal(scores, table[f"score_{schema}"])
    assert loaded.action_set["immutable"] == ["age"]
    assert loaded.feature_space_.block("age").statistics.quantiles.shape == (101,)
    for level in LEVELS:
        save(tmp_path / "m", loaded, level)
        again = skcfq.load(tmp_path / "m")
        np.testing.assert_array_equal(
            again.decision_function(table[loaded.feature_names_in_]), scores
        )
        assert again.feature_space_.fingerprint == loaded.feature_space_.fingerprint


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_tells_which_numbers_are_whole(level, tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "loans": rng.integers(0, 9, 120) * 1.0,
            "hat": rng.choice([0.0, 0.5], 120),
            "income": rng.normal(size=120),
        }
    ).mask(rng.random((120, 3)) < 0.02)
    model = small().fit(X, X["income"] - 0.1 * X["loans"] > 0)
    model.export(tmp_path / "model", statistics=level)
    loaded = skcfq.load(tmp_path / "model").feature_space_
    assert [b.statistics.is_whole for b in loaded.blocks] == [True, False, False]
    assert [b.statistics.is_binary for b in loaded.blocks] == [False, True, False]
    rules = ActionSet(immutable=["hat", "income"], bounds={"loans": (0, 5)})
    assert rules.compile(loaded).numeric[0].step == 1
    hats = ActionSet(immutable=["loans", "income"], bounds={"hat": (0, 0.5)})
    if level == "none":
        # The two values themselves are not told.
        with pytest.raises(BackgroundRequiredError, match="'hat'"):
            hats.compile(loaded)
    else:
        assert hats.compile(loaded).numeric[0].values.tolist() == [0, 0.5]


def test_bins_and_their_order_are_in_the_file(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": pd.cut(rng.integers(18, 80, 90), [-np.inf, 30, 50, 99])})
    model = small().fit(X.assign(v=rng.normal(size=90)), X["age"].cat.codes == 1)
    model.export(tmp_path / "model")
    loaded, own = skcfq.load(tmp_path / "model").feature_space_, model.feature_space_
    assert loaded.blocks[0].categories == own.blocks[0].categories
    assert loaded.blocks[0].order == own.blocks[0].order == (0, 1, 2)
    assert loaded.same_map(own)
