# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blob arrives complete and right, or not at all."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_blob
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit import running
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
LAYER = images.layer({"big.bin": bytes(range(256)) * 4096}, compression="")
IMAGE = images.image([LAYER], labels={"org.example.name": "it"})
LAYER_DIGEST = images.digest(LAYER.data)
CONFIG_DIGEST = next(digest for digest in IMAGE.blobs if digest != LAYER_DIGEST)
ABSENT = "sha256:" + "0" * 64


def get(
    connection: RegistryClients, digest: str = LAYER_DIGEST, check_mode: bool = False, **params: t.Any
) -> t.Any:
    return task(
        registry_blob, connection, check_mode=check_mode, **{"image": "a/b:any", "digest": digest, **params}
    )


def text_blob(content: bytes) -> images.Image:
    return images.artifact("application/vnd.example.text", content, "text/plain")


def test_file_on_a_real_registry(connect: Connect, registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "a/b", IMAGE)
    connection, _client = connect(registry.url)
    path = tmp_path / "layer"
    expected = {
        "changed": True,
        "repository": f"{registry.host}/a/b",
        "digest": LAYER_DIGEST,
        "size": len(LAYER.data),
        "dest": str(path),
        "diff": {"before": f"{path} absent\n", "after": f"{path} {LAYER_DIGEST}\n"},
    }
    assert get(connection, check_mode=True, dest=str(path)) == expected
    assert list(tmp_path.iterdir()) == []
    assert get(connection, dest=str(path)) == expected
    assert path.read_bytes() == LAYER.data
    assert list(tmp_path.iterdir()) == [path]

    registry.clear_requests()
    again = get(connection, dest=str(path))
    assert (again["changed"], again["size"], again["diff"]) == (
        False,
        len(LAYER.data),
        {"before": "", "after": ""},
    )
    assert registry.requests() == []

    path.write_bytes(b"other")
    changed = get(connection, dest=str(path))
    assert changed["diff"]["before"] == f"{path} {images.digest(b'other')}\n"
    assert path.read_bytes() == LAYER.data


def test_directory(connect: Connect, tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        assert get(connection, dest=str(tmp_path))["dest"] == str(tmp_path / LAYER_DIGEST)
        assert (tmp_path / LAYER_DIGEST).read_bytes() == LAYER.data
        assert not get(connection, dest=str(tmp_path))["changed"]


@pytest.mark.parametrize(
    ("behaviours", "kind"),
    [
        ({"wrong_bytes": "blob"}, "digest_mismatch"),
        ({"cut_first": -1, "cut_after": 0}, "unreachable"),
        ({"fail_first": -1, "fail_status": 500, "fail_on": "GET .*/blobs/"}, "server"),
        ({"fail_first": -1, "fail_status": 403, "fail_on": "/blobs/"}, "denied"),
    ],
)
def test_failure_leaves_everything_as_it_was(
    connect: Connect, tmp_path: pathlib.Path, behaviours: dict[str, t.Any], kind: str
) -> None:
    path = tmp_path / "layer"
    path.write_bytes(b"before")
    with HostileRegistry(**behaviours) as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url, retries=1)
        for dest in (path, tmp_path / "new"):
            with pytest.raises(RegistryError) as failed:
                get(connection, dest=str(dest))
            assert failed.value.kind == kind
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


def test_interrupted_download_goes_on(connect: Connect, tmp_path: pathlib.Path) -> None:
    with HostileRegistry(cut_first=3, cut_after=300000) as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        get(connection, dest=str(tmp_path / "layer"))
        ranges = [request.headers["Range"] for request in server.requests if request.method == "GET"]
    assert (tmp_path / "layer").read_bytes() == LAYER.data
    assert len(ranges) == 4 and ranges[0] is None and ranges[-1].startswith("bytes=")


@pytest.mark.parametrize("place", ["missing/layer", "missing/", "socket"])
def test_places_that_cannot_be_written(connect: Connect, tmp_path: pathlib.Path, place: str) -> None:
    (tmp_path / "socket").symlink_to("/dev/null")
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        for check_mode in (True, False):
            with pytest.raises(RegistryError) as failed:
                get(connection, dest=f"{tmp_path}/{place}", check_mode=check_mode)
            assert failed.value.kind == "invalid_input"
        assert server.requests == []


def test_absent(connect: Connect, tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        for check_mode in (True, False):
            for dest in (None, str(tmp_path / "x")):
                with pytest.raises(RegistryError, match=f"{ABSENT} does not exist in .*/a/b") as failed:
                    get(connection, ABSENT, check_mode, dest=dest)
                assert failed.value.kind == "not_found"
    assert list(tmp_path.iterdir()) == []


def test_json_and_text(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        config = IMAGE.blobs[CONFIG_DIGEST]
        found = get(connection, CONFIG_DIGEST)
        assert (found["content"], found["json"]) == (config.decode(), json.loads(config))
        assert (found["changed"], found["size"], "dest" in found) == (False, len(config), False)
        for content, parsed in (
            (b"plain \xc3\xa4\n", None),
            (b"", None),
            (b'[1, "\\ud800"]', None),
            (b'{"a": NaN}', None),
            (b"1e999", None),
            (b"[" * 100000, None),
            (b"9" * 5000, None),
            (b'["\xc3\xa4"]', ["ä"]),
        ):
            server.add("a/b", text_blob(content))
            found = get(connection, images.digest(content))
            assert (found["content"], found["json"]) == (content.decode(), parsed)


def test_binary_is_refused(connect: Connect) -> None:
    with HostileRegistry() as server:
        connection, _client = connect(server.url)
        for content in (b"\xff\xfe", b"zero \0 inside"):
            server.add("a/b", text_blob(content))
            with pytest.raises(RegistryError, match="is binary, neither JSON nor text: set dest") as failed:
                get(connection, images.digest(content))
            assert failed.value.kind == "refused"


def test_large_is_refused_before_it_is_read(connect: Connect) -> None:
    content = b"x" * 11
    with HostileRegistry() as server:
        server.add("a/b", text_blob(content))
        connection, _client = connect(server.url)
        with pytest.raises(RegistryError, match="has 11 bytes, more than the 10 of max_size: set dest"):
            get(connection, images.digest(content), max_size=10)
        assert server.count("^GET ") == 0
        assert get(connection, images.digest(content), max_size=11)["content"] == content.decode()


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_bad_digest(connect: Connect, digest: str) -> None:
    with HostileRegistry() as server:
        connection, _client = connect(server.url)
        with pytest.raises(InvalidInput, match="is not a valid digest"):
            get(connection, digest)
        assert server.requests == []


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"mode": "0640"}, "mode is that of dest: set dest as well"),
        ({"owner": "root"}, "owner is that of dest: set dest as well"),
        ({"mode": "rw", "dest": "{}/x"}, "'rw' is not a valid mode"),
        ({"owner": "nobody-here", "dest": "{}/x"}, "is not a valid owner"),
        ({"max_size": -1}, "max_size must be at least 0"),
    ],
)
def test_bad_input_sends_nothing(
    connect: Connect, tmp_path: pathlib.Path, params: dict[str, t.Any], sentence: str
) -> None:
    with HostileRegistry() as server:
        connection, _client = connect(server.url)
        with pytest.raises(InvalidInput, match=sentence):
            get(
                connection,
                **{**params, "dest": params["dest"].format(tmp_path) if "dest" in params else None},
            )
        assert server.requests == [] and not list(tmp_path.iterdir())


def test_the_file_gets_its_mode(tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        path = tmp_path / "layer"
        for changed in (True, False):
            process = running.start(
                "registry_blob", server.url, image="a/b", digest=LAYER_DIGEST, dest=path, mode="0640"
            )
            output, _errors = process.communicate()
            assert json.loads(output)["changed"] is changed
            assert path.stat().st_mode & 0o7777 == 0o640
