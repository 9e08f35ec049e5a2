# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a program takes, and how much memory."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import threading
import time
import typing as t

LIMIT_SECONDS = 3600


class Measured(t.NamedTuple):
    """What a program printed, the seconds it took, and its largest resident size in MiB."""

    output: str
    seconds: float
    memory: float


def measure(process: subprocess.Popen[str]) -> Measured:
    """Wait for ``process``, begun a moment ago, and return what it took. What it complains about ends this program."""
    begun = time.monotonic()
    peak = [0]

    def watch() -> None:
        # The kernel keeps the peak. That of getrusage() begins with the size of the process that started this one.
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                peak[0] = max(peak[0], int(status.partition("VmHWM:")[2].split()[0]))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
        watcher.join()
    if errors:
        sys.exit(errors)
    return Measured(output, time.monotonic() - begun, peak[0] / 1024)
