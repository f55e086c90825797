"""Say what a file is: a model, an audit, or advice; nothing in it is executed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import PASSED, Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("file", metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    """Print what the file is, as JSON, and return the exit code."""
    path = Path(arguments.file)
    if not path.is_file():
        raise Refused(f"{path}: no such file.")
    told = _document(path) if path.suffix.lower() == ".json" else _model(path)
    print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    return PASSED


def _document(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig")).get("schema")
    except (ValueError, AttributeError, RecursionError) as error:
        raise Refused(f"{path} is no JSON document of this library: {error}") from error
    if schema == "skcfq/audit":
        from skcfq.audit import AuditReport

        return _audit(AuditReport.read(path))
    if schema == "skcfq/issued-audit":
        from skcfq.audit import IssuedReport

        return _issued(IssuedReport.read(path))
    from skcfq.results import IssuedAdvice

    advice = IssuedAdvice.read(path)
    return {
        "kind": "advice",
        "people": len(advice),
        "denied": int(advice.denied.sum()),
        "with_advice": int(advice.reachable.sum()),
        "method": advice.method,
        "protocol": advice.protocol,
    }


def _audit(report: Any) -> dict[str, Any]:
    return {
        "kind": "audit",
        "models": dict(report.models),
        "data": dict(report.data),
    } | _of_report(report)


def _issued(report: Any) -> dict[str, Any]:
    return {
        "kind": "issued audit",
        "model": dict(report.model),
        "advice": dict(report.advice),
        "remedies": dict(report.remedies),
    } | _of_report(report)


def _of_report(report: Any) -> dict[str, Any]:
    return {
        "parameters": dict(report.parameters),
        "figures": {
            name: {"value": _plain(row["value"]), "n": int(row["n"])}
            for name, row in report.figures.iterrows()
        },
        "notes": list(report.notes),
        "environment": dict(report.environment),
    }


def _plain(value: float) -> float | None:
    return float(value) if value == value else None


def _model(path: Path) -> dict[str, Any]:
    file = ModelFile(path, trusted=False)
    if file.kind in ("joblib", "skops"):
        raise Refused(f"{path}: what is in it cannot be told without loading it.")
    told: dict[str, Any] = {"kind": file.kind, "bytes": path.stat().st_size, "sha256": file.digest}
    if file.kind == "onnx":
        return told | {"quantized": file.is_quantized(None), "operators": sorted(file.operators())}
    from skcfq.deploy import read_header

    return told | {"header": read_header(path)}
