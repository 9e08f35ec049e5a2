# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as the unit of work, and as a store of the copy engine."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import (
    AlreadyStored,
    MountableSource,
    Repository,
)
from tests.hostile import HostileRegistry
from tests.registries import images

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
MANIFEST = Manifest.parse(ONE.raw, ONE.media_type)
SBOM = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=ONE)


class Place:
    """A registry and repositories of it."""

    def __init__(self, server: HostileRegistry, clients: RegistryClients) -> None:
        self.server = server
        self._clients = clients

    def repository(self, name: str = "a/b") -> Repository:
        return self._clients.repository_of(self._clients.repository(name))


@pytest.fixture
def place(connect: Connect) -> t.Iterator[Place]:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "1")
        yield Place(server, connect(server.url, retries=1)[0])


def test_names_of_images_for_messages(place: Place) -> None:
    repository = place.repository()
    assert str(repository) == f"{place.server.host}/a/b"
    assert repository.image("1") == f"{place.server.host}/a/b:1"
    assert repository.image(ONE.digest) == f"{place.server.host}/a/b@{ONE.digest}"


def test_what_does_not_exist(place: Place) -> None:
    nowhere = place.repository("no/where")
    assert (nowhere.tags(), nowhere.tag_names(), nowhere.resolve("1")) == (None, [], None)
    with pytest.raises(NotFound, match="no/where:1 does not exist"):
        nowhere.manifest("1")


@pytest.mark.parametrize("write", ["put", "delete"])
def test_a_guard_is_asked_before_each_time_that_a_write_is_sent(place: Place, write: str) -> None:
    server, asked = place.server, []
    server.behaviour.fail_first, server.behaviour.fail_on = 1, "^(PUT|DELETE)"

    def guard() -> None:
        asked.append(server.count("^(PUT|DELETE)"))
        if len(asked) == 2:
            raise Refused("The tag moved.")

    repository = place.repository()
    with pytest.raises(Refused, match="The tag moved"):
        if write == "put":
            repository.put("2", MANIFEST, guard)
        else:
            repository.delete("1", guard)
    assert asked == [0, 1]
    assert server.repositories["a/b"].tags == {"1": ONE.digest}


def test_a_guard_that_finds_the_manifest_there_ends_the_put(place: Place) -> None:
    def guard() -> None:
        raise AlreadyStored

    assert place.repository().put("2", MANIFEST, guard).digest == ONE.digest
    assert place.server.count("^PUT") == 0


def test_a_blob_is_mounted_from_another_repository_of_the_registry(place: Place) -> None:
    source, destination = place.repository(), place.repository("c/d")
    (layer,) = MANIFEST.layers
    assert destination.put_blob(layer, source) is False
    assert (place.server.count("^POST"), place.server.count("^PUT")) == (1, 0)
    assert destination.exists(layer)
    assert destination.mountable(source) == "a/b"


def test_a_blob_is_sent_where_it_cannot_be_mounted(place: Place) -> None:
    place.server.behaviour.mount = "202"
    (layer,) = MANIFEST.layers
    assert place.repository("c/d").put_blob(layer, place.repository()) is True
    assert place.repository("c/d").read_blob(layer, layer.size) == ONE.blobs[layer.digest]


def test_a_blob_of_another_registry_is_not_mountable(place: Place, connect: Connect) -> None:
    with HostileRegistry() as other:
        clients = connect(other.url)[0]
        foreign = clients.repository_of(clients.repository("a/b"))
        assert place.repository().mountable(foreign) is None


def test_the_source_of_a_mount_is_one_that_has_the_blob(place: Place) -> None:
    source, empty, holder = place.repository("x/y"), place.repository("no/where"), place.repository()
    (layer,) = MANIFEST.layers
    assert MountableSource(source, {}, [empty, holder]).origin(layer) is holder
    assert MountableSource(source, {layer.digest: empty}, [holder]).origin(layer) is empty
    assert MountableSource(source, {}, [empty]).origin(layer) is source


def test_a_source_that_may_not_be_read_is_no_source_of_a_mount(place: Place) -> None:
    place.server.behaviour.fail_first, place.server.behaviour.fail_status = -1, 403
    place.server.behaviour.fail_on = "^HEAD /v2/a/b/"
    source = place.repository("x/y")
    (layer,) = MANIFEST.layers
    assert MountableSource(source, {}, [place.repository()]).origin(layer) is source


def test_a_referrer_is_listed_before_it_is_named(place: Place) -> None:
    place.server.add("a/b", SBOM)
    place.server.requests.clear()
    place.repository().put_manifest(Manifest.parse(SBOM.raw, SBOM.media_type), "sbom")
    puts = [request.path.rpartition("/")[2] for request in place.server.requests if request.method == "PUT"]
    assert puts == [SBOM.digest, images.referrers_tag(ONE), "sbom"]
