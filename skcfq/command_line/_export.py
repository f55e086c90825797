"""Write a quantized classifier of this library as a model file or as ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

from skcfq.command_line._arguments import add_trust, check_outputs
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import PASSED, Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("--model", required=True, metavar="MODEL", help="joblib or skops")
    parser.add_argument("--out", required=True, metavar="FILE", help=".skcfq or .onnx")
    parser.add_argument(
        "--statistics",
        choices=("none", "bounds", "full"),
        default="bounds",
        help="what a .skcfq file tells of the training rows",
    )
    add_trust(parser)


def run(arguments: argparse.Namespace) -> int:
    """Export, and return the exit code."""
    check_outputs(out=arguments.out)
    suffix = Path(arguments.out).suffix
    if suffix not in (".skcfq", ".onnx"):
        raise Refused(f"--out: {arguments.out} ends neither in .skcfq nor in .onnx.")
    model = ModelFile.checked(arguments.model, trusted=arguments.trust).load()
    if not hasattr(model, "export"):
        raise Refused(
            f"{arguments.model} holds a {type(model).__name__}: only quantized classifiers of this "
            "library are exported. ONNX files of others are written by skl2onnx."
        )
    if suffix == ".onnx":
        sizes = model.to_onnx(arguments.out)
    else:
        sizes = model.export(arguments.out, statistics=arguments.statistics)
    print(f"{sizes['total']} bytes: {arguments.out}")
    return PASSED
