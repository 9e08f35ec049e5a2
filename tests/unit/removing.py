# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository with tags to be removed, and registry_rmtag on it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.modules import registry_rmtag
from tests.hostile import HostileRegistry, Request
from tests.registries import images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
WRITES = "^(PUT|POST|PATCH|DELETE) "
PUTS = "^PUT .*/manifests/"
DIGEST_DELETES = "^DELETE .*/sha256:"
NO_TAG_DELETE = ["400", "405", "404text"]

ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
DOCKER = images.image({"file": "docker"}, media="docker")
CHILD = images.image({"file": "child"})
INNER = images.index([CHILD, ONE])
OUTER = images.index([INNER, TWO])
TAGS = {"1": ONE, "1.0": ONE, "latest": ONE, "2": TWO}
STATE = {tag: image.digest for tag, image in TAGS.items()}
AFTER = {tag: digest for tag, digest in STATE.items() if tag != "1"}
SIGNATURE = images.artifact("application/vnd.example.signature", b"s", "text/plain", subject=ONE)
SBOM = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=ONE)
LIST = images.referrers_tag(ONE)
SIGNED = {"1": ONE, "signature": SIGNATURE, LIST: images.referrers_index([SIGNATURE, SBOM])}


def rm(
    connect: Connect, url: str, *tags: str, check_mode: bool = False, retries: int = 0, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(url, retries=retries)
    named = {"image": "a/b", "tags": list(tags), **params}
    return task(registry_rmtag, clients, check_mode=check_mode, **named)


def repository_at(connect: Connect, server: HostileRegistry) -> Repository:
    """Return ``a/b`` of the server."""
    clients, _client = connect(server.url, retries=0)
    return clients.repository_of(clients.repository("a/b"))


def seeded(server: HostileRegistry, tags: t.Mapping[str, images.Image] | None = None) -> dict[str, str]:
    """Add ``a/b`` with TAGS or ``tags``, and return its tags, which change with it."""
    for tag, image in (TAGS if tags is None else tags).items():
        server.add("a/b", image, tag)
    return server.repositories["a/b"].tags


def meanwhile(server: HostileRegistry, pattern: str, change: t.Callable[[], object], count: int = 1) -> None:
    """Call ``change`` before the request number ``count`` that matches ``pattern``, once."""
    left = [count]

    def before(request: Request) -> None:
        if re.search(pattern, f"{request.method} {request.path}"):
            left[0] -= 1
            if not left[0]:
                change()

    server.before = before
