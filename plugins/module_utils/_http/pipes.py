# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Files of the connection options that are no files: reading a pipe waits for its other end, without a limit."""

from __future__ import annotations

import os
import stat

from .._errors import InvalidInput


def refuse_pipe(path: str, name: str) -> None:
    """Raise InvalidInput, which calls the file ``name``, where ``path`` is a pipe or a socket. What is missing is none."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise InvalidInput(f"{name} must be a file: {path} is a pipe. Write what it yields to a file first.")
