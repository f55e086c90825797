"""The document itself: its digest, and which of its claims can be checked by evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SCHEMA, VERSION = "skcfq/certificate", 1
# Whoever has a status of these was given advice, or needs none.
WITH_ADVICE = ("optimal", "feasible", "time_limit", "already_favorable")


def digest_of(document: Any) -> str:
    """Return the SHA-256 of a JSON document, but for its own digest.

    Parameters
    ----------
    document : JSON value

    Returns
    -------
    digest : str
        64 hexadecimal digits. The order of keys and the layout of the text do not matter.

    Raises
    ------
    ValueError
        A number is NaN or infinite.

    Examples
    --------
    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1, "digest": "0"})
    True
    """
    if isinstance(document, Mapping):
        document = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def claims_of(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Sort the claims of a certificate by what it takes to check them.

    Parameters
    ----------
    document : dict
        A certificate.

    Returns
    -------
    claims : dict of lists of str
        ``evaluation`` (checked by asking the models and counting again), ``proof_by_search``
        (needs a search to be proved again) and ``stated`` (neither).
    """
    evaluation, proofs = ["digest", "status"], []
    stated = ["fingerprint of the feature space", "versions"]
    rules = document["rules"]
    if document["advice"] is None:
        if document["status"] == "infeasible":
            proofs.append("no permitted action is valid")
    else:
        evaluation += ["changes", "rules of single features", "max_changes"]
        linear = all(one.get("scale", 1.0) is not None for one in rules["features"])
        (evaluation if linear else stated).append("cost")
        if document["status"] != "already_favorable" and document["lower_bound"]:
            proofs.append("lower bound of the cost")
        if rules["implied"]:
            evaluation.append("columns that follow from others")
        if rules["across_features"]:
            evaluation.append("rules across features")
        if document["asked"]["perturbation_radius"]:
            stated.append("perturbation radius that was asked for")
    for name, model in document["models"].items():
        if model is None:
            continue
        evaluation.append(f"answers of the {name}")
        stated.append(f"fingerprint of the {name}")
        if model["margin"] is not None:
            (evaluation if model["margin_of"] else stated).append(f"margin of the {name}")
        if model["robustness"] == "robust":
            proofs.append(f"the {name} is robust in the box")
        elif model["robustness"] == "broken":
            evaluation.append(f"counterexample of the {name}")
    return {"evaluation": evaluation, "proof_by_search": proofs, "stated": stated}
