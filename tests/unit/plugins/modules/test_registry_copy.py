# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_copy as a task calls it. The copies themselves are tested in ``_transfer/test_deliver.py`` and ``test_copy.py``."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, NotFound, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_copy
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
WRITES = "^(PUT|POST|PATCH|DELETE) "
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE, images.image({"file": "arm"}, architecture="arm64")])


def copy(
    connect: Connect, server: HostileRegistry, check_mode: bool = False, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(server.url, retries=0)
    return task(registry_copy, clients, check_mode=check_mode, **params)


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "1")
        server.add("a/b", INDEX, "all")
        yield server


@pytest.mark.parametrize("check_mode", [False, True])
def test_result(connect: Connect, server: HostileRegistry, check_mode: bool) -> None:
    result = copy(connect, server, check_mode, image="a/b:1", to=["c/d:2", "e/f"])
    names = [f"{server.host}/c/d:2", f"{server.host}/e/f:1"]
    assert [(entry["image"], entry["digest_before"], entry["digest"]) for entry in result["targets"]] == [
        (name, None, ONE.digest) for name in names
    ]
    assert result["changed"] is True
    assert result["images"] == [
        {
            "image": f"{server.host}/a/b:1",
            "digest": ONE.digest,
            "source_digest": ONE.digest,
            "targets": names,
        }
    ]
    assert result["diff"]["after"] == "".join(f"{name} {ONE.digest}\n" for name in names)
    assert server.repository("e/f").tags == ({} if check_mode else {"1": ONE.digest})
    assert bool(server.count(WRITES)) is not check_mode


def test_the_second_time_nothing_changes(connect: Connect, server: HostileRegistry) -> None:
    copy(connect, server, image="a/b:1", to=["c/d:2"])
    server.requests.clear()
    assert copy(connect, server, image="a/b:1", to=["c/d:2"])["changed"] is False
    assert server.count(WRITES) == 0


def test_several_images_and_another_registry(connect: Connect, server: HostileRegistry) -> None:
    with HostileRegistry() as other:
        listed = [{"image": "a/b:1", "to": ["x:1"]}, {"image": "a/b:all", "to": ["y"]}]
        result = copy(connect, server, images=listed, destination={"registry": other.url})
        assert [entry["digest"] for entry in result["images"]] == [ONE.digest, INDEX.digest]
        assert (other.state("x"), other.state("y")) == ({"1": ONE.digest}, {"all": INDEX.digest})
    assert server.count(WRITES) == 0


def test_one_platform_of_an_index(connect: Connect, server: HostileRegistry) -> None:
    result = copy(connect, server, image="a/b:all", to=["c/d:arm"], platforms=["linux/arm64"])
    (entry,) = result["images"]
    assert entry["source_digest"] == INDEX.digest
    assert server.state("c/d") == {"arm": INDEX.children[1].digest}
    assert entry["digest"] == INDEX.children[1].digest


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "Set either image and to, or images."),
        ({"image": "a/b:1"}, "Set either image and to, or images."),
        (
            {"image": "a/b:1", "to": ["c:1"], "images": [{"image": "a", "to": ["b"]}]},
            "Set either image and to",
        ),
        ({"images": [{"image": "a/b:1", "to": []}]}, "No target is named for .*a/b:1: set to."),
        ({"image": "a/b:1", "to": ["c:1", "c:1"]}, "is named twice as a target"),
        ({"image": "a/b:1", "to": ["c:1"], "expected_digest": "1"}, "'1' is not a valid expected_digest"),
        ({"image": "a/b:1", "to": ["c:1"], "expected_digest": ""}, "'' is not a valid expected_digest"),
        (
            {"images": [{"image": "a/b:1", "to": ["c:1"]}], "expected_digest": ONE.digest},
            "expected_digest is for one image only",
        ),
        ({"image": "a/b:1", "to": ["c:1"], "platforms": ["arm64"]}, "'arm64' is not a platform"),
    ],
)
def test_bad_input_sends_nothing(
    connect: Connect, server: HostileRegistry, params: dict[str, t.Any], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        copy(connect, server, **params)
    assert server.requests == []


def test_conditions_are_checked_before_any_write(connect: Connect, server: HostileRegistry) -> None:
    server.add("c/d", TWO, "2")
    with pytest.raises(Refused, match=f"exists with the digest {TWO.digest} and would move"):
        copy(connect, server, image="a/b:1", to=["c/d:2", "e/f"], overwrite=False)
    with pytest.raises(Refused, match="nothing was changed"):
        copy(connect, server, image="a/b:1", to=["e/f"], expected_digest=TWO.digest)
    with pytest.raises(NotFound, match="a/b:no does not exist"):
        copy(connect, server, image="a/b:no", to=["e/f"])
    with pytest.raises(InvalidInput, match="cannot be written: .* has the digest"):
        copy(connect, server, image="a/b:1", to=[f"e/f@{TWO.digest}"])
    assert server.count(WRITES) == 0
