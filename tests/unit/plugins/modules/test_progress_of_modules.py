# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module that may take long tells of its work, looked at when the registry gets a request."""

from __future__ import annotations

import pathlib
import re
import threading
import types
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_append,
    registry_copy,
    registry_prune,
    registry_pull,
    registry_push,
)
from tests.hostile import HostileRegistry, Request
from tests.registries import images
from tests.unit.task import task

LAYERS = [images.layer({"file": bytes(200_000 + number)}, compression="") for number in range(2)]
IMAGE = images.image(LAYERS)
OTHER = images.image({"file": "other"})
Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]


class Teller:
    """Tells the progress of a task at each request to ``server``; the clock goes on by a second for each line."""

    def __init__(self, server: HostileRegistry) -> None:
        self.lines: list[str] = []
        self._now = 0.0
        self._lock = threading.Lock()
        self.progress = Progress(self.lines.append, each_image=True, clock=lambda: self._now)
        server.before = self._tell

    def _tell(self, _request: Request) -> None:
        with self._lock:
            self._now += 1
            self.progress.tell()

    def has(self, pattern: str) -> bool:
        """Tell whether a line matches ``pattern``."""
        return any(re.match(pattern, line) for line in self.lines)


def told(connect: Connect, server: HostileRegistry, module: types.ModuleType, **params: t.Any) -> Teller:
    """Run a module, and return what it told."""
    teller = Teller(server)
    clients, _client = connect(server.url, concurrency=1)
    with teller.progress as progress:
        task(module, clients, told=progress, **params)
    server.before = None
    return teller


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "1")
        server.add("a/b", OTHER, "2")
        yield server


def test_a_pull_tells_its_bytes_blobs_and_images(
    connect: Connect, server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    teller = told(connect, server, registry_pull, image=["a/b:1", "a/b:2"], dest=str(tmp_path / "layout"))
    assert teller.has(r"checked 0 of 5 blobs") or teller.has(
        r"transferred 0 bytes of [0-9.]+ KiB \(0%\), 0 of 5 blobs"
    )
    assert teller.has(
        r"transferred [1-9][0-9.]+ KiB of [0-9.]+ KiB \([0-9]+%\), [1-4] of 5 blobs, .* \(0 of 2 images\)$"
    )
    assert teller.lines[-3:-1] == [
        f"{server.host}/a/b:1 is finished (1 of 2 images)",
        f"{server.host}/a/b:2 is finished (2 of 2 images)",
    ]
    assert re.match(r"[0-9.]+ KiB, 5 blobs, [0-9.]+ KiB/s, 2 images in [0-9]+ s$", teller.lines[-1])


def test_a_push_tells_what_it_sends(
    connect: Connect, server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    clients, _client = connect(server.url)
    task(registry_pull, clients, image=["a/b:1"], dest=str(tmp_path / "layout"))
    teller = told(connect, server, registry_push, image="c/d:1", src=str(tmp_path / "layout"))
    assert teller.has(r"checked [0-3] of 3 blobs")
    assert teller.has(r"transferred [0-9.]+ KiB of [0-9.]+ KiB \([0-9]+%\), [1-3] of 3 blobs")
    assert teller.has(f"{tmp_path}/layout to {server.host}/c/d:1 is finished$")


def test_a_copy_to_several_repositories_tells_the_total_when_it_is_known(
    connect: Connect, server: HostileRegistry
) -> None:
    with HostileRegistry() as other:
        server.before = None
        teller = Teller(other)
        clients, _client = connect(server.url, concurrency=1)
        with teller.progress as progress:
            to = [f"{other.host}/one:1", f"{other.host}/two:1"]
            params: dict[str, t.Any] = {"image": "a/b:1", "to": to, "destination": {"plain_http": True}}
            task(registry_copy, clients, told=progress, **params)
    assert teller.has(r"transferred [0-9.]+ KiB, [0-3] blobs, .*\(0 of 2 images\)$")
    # The second repository gets its blobs by mounts from the first one.
    assert teller.has(r"transferred ([0-9.]+ KiB) of \1 \(100%\), 6 of 6 blobs, .*\(1 of 2 images\)$")


def test_an_append_tells_what_it_sends(connect: Connect, server: HostileRegistry) -> None:
    layers = [{"files": [{"content": "text", "dest": "/etc/file"}]}]
    teller = told(connect, server, registry_append, image="a/b:1", to=[f"{server.host}/a/c:1"], layers=layers)
    assert teller.has(r"transferred .* of [0-9.]+ (bytes|KiB)")
    assert teller.has(f"{server.host}/a/b:1 to {server.host}/a/c:1 is finished$")


def test_a_prune_tells_what_it_reads_checks_and_deletes(connect: Connect, server: HostileRegistry) -> None:
    rules = [{"match": {"tags": ["*"]}, "delete": True, "keep_last": 1}]
    teller = told(connect, server, registry_prune, repositories=["a/b"], rules=rules)
    place = f"{server.host}/a/b"
    assert teller.has(rf"{place}: read [01] of 2 tags \([0-9]+%\)")
    assert teller.has(rf"{place}: read [01] manifests")
    assert teller.has(rf"{place}: checked [01] of 2 tags")
    assert teller.has(rf"{place}: deleted 0 of 1 digests \(0%\)")
    assert re.match(
        r"read 2 tags, read 2 manifests, checked 2 tags, deleted 1 digests in [0-9]+ s$", teller.lines[-1]
    )
