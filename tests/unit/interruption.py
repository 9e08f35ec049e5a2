# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves images in a process of its own, which can be killed or measured: python -m tests.unit.interruption JSON."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._http import transport as _transport
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from tests.unit.copying import Mover


def connect(url: str, **options: t.Any) -> tuple[RegistryClients, RegistryClient]:
    """Like the fixture of this name."""
    _transport._FIRST_PAUSE = 0.001
    defaults = {name: spec.get("default") for name, spec in OPTIONS.items()}
    connection = RegistryClients({**defaults, "registry": url, **options}, Events())
    return connection, connection.default()


def move(what: str, **arguments: t.Any) -> None:
    """Carry out ``what``: pull, push or copy."""
    getattr(Mover(connect), what)(**arguments)


def main() -> None:
    """Carry out what the arguments of move() in JSON say, and print the largest memory use in KiB."""
    move(**json.loads(sys.argv[1]))
    # Unlike getrusage() this does not begin with the size of the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    print(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
