"""The model file: what is in it, what it decides, and what happens when it is damaged."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

import skcfq
from skcfq import CFQClassifier, QATClassifier, RecourseSolver
from skcfq.deploy import read_header, save
from skcfq.deploy._container import pack_container, read_container
from skcfq.deploy._packing import pack_codes, packed_size, unpack_codes
from skcfq.exceptions import (
    ArtefactDamagedError,
    ArtefactError,
    ArtefactVersionError,
    FeatureSpaceError,
    UnsupportedModelError,
)
from skcfq.metrics import RecourseScorer, counterfactual_recourse_gap, validity_drop
from skcfq.models import as_predictor

pytestmark = pytest.mark.usefixtures("short_teachers")

WIDTHS = (2, 3, 4, 8)


@pytest.fixture(scope="module")
def files(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = {bits: folder / f"{bits}.skcfq" for bits in models}
    for bits, model in models.items():
        model.export(paths[bits])
    return paths


@pytest.mark.parametrize("bits", range(1, 17))
def test_packed_codes_come_back(bits):
    codes = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (7, 13))
    packed = pack_codes(codes, bits)
    assert len(packed) == packed_size(codes.size, bits) == -(-codes.size * bits // 8)
    np.testing.assert_array_equal(unpack_codes(packed, codes.size, bits), codes.ravel())


@pytest.mark.parametrize("bits", WIDTHS)
def test_file_decides_as_the_estimator(bits, models, files, credit, many_rows):
    model, loaded = models[bits], skcfq.load(files[bits])
    for X in (credit.data, many_rows):
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.score(credit.data, credit.target) == model.score(credit.data, credit.target)
    with pytest.raises(ValueError, match="y must hold one label for each of 300 rows"):
        loaded.score(credit.data, credit.target[:3])
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    np.testing.assert_array_equal(loaded.bit_widths_, model.bit_widths_)
    np.testing.assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)
    assert loaded.average_bits_ == model.average_bits_
    assert loaded.feature_space_.fingerprint == model.feature_space_.fingerprint
    assert loaded.target_ == credit.favorable
    assert loaded.action_set["immutable"] == list(credit.action_set.immutable)


@pytest.mark.parametrize("bits", WIDTHS)
def test_size_follows_the_widths(bits, models, files):
    sizes = models[bits].export(files[bits])
    n_weights = sum(layer.n_weights for layer in models[bits].integer_network_.layers)
    assert sizes["weights"] <= 1.02 * n_weights * bits / 8 + 1
    assert sizes["biases"] == 4 * (12 + 10 + 2)
    assert sizes["total"] == files[bits].stat().st_size
    assert sizes["total"] == sizes["weights"] + sizes["biases"] + sizes["header"]


def test_file_is_the_same_every_time(models, files, tmp_path):
    models[4].export(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == files[4].read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["again"]


def test_header_can_be_read(files):
    header = read_header(files[3])
    assert [layer["bits"] for layer in header["layers"]] == [3, 3, 3]
    assert header["versions"]["skcfq"] == skcfq.__version__


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "sklearn", "scipy", "skorch", "cvxpy", "joblib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import pandas as pd, skcfq
model = skcfq.load(sys.argv[1])
X = pd.read_pickle(sys.argv[2])
print(*model.predict(X), sep=",")
print(model.predict_proba(X).sum())
"""


def test_loading_needs_numpy_and_pandas_alone(models, files, credit, tmp_path):
    X = credit.data.iloc[:50]
    X.to_pickle(tmp_path / "X.pkl")
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(files[4]), str(tmp_path / "X.pkl")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(skcfq.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == ",".join(map(str, models[4].predict(X)))


def test_every_changed_byte_is_found(files, tmp_path):
    good = files[2].read_bytes()
    bad = tmp_path / "bad"
    rng = np.random.default_rng(0)
    places = {*range(60), *rng.integers(60, len(good), 60).tolist()}
    for place in places:
        data = bytearray(good)
        data[place] ^= 0x41
        bad.write_bytes(data)
        with pytest.raises(ArtefactError):
            skcfq.load(bad)


@pytest.mark.parametrize("length", [0, 5, 8, 30, 59, 60, 200, -1])
def test_truncated_file(length, files, tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(files[2].read_bytes()[:length])
    with pytest.raises(ArtefactDamagedError, match=r"truncated|prelude|no model file"):
        skcfq.load(bad)
    bad.write_bytes(files[2].read_bytes() + b"!")
    with pytest.raises(ArtefactDamagedError, match="appended"):
        skcfq.load(bad)


def test_newer_schema(files, tmp_path):
    data = bytearray(files[2].read_bytes())
    data[8:10] = struct.pack("<H", 6)
    (tmp_path / "new").write_bytes(data)
    with pytest.raises(ArtefactVersionError, match="schema 6.*Install a newer skcfq"):
        skcfq.load(tmp_path / "new")


def test_a_bias_that_sums_could_not_hold(files, tmp_path):
    found = read_container(files[2])
    last = found.header["layers"][-1]
    own = bytes(found.payload)[: -last["bias_bytes"]]
    last["bias_bytes"] = 8 * last["n_out"]
    for bias, is_right in ((2**52, True), (2**52 + 1, False), (-(2**63), False)):
        payload = own + struct.pack("<q", bias) * last["n_out"]
        data = pack_container(found.header, payload, bytes(found.arrays))
        (tmp_path / "model").write_bytes(data)
        if is_right:
            skcfq.load(tmp_path / "model")
        else:
            with pytest.raises(ArtefactDamagedError, match="a bias is too large"):
                skcfq.load(tmp_path / "model")


def test_forged_headers(files, forge, tmp_path):
    header = read_header(files[2])
    layers = [dict(layer) for layer in header["layers"]]
    layers[1]["n_in"] = 3
    centers = {**header["input"], "centers": [0]}
    n_inputs = len(header["input"]["shifts"])
    far = {**header["input"], "centers": [5000] * n_inputs}
    endless = {**header["input"], "step": 1e308, "shifts": [30] * n_inputs}
    for changes, says in (
        ({"layers": layers}, "follow each other"),
        ({"layers": []}, "list of 1 to 1000"),
        ({"layers": None}, "list of 1 to 1000"),
        ({"classes": ["a"]}, "do not fit the classes"),
        ({"classes_dtype": "<U150000000"}, "more memory"),
        ({"input": {"step": 0.0, "bits": 8}}, "input.shifts is missing"),
        ({"input": {**header["input"], "bits": 2**62}}, "input.bits is 4611686018427387904"),
        ({"input": centers}, "centers do not fit"),
        ({"input": far}, "centers do not fit"),
        ({"input": endless}, "steps of the inputs leave the range"),
        ({"feature_space": {"version": 9}}, "feature_space.is_frame is missing"),
        ({"new": 1}, "'new' is unknown"),
    ):
        with pytest.raises(ArtefactDamagedError, match=says):
            skcfq.load(forge(files[2], **changes))
    with pytest.raises(ArtefactDamagedError, match="does not hold"):
        skcfq.load(forge(files[2], format="else"))
    with pytest.raises(FileNotFoundError):
        skcfq.load(tmp_path / "nowhere")


def test_an_array_after_a_frame_is_told_as_by_the_estimator(files, credit, models):
    loaded, X = skcfq.load(files[4]), credit.data.iloc[:5].to_numpy(dtype=object)
    for model in (models[4], loaded):
        with pytest.warns(UserWarning, match="X does not have valid feature names, but"):
            given = model.predict(X)
        np.testing.assert_array_equal(given, models[4].predict(credit.data.iloc[:5]))


def test_wrong_columns(files, credit):
    loaded, X = skcfq.load(files[4]), credit.data.iloc[:5]
    first, second = X.columns[:2]
    with pytest.raises(FeatureSpaceError, match=rf"lacks the columns \['{first}'\]"):
        loaded.predict(X.drop(columns=first))
    with pytest.raises(FeatureSpaceError, match=r"another order.*feature_names_in_"):
        loaded.predict(X[[second, first, *X.columns[2:]]])
    with pytest.raises(FeatureSpaceError, match=r"unknown columns \['more'\]"):
        loaded.predict(X.assign(more=1))
    number = next(name for name in X.columns if X[name].dtype.kind == "f")
    with pytest.raises(FeatureSpaceError, match="infinite"):
        loaded.predict(X.assign(**{number: np.inf}))
    narrow = X.to_numpy()[:, 1:]
    named = pytest.warns(UserWarning, match="valid feature names")
    with named, pytest.raises(FeatureSpaceError, match="columns, but the feature space"):
        loaded.predict(narrow)


def test_metrics_and_solver_through_the_file(models, files, credit):
    model, loaded = models[4], skcfq.load(files[4])
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    X = credit.data.iloc[:25]
    through = solver.compare(model.teacher_, loaded, X)
    direct = solver.compare(model.teacher_, model, X)
    assert counterfactual_recourse_gap(*through) == counterfactual_recourse_gap(*direct)
    assert validity_drop(model.teacher_, loaded, through[0]) == validity_drop(
        model.teacher_, model, direct[0]
    )
    scorer = RecourseScorer("faithfulness", reference=model.teacher_, max_people=20)
    assert scorer(loaded, X) == scorer(model, X)
    predictor = as_predictor(loaded)
    assert predictor.differentiable
    assert predictor.fingerprint == as_predictor(skcfq.load(files[4])).fingerprint
    assert predictor.fingerprint != as_predictor(skcfq.load(files[8])).fingerprint
    assert as_predictor(loaded).linear is None


@pytest.mark.parametrize(
    "labels",
    [np.array([3, 7]), np.array(["no", "yes"]), np.array([False, True]), np.array([1.0, 2.0])],
    ids=str,
)
def test_arrays_and_labels_of_any_kind(labels, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = labels[(X.sum(axis=1) > 0).astype(int)]
    model = QATClassifier(4, hidden_layer_sizes=(), max_iter=3, random_state=0).fit(X, y)
    model.export(tmp_path / "m")
    loaded = skcfq.load(tmp_path / "m")
    assert loaded.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict(X.tolist()), model.predict(X))
    assert not hasattr(loaded, "feature_names_in_")
    assert loaded.action_set is None


def test_three_classes_and_a_rule_as_target(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(90, 3)), columns=list("abc"))
    y = np.array(["x", "y", "z"])[np.digitize(X["a"], [-0.4, 0.4])]
    model = CFQClassifier(
        4, target=lambda X, y: np.full(len(X), "z"), hidden_layer_sizes=(6,), max_iter=4
    )
    model.set_params(random_state=0).fit(X, y).export(tmp_path / "m")
    loaded = skcfq.load(tmp_path / "m")
    assert loaded.target_ is None
    assert loaded.decision_function(X).shape == (90, 3)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_gaps_that_nothing_fills():
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(0).normal(size=(60, 2))
    model = QATClassifier(
        4, encoder=StandardScaler(), hidden_layer_sizes=(4,), max_iter=2, random_state=0
    ).fit(X, X[:, 0] > 0)
    X[3, 1] = np.nan
    for one in (model, model.deployed()):
        with pytest.raises(FeatureSpaceError, match=r"columns \[1\] have gaps"):
            one.predict(X)


def test_estimators_are_written_as_they_are_deployed(models, files, tmp_path):
    save(tmp_path / "m", models[4])
    assert (tmp_path / "m").read_bytes() == files[4].read_bytes()
    with pytest.raises(UnsupportedModelError, match="of a Pipeline, the last step"):
        save(tmp_path / "m", make_pipeline(models[4]))


def test_unfitted_model_has_no_file(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        QATClassifier().export(tmp_path / "m")
    with pytest.raises(UnsupportedModelError):
        as_predictor(object())


def test_a_changed_network_decides_anew(models, credit):
    from copy import deepcopy

    model = deepcopy(models[4])
    before = model.decision_function(credit.data)
    model.network_.layers[-1].bias[1] += 3.0
    np.testing.assert_allclose(model.decision_function(credit.data), before + 3.0, atol=1e-6)
    np.testing.assert_array_equal(models[4].decision_function(credit.data), before)
    model.network_.set_bit_widths(8)
    assert model.deployed().bit_widths_.tolist() == [8, 8, 8]


def test_joblib_and_skops_round_trips(models, credit, tmp_path):
    import joblib

    skops = pytest.importorskip("skops.io")
    model = models[4]
    expected = model.decision_function(credit.data)
    joblib.dump(model, tmp_path / "m.joblib")
    copy = joblib.load(tmp_path / "m.joblib")
    np.testing.assert_array_equal(copy.decision_function(credit.data), expected)
    skops.dump(model, tmp_path / "m.skops")
    unknown = skops.get_untrusted_types(file=tmp_path / "m.skops")
    copy = skops.load(tmp_path / "m.skops", trusted=unknown)
    np.testing.assert_array_equal(copy.decision_function(credit.data), expected)
    assert all(name.split(".")[0] in ("skcfq", "torch", "numpy", "pandas") for name in unknown)


FULL_DISK = """
import resource, signal, sys
import skcfq
from skcfq.deploy import save, write_onnx
model = skcfq.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for write in (lambda: save(sys.argv[2], model), lambda: write_onnx(model, sys.argv[3])):
    try:
        write()
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits and links of POSIX")
def test_a_full_disk_keeps_the_previous_model(models, files, tmp_path):
    pytest.importorskip("onnx")
    models[4].to_onnx(tmp_path / "real.onnx")
    (tmp_path / "m.onnx").symlink_to("real.onnx")
    models[4].export(tmp_path / "m")
    (tmp_path / "m").chmod(0o640)
    before = {name: (tmp_path / name).read_bytes() for name in ("m", "real.onnx")}
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, files[8], tmp_path / "m", tmp_path / "m.onnx"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(skcfq.__file__).parents[1],
    )
    assert len(done.stdout.split()) == 2, done.stderr
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m", "m.onnx", "real.onnx"]
    models[8].export(tmp_path / "m")
    models[8].to_onnx(tmp_path / "m.onnx")
    assert (tmp_path / "m").read_bytes() == files[8].read_bytes()
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "m.onnx").is_symlink()
    assert (tmp_path / "real.onnx").read_bytes() != before["real.onnx"]
