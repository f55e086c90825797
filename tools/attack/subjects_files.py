"""Model files, datasets, and any classifier read as a predictor."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from expected import anything, choice, flag, only, real, refused, seed, whole
from odd_values import Odd, inside, literal
from subjects_recourse import MODEL
from subjects_rules import PATH, TABLE, odd_paths
from tables import (
    ODD_LABELS,
    ODD_TABLES,
    ODD_WEIGHTS,
    folder,
    labels,
    linear_model,
    model_file,
    people,
    quantized,
    rules,
)
from verdicts import Subject

import skcfq
from skcfq import ActionSet, FeatureSpace, datasets
from skcfq.datasets import RemoteFile, make_bunch, make_credit, random_split, read_payload
from skcfq.deploy import onnx_inputs, read_header
from skcfq.models import as_predictor, deployment_variants

FILE = (*PATH, "model", "byte", "header")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        *_of_models(),
        *_of_model_files(),
        *_of_datasets(),
    ]


def _of_models() -> list[Subject]:
    return [
        Subject(
            "as_predictor",
            lambda **p: as_predictor(**{"model": linear_model()} | p),
            {
                "model": refused(words=MODEL),
                "background": anything(*ODD_TABLES, words=TABLE),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
                "space": only(FeatureSpace, words=("feature",)),
                "example": anything(*ODD_TABLES, words=TABLE),
                "classes": anything(*literal(["no", "yes"], ["a", "b", "c"]), words=("class",)),
                "output": anything(*literal("auto", "labels", "proba", "logits")),
            },
        ),
        Subject(
            "as_predictor (a function)",
            lambda **p: as_predictor(
                **{"model": _probabilities, "classes": ["no", "yes"], "background": people()} | p
            ),
            {
                "background": anything(*ODD_TABLES, words=TABLE),
                "classes": anything(
                    *literal(["no", "yes"], ["no", "no"], ["a", "b", "c"], [1, "x"]),
                    words=("class",),
                ),
                "output": anything(*literal("auto", "labels", "proba", "logits")),
            },
        ),
        Subject(
            "deployment_variants",
            lambda **p: deployment_variants(
                **{"model": quantized(), "n_variants": 2, "X": people(), "random_state": 0} | p
            ),
            {
                "model": refused(words=MODEL),
                "n_variants": whole(1),
                "kinds": anything(
                    *literal("rounding", ["rounding"], ["x"], ["steps"], ["calibration"])
                ),
                "X": anything(*ODD_TABLES, words=TABLE),
                "background": anything(*ODD_TABLES, words=TABLE),
                "bits": anything(*literal(2, 16, 17)),
                "step_jitter": real(0),
                "clip_jitter": real(0),
                "calibration_rows": whole(1),
                "random_state": seed(),
            },
        ),
    ]


def _probabilities(rows: Any) -> np.ndarray:
    share = 1 / (1 + np.exp(-np.asarray(rows["income"], dtype=float) / 50))
    return np.column_stack([1 - share, share])


def _of_model_files() -> list[Subject]:
    files = [*odd_paths(), *_damaged_files()]
    return [
        Subject(
            "load",
            lambda **p: skcfq.load(**{"path": model_file()} | p),
            {"path": refused(*files, words=FILE)},
        ),
        Subject(
            "read_header",
            lambda **p: read_header(**{"path": model_file()} | p),
            {"path": refused(*files, words=FILE)},
        ),
        *(
            Subject(
                f"DeployedClassifier.{method}",
                lambda method=method, **p: getattr(skcfq.load(model_file()), method)(
                    **{"X": people()} | p
                ),
                {"X": anything(*ODD_TABLES, words=TABLE)},
            )
            for method in ("predict", "predict_proba", "decision_function")
        ),
        Subject(
            "DeployedClassifier.score",
            lambda **p: skcfq.load(model_file()).score(**{"X": people(), "y": labels()} | p),
            {"X": anything(*ODD_TABLES, words=TABLE), "y": anything(*ODD_LABELS)},
        ),
        Subject(
            "PTQClassifier.export",
            lambda **p: quantized().export(**{"path": folder() / "out.skcfq"} | p),
            {
                "path": anything(*odd_paths(), words=PATH),
                "statistics": choice("none", "bounds", "full")._replace(words=("level",)),
            },
        ),
        Subject(
            "PTQClassifier.to_onnx",
            lambda **p: quantized().to_onnx(**{"path": folder() / "out.onnx"} | p),
            {
                "path": anything(*odd_paths(), words=PATH),
                "preprocessing": anything(),
                "opset": anything(*literal(21, 25, 22)),
            },
        ),
        Subject(
            "onnx_inputs",
            lambda **p: onnx_inputs(**{"model": quantized(), "X": people()} | p),
            {
                "model": refused(Odd("a path", model_file), words=MODEL),
                "X": anything(*ODD_TABLES, words=TABLE),
            },
        ),
    ]


def _damaged_files() -> list[Odd]:
    def written(name: str, content: bytes) -> Any:
        path = folder() / name
        path.write_bytes(content)
        return path

    def cut(share: float) -> Any:
        whole_file = model_file().read_bytes()
        return written("cut.skcfq", whole_file[: int(share * len(whole_file))])

    return [
        *(
            Odd(f"cut at {share:.0%}", lambda share=share: cut(share))
            for share in (0, 0.02, 0.3, 0.99)
        ),
        Odd("zeros", lambda: written("zeros.skcfq", bytes(500))),
        Odd("text", lambda: written("text.skcfq", b"skcfq, but only the word")),
        Odd("more at the end", lambda: written("more.skcfq", model_file().read_bytes() + b"x")),
    ]


def _of_datasets() -> list[Subject]:
    home = anything(*literal("/nowhere", "a\x00b"), words=(*PATH, "folder", "SKCFQ_DATA"))
    fetchers = ("adult", "bank_marketing", "compas", "default_credit", "german_credit")
    seeded = fetchers[1:]
    given = {
        "data": people(),
        "target": people()["job"],
        "favorable": "cook",
        "action_set": rules(),
        "groups": people()[["job"]],
        "split": (np.arange(40), np.arange(40, 60)),
        "units": {"income": "EUR"},
        "descr": "people",
    }
    content = b"age,income\n30,50\n"
    (folder() / "people.csv").write_bytes(content)
    remote = {"path": "people.csv", "url": "file:///nowhere", "sha256": sha256(content).hexdigest()}
    return [
        *(
            Subject(
                f"fetch_{name}",
                lambda name=name, **p: getattr(datasets, f"fetch_{name}")(**p),
                {"data_home": home} | ({"random_state": seed()} if name in seeded else {}),
            )
            for name in fetchers
        ),
        Subject(
            "fetch_celeba_attributes",
            lambda **p: datasets.fetch_celeba_attributes(**p),
            {"target": anything(), "data_home": home},
        ),
        Subject(
            "make_credit",
            lambda **p: make_credit(**{"n_samples": 60} | p),
            {"n_samples": whole(50), "random_state": seed()},
        ),
        Subject(
            "make_bunch",
            lambda **p: make_bunch(**given | p),
            {
                "data": refused(*ODD_TABLES[:3]),
                "target": refused(),
                "favorable": anything(),
                "action_set": only(ActionSet, optional=False),
                "groups": refused(*ODD_TABLES[:2]),
                "split": refused(*literal(([0], [99]), ([0],), ([0.5], [1]))),
                "units": anything(*inside(lambda v: {"income": v}, "{'income': {}}")),
                "descr": anything(),
            },
        ),
        Subject(
            "random_split",
            lambda **p: random_split(
                **{"target": people()["job"], "n_train": 30, "n_test": 20, "random_state": 0} | p
            ),
            {
                "target": refused(),
                "n_train": whole(3),
                "n_test": whole(3),
                "random_state": seed(),
            },
        ),
        Subject(
            "RemoteFile, read_payload",
            lambda **p: read_payload("people", RemoteFile(**remote | p), folder()),
            {name: anything(words=(*PATH, "people")) for name in (*remote, "members")}
            | {"by_hand": flag()},
        ),
        Subject(
            "read_payload",
            lambda **p: read_payload(
                **{"dataset": "people", "file": RemoteFile(**remote), "data_home": folder()} | p
            ),
            {
                "dataset": anything(words=("dataset", "file")),
                "file": refused(words=("RemoteFile",)),
                "data_home": refused(words=(*PATH, "folder", "SKCFQ_DATA")),
            },
        ),
    ]
