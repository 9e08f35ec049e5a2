# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that verifies an image some times: python -m tests.bench.verifying URL PARAMETERS RUNS

It prints the milliseconds of processor time of the first verification, which imports libraries, and of each one that follows.
"""

from __future__ import annotations

import json
import sys
import time

from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.modules import registry_verify
from tests.unit.task import task


def main(url: str, parameters: str, runs: int) -> None:
    options = {**{name: spec.get("default") for name, spec in OPTIONS.items()}, "registry": url}
    taken = []
    for _run in range(runs):
        clients = RegistryClients(options, Events())
        begun = time.process_time()
        task(registry_verify, clients, **json.loads(parameters))
        taken.append((time.process_time() - begun) * 1000)
    print(taken[0], sum(taken[1:]) / max(1, len(taken) - 1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
