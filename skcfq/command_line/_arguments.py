"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from skcfq.command_line._outcomes import Refused


def add_people(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add what says who the people are, and what they may do."""
    parser.add_argument("--data", required=required, metavar="X.csv", help="people, one a row")
    parser.add_argument("--actions", metavar="FILE", help="what they may change (TOML or JSON)")
    parser.add_argument("--target", metavar="LABEL", help="what they want; else what a model says")
    parser.add_argument("--background", metavar="CSV", help="population that prices refer to")
    parser.add_argument("--person", metavar="COLUMN", help="column that tells people apart")
    parser.add_argument(
        "--features",
        type=names,
        metavar="A,B",
        help="columns that the models read, where these do not tell",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the leave to execute code, and the labels of what does not tell them."""
    parser.add_argument(
        "--classes",
        type=names,
        metavar="A,B",
        help="labels of a function or ONNX file that does not tell them, in its order",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load files that execute code (joblib, pickle, .py, unknown types of skops)",
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add what only says what would be done."""
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done; load no model"
    )


def names(text: str) -> list[str]:
    """Read names with commas between them."""
    found = [name.strip() for name in text.split(",")]
    if "" in found or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of different names, such as a,b")
    return found


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    number = at_least_zero(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return number


def between(text: str) -> float:
    """Read a number between 0 and 1, neither of them."""
    number = share(text)
    if number in (0, 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return number


def at_least_zero(text: str) -> float:
    """Read a finite number that is not negative."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 0")
    return number


def pair(text: str) -> tuple[str, str]:
    """Read NAME=TEXT."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TEXT")
    return name, value


def check_outputs(**paths: str | None) -> None:
    """Refuse before any work what could not be written after it.

    Parameters
    ----------
    **paths : str or None
        By the name of the option.
    """
    for option, path in paths.items():
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise Refused(f"--{option}: the folder of {path} does not exist.")
        if path is not None and Path(path).is_dir():
            raise Refused(f"--{option}: {path} is a folder.")
