# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chaos before a real registry: PYTHONPATH=.cache/dev .venv/bin/python -m tests.chaos [--runs 200] [--seed 1] ..."""

from __future__ import annotations

import argparse
import datetime
import sys
import time

from .runs import OPERATIONS, Figures, Violation, places, run


def main() -> int:
    """Run, print the figures, and return the exit code: 1 if any run ended in a way that none may."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many of each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operation", nargs="+", choices=list(OPERATIONS), default=list(OPERATIONS))
    parser.add_argument("--run", type=int, help="only the run of this number, and all its requests")
    options = parser.parse_args()
    numbers = range(options.runs) if options.run is None else [options.run]
    figures, violations, begun = Figures(), 0, time.monotonic()
    with places() as place:
        for kind in options.operation:
            for number in numbers:
                try:
                    one = run(place, kind, options.seed, number)
                except Violation as violation:
                    violations += 1
                    print(f"VIOLATION: {kind}: {violation}", flush=True)
                    print(
                        f"  python -m tests.chaos --operation {kind} --seed {options.seed} --run {number}",
                        flush=True,
                    )
                else:
                    figures.add(kind, one)
                    if options.run is not None:
                        print(*(f"{request}: {fault}" for request, fault in one.decided), sep="\n")
                        print(f"{one.kind or 'success'}, {one.state}: {one.message}")
    seconds = time.monotonic() - begun
    print(
        f"Seed {options.seed}, Python {sys.version.split()[0]}, {datetime.date.today()}, {seconds:.0f} seconds:\n"
    )
    print(figures.table())
    print(f"\n{violations} violations.")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
