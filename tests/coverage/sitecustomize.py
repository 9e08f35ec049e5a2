# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts coverage in every Python that has this folder in PYTHONPATH, if COVERAGE_PROCESS_START names a configuration."""

import os
import typing as t

import coverage

exit_at_once = os._exit


def save_and_exit(status: int) -> t.NoReturn:
    """Write what was measured, then exit: workers of pytest-xdist and ansible-core end so, without Python's own clean-up."""
    try:
        measured = coverage.Coverage.current()
        if measured is not None:
            measured.stop()
            measured.save()
    finally:
        # A worker that did not end here would go on as a second parent.
        exit_at_once(status)


if coverage.process_startup() is not None:
    os._exit = save_and_exit
