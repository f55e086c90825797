"""Check an audit with the verifier, which shares no code with what made it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skcfq.command_line._arguments import add_trust
from skcfq.command_line._labels import with_labels
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import EXCEEDED, PASSED
from skcfq.command_line._people import columns_of
from skcfq.command_line._tables import check_columns, read_table

if TYPE_CHECKING:
    import pandas as pd

_ROLES = ("reference", "deployed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("audit", metavar="AUDIT.json", help="what `skcfq audit --json` wrote")
    parser.add_argument("--data", required=True, metavar="X.csv", help="people who were audited")
    parser.add_argument("--outcome", metavar="COLUMN", help="column of true labels")
    for role in _ROLES:
        parser.add_argument(f"--{role}", metavar="MODEL", help=f"asks the {role} model itself")
    add_trust(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, print what was found, and return the exit code."""
    files = {
        role: ModelFile.checked(getattr(arguments, role), trusted=arguments.trust)
        for role in _ROLES
        if getattr(arguments, role) is not None
    }
    from skcfq.audit import verify_audit

    data = read_table(arguments.data)
    labels = None
    if arguments.outcome is not None:
        check_columns(arguments.data, data.columns, {"--outcome": [arguments.outcome]})
        labels = data[arguments.outcome].to_numpy()
    models = {role: _labels_of(file.load(), arguments.classes) for role, file in files.items()}
    report = verify_audit(arguments.audit, data, y=labels, **models)
    print(report)
    return PASSED if report.ok else EXCEEDED


def _labels_of(model: Any, classes: list[str] | None) -> Callable[[Any], Any]:
    """Return a model as a function from the rows that were audited to labels."""

    def labels(rows: pd.DataFrame) -> Any:
        from skcfq.models import as_predictor

        columns = columns_of(model)
        own = rows if columns is None else rows[columns]
        told = with_labels(model, classes, own)
        return as_predictor(told, background=own, example=own).predict(own)

    return labels
