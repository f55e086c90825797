"""Write one letter a person from an advice file."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from skcfq.command_line._arguments import pair
from skcfq.command_line._outcomes import PASSED, Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("advice", metavar="ADVICE.json", help="what `skcfq solve` wrote")
    parser.add_argument("--language", default="en", metavar="CODE", help="en or de")
    parser.add_argument("--format", choices=("text", "html"), default="text")
    parser.add_argument("--template", metavar="FILE", help="a jinja2 template")
    parser.add_argument("--unit", type=pair, action="append", default=[], metavar="COLUMN=TEXT")
    parser.add_argument("--label", type=pair, action="append", default=[], metavar="NAME=TEXT")
    parser.add_argument("--valid-until", metavar="DATE", help="until when the advice holds")
    parser.add_argument("--include-granted", action="store_true", help="write to all")
    parser.add_argument("--out", metavar="FOLDER", help="one file a person; else all are printed")


def run(arguments: argparse.Namespace) -> int:
    """Write the letters, and return the exit code."""
    folder = None if arguments.out is None else Path(arguments.out)
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"--out: {folder} is no empty folder.")
    from skcfq.results import IssuedAdvice

    letters = IssuedAdvice.read(arguments.advice).letters(
        arguments.template,
        arguments.language,
        format=arguments.format,
        units=dict(arguments.unit) or None,
        labels=dict(arguments.label) or None,
        valid_until=arguments.valid_until,
        include_granted=arguments.include_granted,
    )
    if len(letters) == 0:
        raise Refused(f"{arguments.advice}: there is nobody to write to.")
    if folder is None:
        print("\n\n".join(letters))
        return PASSED
    folder.mkdir(parents=True, exist_ok=True)
    suffix = {"text": "txt", "html": "html"}[arguments.format]
    width = len(str(len(letters)))
    for k, (person, letter) in enumerate(letters.items(), start=1):
        # Names of people are data: no part of them may be a path. The number tells twins apart.
        safe = re.sub(r"[^\w-]+", "_", str(person))[:80]
        (folder / f"{k:0{width}}-{safe}.{suffix}").write_text(letter, encoding="utf-8")
    print(f"{len(letters)} letters: {folder}")
    return PASSED
