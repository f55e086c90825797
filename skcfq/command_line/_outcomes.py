"""How the program ends."""

import sys

PASSED, EXCEEDED, NOT_JUDGED = 0, 1, 2


class Refused(Exception):  # noqa: N818 - an outcome of the program, which no caller sees
    """What was asked for cannot be done or judged; the message says why, and what to do."""


def tell(line: str) -> None:
    """Write a line to those who read errors."""
    print(line, file=sys.stderr)
