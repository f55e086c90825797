"""Give every parameter of the public face odd values, and see how that ends.

From the root of the project::

    python tools/attack                         # everything, half an hour on one core
    python tools/attack --only RecourseSolver   # subjects whose name has this text
    python tools/attack --only ActionSet --parameter bounds --all
    python tools/attack --list

A case ends *clear* (an error of the library or of scikit-learn that names the parameter), *right*
(it worked, and what came out passes a check), *unclear* (any other error, or a value that should
have been refused), or as a *hang*. Each case has a time limit and runs in a process that is killed
beyond it. Tables count cases by subject and parameter, and by public name; what is unclear or hangs
is listed, one example of those that end alike; ``--all`` lists every case. The exit status is 1 if
anything is.

`odd_values.py` holds what is given, `expected.py` what must be refused, and `subjects_*.py` what is
attacked: to add something public, add a :class:`verdicts.Subject` there.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter, defaultdict

import pandas as pd
import torch
from pool import attack_all
from public_parameters import unattacked
from subjects import NOT_ATTACKED, all_subjects
from verdicts import CLEAR, HANG, RIGHT, UNCLEAR, cases_of


def main() -> int:
    """Run the command line; return the exit status."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="subjects whose name has this text")
    parser.add_argument("--parameter", help="one parameter")
    parser.add_argument("--seconds", type=float, default=20, help="for one case")
    parser.add_argument("--all", action="store_true", help="list every case")
    parser.add_argument("--list", action="store_true", help="list the subjects and stop")
    options = parser.parse_args()
    subjects = [subject for subject in all_subjects() if options.only in subject.name]
    if options.list:
        for subject in subjects:
            print(subject.name, *subject.parameters)
        print("without a subject:", *unattacked(all_subjects(), NOT_ATTACKED))
        print("not attacked:", *(f"{name} ({why})" for name, why in NOT_ATTACKED.items()), sep="\n")
        return 0
    counts: dict[tuple[str, str], Counter] = defaultdict(Counter)
    for subject in subjects:
        with warnings.catch_warnings():
            # What good values make is inherited by the processes; that they work is a check too.
            warnings.simplefilter("ignore")
            assert subject.check(subject.call()) is None, subject.name
        cases = [c for c in cases_of(subject) if options.parameter in (None, c.parameter)]
        alike: dict[tuple, list] = defaultdict(list)
        for case, verdict in attack_all(cases, options.seconds):
            counts[subject.name, case.parameter][verdict.kind] += 1
            if options.all:
                print(f"{verdict.kind}: {case}: {verdict.said}", flush=True)
            elif verdict.kind in (UNCLEAR, HANG):
                alike[case.parameter, verdict.place or verdict.said].append((case, verdict))
        for (_, place), found in alike.items():
            case, verdict = found[0]
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            print(f"{verdict.kind}: {case}{more}: {verdict.said} [{place}]", flush=True)
    table = pd.DataFrame(
        [
            {"subject": subject, "parameter": parameter, "cases": count.total()}
            | {kind: count[kind] for kind in (CLEAR, RIGHT, UNCLEAR, HANG)}
            for (subject, parameter), count in counts.items()
        ]
    )
    print(table.to_string(index=False))
    # A class has several subjects: its methods, and other ways to call it.
    public = table["subject"].str.extract(r"^(\w+)", expand=False).rename("name")
    by_name = table.drop(columns=["subject", "parameter"]).groupby(public, sort=False).sum()
    print(by_name.to_string())
    print(by_name.sum().to_string())
    return int(table[[UNCLEAR, HANG]].to_numpy().sum() > 0)


if __name__ == "__main__":
    sys.exit(main())
