# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of a HEAD, layer by layer: PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.request_cost

One thread sends 1,000 HEADs over one connection to a real registry, by the standard library alone, by urllib3, and by the
client of the collection. They take turns, and the median counts.
"""

from __future__ import annotations

import http.client
import pathlib
import statistics
import tempfile
import time
import typing as t

import urllib3

from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from tests.bench.content import Storage, small_images
from tests.registries import Registry, images

TAGS = [f"t{number}" for number in range(1000)]
REPETITIONS = 7
HEADERS = {"Accept": images.ACCEPT, "Accept-Encoding": "identity", "User-Agent": "bench"}


def by_standard_library(registry: Registry) -> None:
    connection = http.client.HTTPConnection(registry.host)
    for tag in TAGS:
        connection.request("HEAD", f"/v2/many/manifests/{tag}", headers=HEADERS)
        connection.getresponse().read()
    connection.close()


def by_urllib3(registry: Registry) -> None:
    with urllib3.PoolManager() as manager:
        pool = manager.connection_from_url(registry.url)
        for tag in TAGS:
            pool.request("HEAD", f"/v2/many/manifests/{tag}", headers=HEADERS, retries=False, redirect=False)


def by_the_client(registry: Registry) -> None:
    options = {**{name: option.get("default") for name, option in OPTIONS.items()}, "registry": registry.url}
    with RegistryClients(options, Events()) as clients:
        repository = clients.repository_of(clients.reference("many"))
        for tag in TAGS:
            if repository.resolve(tag) is None:
                raise SystemExit(f"{tag} is missing.")


def main() -> None:
    layers: tuple[t.Callable[[Registry], None], ...] = (by_standard_library, by_urllib3, by_the_client)
    used: dict[str, list[float]] = {layer.__name__: [] for layer in layers}
    with tempfile.TemporaryDirectory() as folder:
        storage = pathlib.Path(folder)
        content = Storage(storage)
        for number, image in enumerate(small_images(50)):
            content.add("many", image, TAGS[number::50])
        with Registry(storage=storage) as registry:
            for _repetition in range(REPETITIONS):
                for layer in layers:
                    begun = time.process_time()
                    layer(registry)
                    used[layer.__name__].append(time.process_time() - begun)
    print("| a HEAD | ms of processor time |\n|---|---|")
    for name, seconds in used.items():
        print(f"| {name.replace('_', ' ')} | {statistics.median(seconds) * 1000 / len(TAGS):.2f} |")


if __name__ == "__main__":
    main()
