# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One target in atheris, guided by coverage, as a process of its own: ``python -m tests.fuzz.guided TARGET LIBFUZZER-OPTION...``"""

from __future__ import annotations

import atexit
import importlib
import signal
import sys

from tests.fuzz.documents import changed


def main() -> None:
    """Hand the target over to libFuzzer, which ends the process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ansible_collections.ocikit"]):
        targets = importlib.import_module("tests.fuzz.targets")

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        made = changed(data, seed) if seed % 2 else None
        return made if made and len(made) <= limit else bytes(atheris.Mutate(data, limit))

    # The end of the interpreter takes away the handler of libFuzzer's timer, which would then kill.
    atexit.register(signal.alarm, 0)
    check = targets.TARGETS[sys.argv[1]].check
    atheris.Setup([sys.argv[0], *sys.argv[2:]], check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
