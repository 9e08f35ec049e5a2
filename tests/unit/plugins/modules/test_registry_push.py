# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_push as a task calls it. What is sent is tested in ``_transfer/test_deliver.py`` and ``_storage``."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    NotFound,
    Refused,
    RegistryError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_pull, registry_push
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.copying import record_as_verified
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
WRITES = "^(PUT|POST|PATCH|DELETE) "
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE, images.image({"file": "arm"}, architecture="arm64")])


@pytest.fixture
def layout(connect: Connect, tmp_path: pathlib.Path) -> str:
    """A layout with the images ``1`` and ``all``."""
    with HostileRegistry() as server:
        server.add("a/b", ONE, "1")
        server.add("a/b", INDEX, "all")
        clients, _client = connect(server.url)
        for tag in ("1", "all"):
            task(registry_pull, clients, image=[f"a/b:{tag}"], dest=str(tmp_path / "layout"))
    return str(tmp_path / "layout")


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        yield server


def push(
    connect: Connect, server: HostileRegistry, check_mode: bool = False, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(server.url, retries=0)
    return task(registry_push, clients, check_mode=check_mode, **params)


@pytest.mark.parametrize("check_mode", [False, True])
def test_result(connect: Connect, server: HostileRegistry, layout: str, check_mode: bool) -> None:
    params: dict[str, t.Any] = {"src": layout, "name": "1", "image": "c/d:1", "tags": ["stable", "1"]}
    result = push(connect, server, check_mode, **params)
    names = [f"{server.host}/c/d:1", f"{server.host}/c/d:stable"]
    assert [entry["image"] for entry in result["targets"]] == names
    assert result["images"] == [
        {"image": f"1 in {layout}", "digest": ONE.digest, "source_digest": ONE.digest, "targets": names}
    ]
    assert (result["changed"], result["blobs"]["missing"]) == (True, len(ONE.blobs))
    assert server.state("c/d") == ({} if check_mode else {"1": ONE.digest, "stable": ONE.digest})
    assert bool(server.count(WRITES)) is not check_mode
    if not check_mode:
        assert push(connect, server, **params)["changed"] is False


def test_one_platform(connect: Connect, server: HostileRegistry, layout: str) -> None:
    result = push(connect, server, src=layout, name="all", image="c/d:arm", platforms=["linux/arm64"])
    assert result["images"][0]["source_digest"] == INDEX.digest
    assert server.state("c/d") == {"arm": INDEX.children[1].digest}


def test_blobs_of_another_repository_are_mounted(
    connect: Connect, server: HostileRegistry, layout: str
) -> None:
    server.add("base/app", ONE, "1")
    result = push(connect, server, src=layout, name="1", image="c/d:1", mount_from=["base/app"])
    assert (result["blobs"]["mounted"], result["blobs"]["missing"]) == (len(ONE.blobs), 0)
    assert server.count("^PUT .*/blobs/") == 0


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"image": "c/d"}, "No tag is named for .*c/d: write one behind it, or set tags."),
        ({"image": "c/d:1", "name": "no"}, "no"),
        ({"image": f"c/d@{TWO.digest}", "name": "1"}, "cannot be written: the image in .* has the digest"),
        ({"image": "c/d:1", "if_digest": "1"}, "'1' is not a valid if_digest"),
        ({"image": "c/d:1", "if_digest": ""}, "if_digest is empty"),
        ({"image": "c/d:1", "platforms": ["arm64"]}, "'arm64' is not a platform"),
        ({"image": "c/d:1", "src": "/no/such/layout"}, "/no/such/layout does not exist on the host"),
    ],
)
def test_bad_input_sends_nothing(
    connect: Connect, server: HostileRegistry, layout: str, params: dict[str, t.Any], sentence: str
) -> None:
    with pytest.raises((InvalidInput, NotFound), match=sentence):
        push(connect, server, **{"src": layout, **params})
    assert server.requests == []


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [({"if_digest": "absent"}, "as if_digest demands"), ({"overwrite": False}, "but overwrite is false")],
)
def test_conditions(
    connect: Connect, server: HostileRegistry, layout: str, condition: dict[str, t.Any], sentence: str
) -> None:
    server.add("c/d", TWO, "1")
    with pytest.raises(Refused, match=sentence):
        push(connect, server, src=layout, name="1", image="c/d:1", **condition)
    assert server.count(WRITES) == 0
    assert push(connect, server, src=layout, name="1", image="c/d:1", if_digest=TWO.digest)["changed"] is True


# Files that a pull has verified


def lose_bits(layout: str, digest: str, recorded: bool) -> None:
    """Change a blob of ``layout``. Where it is ``recorded``, that is as on a disk that has lost bits: nobody has touched the file."""
    blob = pathlib.Path(layout) / "blobs/sha256" / digest[7:]
    blob.write_bytes(bytes([blob.read_bytes()[0] ^ 1]) + blob.read_bytes()[1:])
    if recorded:
        record_as_verified(pathlib.Path(layout), digest)


@pytest.mark.parametrize("shown", [False, True], ids=["silent", "with progress"])
@pytest.mark.parametrize(
    ("recorded", "verify", "finds_it"),
    [(True, "changed", "registry"), (False, "changed", "push"), (True, "full", "push")],
)
def test_only_files_that_changed_since_a_pull_are_hashed(
    connect: Connect,
    server: HostileRegistry,
    layout: str,
    recorded: bool,
    verify: str,
    finds_it: str,
    shown: bool,
) -> None:
    digest = ONE.manifest["layers"][0]["digest"]
    lose_bits(layout, digest, recorded)
    clients, _client = connect(server.url, retries=0)
    more: dict[str, t.Any] = {"told": Progress(lambda line: None)} if shown else {}
    with pytest.raises(RegistryError) as failure:
        task(registry_push, clients, src=layout, name="1", image="c/d:1", verify=verify, **more)
    if finds_it == "push":
        assert isinstance(failure.value, DigestMismatch)
        assert str(failure.value) == (
            f"{layout}/blobs/sha256/{digest[7:]} is damaged: its content is not that of {digest}."
        )
    else:
        assert failure.value.code == "DIGEST_INVALID"
    assert server.state("c/d") == {} and digest not in server.repository("c/d").blobs


def test_a_push_writes_no_record(connect: Connect, server: HostileRegistry, layout: str) -> None:
    record = pathlib.Path(layout).parent / ".layout.ocikit-verified"
    record.unlink()
    assert push(connect, server, src=layout, name="1", image="c/d:1")["changed"]
    assert server.state("c/d") == {"1": ONE.digest} and not record.exists()
