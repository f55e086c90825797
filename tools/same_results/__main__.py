"""Prove that two versions of skcfq give the same results, bit for bit.

::

    python tools/same_results record OUT [--only TEXT]
    python tools/same_results compare A B [--only TEXT] [--rtol 1e-9] [--atol 0] [--but ARRAY ...]
    python tools/same_results load OLD_OUT [--only TEXT]
    python tools/same_results list

``record`` runs a fixed list of cases under whichever skcfq can be imported and writes their arrays
into a folder; ``compare`` says of each case whether two such folders hold the same; ``load`` reads
the model files and action set files of an old record with the current code. The last two exit with
1 where something differs.

Cases are written in the names of commit 19976de. All that is known about later names stands in
`names.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from comparing import compare
from loading import load_all
from others import all_cases
from recording import record


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record", help="run the cases and write what they give")
    one.add_argument("out", type=Path)
    two = verbs.add_parser("compare", help="compare two records")
    two.add_argument("a", type=Path)
    two.add_argument("b", type=Path)
    two.add_argument("--rtol", type=float, default=0.0, help="relative difference that may be")
    two.add_argument("--atol", type=float, default=0.0, help="absolute difference that may be")
    two.add_argument("--but", nargs="*", default=[], help="arrays that are left out")
    two.add_argument("--lines", type=int, default=6, help="lines shown below a case")
    three = verbs.add_parser("load", help="read the files of an old record")
    three.add_argument("old", type=Path)
    for verb in (one, two, three, verbs.add_parser("list", help="list the cases")):
        verb.add_argument("--only", default="", help="cases whose name has this text")
    args = parser.parse_args()
    if args.verb == "record":
        return record(args.out, args.only)
    if args.verb == "compare":
        return compare(args.a, args.b, args.only, args.rtol, args.atol, args.lines, args.but)
    if args.verb == "load":
        return load_all(args.old, args.only)
    print("\n".join(name for name in all_cases() if args.only in name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
