# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tags had before they move stays in the registry, also after a failure."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.former_images import (
    former_images_kept,
)
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.targets import Target
from tests.hostile import HostileRegistry
from tests.registries import images

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE])
MANIFEST = Manifest.parse(TWO.raw, TWO.media_type)


def target(connect: Connect, server: HostileRegistry, before: str | None) -> Target:
    clients, _client = connect(server.url, retries=0)
    return Target(clients, clients.reference("a/b:live"), before=before, after=before)


def test_an_image_that_goes_with_its_last_tag_comes_back(connect: Connect) -> None:
    with HostileRegistry(last_tag="drop") as server:
        server.add("a/b", INDEX, "live")
        server.add("a/b", TWO, "new")
        moved = target(connect, server, INDEX.digest)
        with former_images_kept([moved]):
            moved.put(MANIFEST)
            assert INDEX.digest not in server.repositories["a/b"].manifests
        assert {INDEX.digest, ONE.digest} <= set(server.repositories["a/b"].manifests)
        assert server.repositories["a/b"].tags["live"] == TWO.digest


def test_also_after_a_failure(connect: Connect) -> None:
    with HostileRegistry(last_tag="drop") as server:
        server.add("a/b", ONE, "live")
        server.add("a/b", TWO, "new")
        moved = target(connect, server, ONE.digest)
        with pytest.raises(RegistryError, match="Another tag failed"):
            with former_images_kept([moved]):
                moved.put(MANIFEST)
                raise RegistryError("Another tag failed.")
        assert ONE.digest in server.repositories["a/b"].manifests


def test_no_request_for_a_tag_that_is_new_or_was_not_written(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "live")
        with former_images_kept([target(connect, server, None)]):
            pass
        assert server.requests == []
        with former_images_kept([target(connect, server, ONE.digest)]):
            pass
        assert [request.method for request in server.requests] == ["GET"]


def test_a_look_that_fails_is_warned_about(connect: Connect, events: t.Any) -> None:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "live")
        server.add("a/b", TWO, "new")
        moved = target(connect, server, ONE.digest)
        with former_images_kept([moved]):
            moved.put(MANIFEST)
            server.behaviour.fail_first, server.behaviour.fail_status = -1, 403
            server.behaviour.fail_on = ONE.digest
        (warning,) = events.warnings
        assert f"It could not be looked up whether {ONE.digest} is still in" in warning
