# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    NotFound,
    ProtocolError,
    Refused,
)
from ansible_collections.ocikit.registry.plugins.modules import registry_manifest_info
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, stored
from tests.unit.task import task

SAMPLES = images.samples()
ARM = SAMPLES["index"].children[1]  # type: ignore[attr-defined]
Read = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def read(connect: t.Callable[..., t.Any]) -> Read:
    """``read(url, image, **parameters)``: what the module returns."""

    def run(url: str, image: str, **parameters: t.Any) -> dict[str, t.Any]:
        clients, _client = connect(url)
        return task(registry_manifest_info, clients, **{"image": image, **parameters})

    return run


def named(*names: str) -> list[t.Any]:
    """Parameters that are names of samples, of which some need a registry that takes Docker's media types."""
    docker = pytest.mark.registry_does("docker")
    return [
        pytest.param(name, marks=docker if "docker" in SAMPLES[name].media_type else ()) for name in names
    ]


@pytest.fixture(scope="module")
def samples(registry: Registry) -> Registry:
    """A real registry with all samples, as far as it stores them, as tags of ``info/app``."""
    for name, sample in SAMPLES.items():
        if stored(sample):
            images.push(registry.url, "info/app", sample, name)
    return registry


@pytest.fixture
def asked(samples: Registry) -> t.Callable[[], list[tuple[str, str]]]:
    """``asked()``: method and path below ``/v2/info/app/`` of each request of this test."""
    samples.clear_requests()
    return lambda: [(method, path[len("/v2/info/app/") :]) for method, path, _status in samples.requests()]


def blobs(image: images.Image) -> dict[str, int]:
    """The sizes of what an image needs, from its blobs themselves; from descriptors for what is kept elsewhere."""
    found = {digest: len(data) for digest, data in image.blobs.items()}
    for entry in image.manifest.get("layers", []):
        found.setdefault(entry["digest"], entry["size"])
    for child in getattr(image, "children", ()):
        found.update(blobs(child))
    return found


@pytest.mark.parametrize("name", named(*sorted(SAMPLES)))
def test_every_kind_of_image(samples: Registry, read: Read, asked: t.Callable[[], t.Any], name: str) -> None:
    sample = SAMPLES[name]
    result = read(samples.url, f"info/app:{name}")
    assert asked() == [("GET", f"manifests/{name}")]
    assert result["raw"].encode() == sample.raw
    assert result["manifest"] == sample.manifest
    assert result["digest"] == sample.digest
    assert result["pinned"] == f"{samples.host}/info/app@{sample.digest}"
    assert result["image"] == f"{samples.host}/info/app:{name}"
    assert (result["exists"], result["changed"], result["index_digest"]) == (True, False, None)
    assert (result["media_type"], result["size"]) == (sample.media_type, len(sample.raw))
    assert result["is_index"] == isinstance(sample, images.Index)
    assert result["headers"]["docker-content-digest"] == sample.digest
    assert [(layer["digest"], layer["size"], layer["media_type"]) for layer in result["layers"]] == [
        (layer["digest"], layer["size"], layer["mediaType"]) for layer in sample.manifest.get("layers", [])
    ]
    known = not result["is_index"] or name == "empty-index"
    assert result["total_size"] == (sum(blobs(sample).values()) if known else None)
    assert result["artifact_type"] == ("application/vnd.example.signature" if name == "signature" else None)
    assert "config" not in result


@pytest.mark.parametrize(
    "name", named(*(name for name in sorted(SAMPLES) if isinstance(SAMPLES[name], images.Index)))
)
def test_sizes_of_an_index(samples: Registry, read: Read, asked: t.Callable[[], t.Any], name: str) -> None:
    index = t.cast(images.Index, SAMPLES[name])
    result = read(samples.url, f"info/app:{name}", sizes=True)
    assert result["total_size"] == sum(blobs(index).values())
    assert [entry["digest"] for entry in result["platforms"]] == [child.digest for child in index.children]
    assert [entry["size"] for entry in result["platforms"]] == [len(child.raw) for child in index.children]
    assert [entry["total_size"] for entry in result["platforms"]] == [
        sum(blobs(child).values()) for child in index.children
    ]
    distinct = {child.digest for child in _below(index)}
    assert sorted(asked()[1:]) == sorted(("GET", f"manifests/{digest}") for digest in distinct)


def _below(index: images.Index) -> t.Iterator[images.Image]:
    for child in index.children:
        yield child
        if isinstance(child, images.Index):
            yield from _below(child)


def test_sizes_of_an_image_cost_nothing(samples: Registry, read: Read, asked: t.Callable[[], t.Any]) -> None:
    result = read(samples.url, "info/app:same-layer-twice", sizes=True)
    assert asked() == [("GET", "manifests/same-layer-twice")]
    layer, same = result["layers"]
    assert layer == same
    # The gem's manifest_sum adds up all entries, without the configuration.
    assert result["total_size"] == layer["size"] + result["manifest"]["config"]["size"]
    assert sum(entry["size"] for entry in result["layers"]) == 2 * layer["size"]


def test_platforms_and_attestations(samples: Registry, read: Read) -> None:
    index = t.cast(images.Index, SAMPLES["attested-index"])
    plain, arm, *_proofs = index.children
    result = read(samples.url, "info/app:attested-index")
    assert [(entry["platform"], entry["attestation_of"]) for entry in result["platforms"]] == [
        ("linux/amd64", None),
        ("linux/arm64", None),
        ("unknown/unknown", plain.digest),
        ("unknown/unknown", arm.digest),
    ]
    assert result["platforms"][2]["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    assert {entry["total_size"] for entry in result["platforms"]} == {None}


@pytest.mark.parametrize("platform", ["linux/arm64/v8", "linux/arm64", "Linux/aarch64"])
@pytest.mark.parametrize("name", ["index", "attested-index"])
def test_one_platform_of_an_index(
    samples: Registry, read: Read, asked: t.Callable[[], t.Any], platform: str, name: str
) -> None:
    result = read(samples.url, f"info/app:{name}", platform=platform)
    assert (result["digest"], result["raw"].encode()) == (ARM.digest, ARM.raw)
    assert result["index_digest"] == SAMPLES[name].digest
    assert result["pinned"] == f"{samples.host}/info/app@{ARM.digest}"
    assert result["headers"]["docker-content-digest"] == ARM.digest
    assert result["is_index"] is False
    assert asked() == [("GET", f"manifests/{name}"), ("GET", f"manifests/{ARM.digest}")]


def test_a_platform_that_an_index_lacks(samples: Registry, read: Read) -> None:
    with pytest.raises(NotFound, match="linux/s390x.* linux/amd64, linux/arm64") as caught:
        read(samples.url, "info/app:attested-index", platform="linux/s390x")
    assert "unknown" not in str(caught.value)


def test_the_platform_of_a_single_image(samples: Registry, read: Read, asked: t.Callable[[], t.Any]) -> None:
    result = read(samples.url, "info/app:oci", platform="linux/amd64")
    assert (result["digest"], result["index_digest"]) == (SAMPLES["oci"].digest, None)
    config = SAMPLES["oci"].manifest["config"]["digest"]
    assert asked() == [("GET", "manifests/oci"), ("GET", f"blobs/{config}")]
    with pytest.raises(NotFound, match="linux/arm64.* linux/amd64"):
        read(samples.url, "info/app:oci", platform="linux/arm64")


def test_config(samples: Registry, read: Read, asked: t.Callable[[], t.Any]) -> None:
    result = read(samples.url, "info/app:index", platform="linux/arm64", config=True)
    descriptor = ARM.manifest["config"]
    assert asked()[2:] == [("GET", f"blobs/{descriptor['digest']}")]
    assert result["config"] == {
        "platform": "linux/arm64",
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": images.CREATED,
        "labels": {},
        "env": {"PATH": "/bin"},
        "entrypoint": [],
        "cmd": ["/bin/sh"],
        "user": "",
        "working_dir": "",
        "exposed_ports": [],
        "full": json.loads(ARM.blobs[descriptor["digest"]]),
    }
    assert read(samples.url, "info/app:oci", config=True)["config"]["labels"] == {"org.example.kind": "plain"}
    assert read(samples.url, "info/app:no-created", config=True)["config"]["created"] is None


@pytest.mark.parametrize("name", named("index", "docker-list", "signature"))
def test_what_has_no_config(samples: Registry, read: Read, asked: t.Callable[[], t.Any], name: str) -> None:
    assert read(samples.url, f"info/app:{name}", config=True)["config"] is None
    assert asked() == [("GET", f"manifests/{name}")]


def test_an_artifact_and_its_subject(samples: Registry, read: Read) -> None:
    result = read(samples.url, "info/app:signature")
    plain = SAMPLES["oci"]
    assert result["artifact_type"] == "application/vnd.example.signature"
    assert result["subject"] == {
        "media_type": plain.media_type,
        "digest": plain.digest,
        "size": len(plain.raw),
    }
    assert read(samples.url, "info/app:oci")["subject"] is None


def test_annotations(samples: Registry, read: Read) -> None:
    result = read(samples.url, "info/app:annotated")
    assert result["annotations"] == {"org.opencontainers.image.version": "1.0"}


@pytest.mark.parametrize(
    "image", ["info/app:none", "info/none:1", f"info/app@sha256:{'0' * 64}", "info/none"]
)
def test_what_does_not_exist(samples: Registry, read: Read, image: str) -> None:
    result = read(samples.url, image, platform="linux/amd64", config=True, sizes=True)
    assert result == {
        "changed": False,
        "exists": False,
        "image": f"{samples.host}/{image}",
        "digest": None,
    }


def test_an_image_by_digest(samples: Registry, read: Read, asked: t.Callable[[], t.Any]) -> None:
    digest = SAMPLES["oci"].digest
    assert read(samples.url, f"info/app:index@{digest}")["digest"] == digest
    assert asked() == [("GET", f"manifests/{digest}")]


def test_expected_digest(samples: Registry, read: Read, asked: t.Callable[[], t.Any]) -> None:
    right, wrong = SAMPLES["index"].digest, SAMPLES["oci"].digest
    assert read(samples.url, "info/app:index", expected_digest=right)["digest"] == right
    found = read(samples.url, "info/app:index", expected_digest=right, platform="linux/arm64")
    assert found["digest"] == ARM.digest
    with pytest.raises(Refused) as caught:
        read(samples.url, "info/app:index", expected_digest=wrong)
    assert str(caught.value) == (
        f"{samples.host}/info/app:index has the digest {right}, not the expected {wrong}."
    )
    with pytest.raises(Refused, match=f"info/app:none does not exist, but the digest {wrong} is expected"):
        read(samples.url, "info/app:none", expected_digest=wrong)


def test_schema_1(read: Read) -> None:
    with Registry(schema1=True) as old:
        raw = images.push_schema1(old.url, "info/old", "1")
        old.clear_requests()
        result = read(old.url, "info/old:1", config=True, sizes=True)
        assert old.requests() == [("GET", "/v2/info/old/manifests/1", 200)]
    # The registry signs anew for each answer, and the digest is that of what it signs.
    assert {**json.loads(result["raw"]), "signatures": None} == {**json.loads(raw), "signatures": None}
    assert result["digest"] == result["headers"]["docker-content-digest"]
    assert result["digest"] != images.digest(result["raw"].encode())
    assert result["media_type"] == images.DOCKER_SCHEMA1
    assert (result["manifest"]["name"], result["manifest"]["architecture"]) == ("info/old", "amd64")
    blob = json.loads(raw)["fsLayers"][0]["blobSum"]
    assert result["layers"] == [{"digest": blob, "size": None, "media_type": None}]
    assert (result["total_size"], result["platforms"], result["artifact_type"]) == (None, [], None)
    assert (result["config"]["platform"], result["config"]["cmd"]) == ("linux/amd64", ["/bin/sh"])
    assert result["config"]["created"] == images.CREATED


def test_layers_of_schema_1_come_from_the_bottom_up(read: Read) -> None:
    layers = [images.digest(name.encode()) for name in ("top", "bottom")]
    manifest = {
        "schemaVersion": 1,
        "name": "a/b",
        "fsLayers": [*({"blobSum": layer} for layer in layers), "nonsense"],
        "history": [],
    }
    media_type = "application/vnd.docker.distribution.manifest.v1+json"
    with HostileRegistry() as server:
        server.add("a/b", images.Image(json.dumps(manifest).encode(), media_type, {}), "old")
        result = read(server.url, "a/b:old", config=True)
    assert [layer["digest"] for layer in result["layers"]] == [None, layers[1], layers[0]]
    assert result["config"] is None


def with_config(config: t.Any, **descriptor: t.Any) -> images.Image:
    """An image whose config is ``config`` as JSON; ``descriptor`` overrides what its manifest says of it."""
    raw, made = json.dumps(config).encode(), images.image([])
    manifest = made.manifest
    manifest["config"] = {**images.descriptor(raw, images.OCI_CONFIG), **descriptor}
    return dataclasses.replace(made, raw=json.dumps(manifest).encode(), blobs={images.digest(raw): raw})


def test_a_config_with_all_settings(read: Read) -> None:
    settings = {
        "Env": ["A=1=2", "EMPTY=", "BARE", "A=3"],
        "Entrypoint": ["/entry"],
        "User": "1000:1000",
        "WorkingDir": "/srv",
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
    }
    with HostileRegistry() as server:
        server.add("a/b", with_config({"os": "windows", "architecture": "amd64", "config": settings}), "x")
        config = read(server.url, "a/b:x", config=True)["config"]
    assert config["env"] == {"A": "3", "EMPTY": "", "BARE": ""}
    assert (config["entrypoint"], config["user"], config["working_dir"]) == (["/entry"], "1000:1000", "/srv")
    assert config["exposed_ports"] == ["53/udp", "8080/tcp"]
    assert config["platform"] == "windows/amd64"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"config": None},
        {"config": []},
        {
            "os": 1,
            "architecture": ["x"],
            "config": {"Env": "A=1", "Labels": [], "Cmd": "sh", "ExposedPorts": [1]},
        },
        {"config": {"Env": [1, None], "User": 7, "Entrypoint": None, "WorkingDir": {}}},
    ],
)
def test_a_config_of_any_shape_is_read(read: Read, content: dict[str, t.Any]) -> None:
    with HostileRegistry() as server:
        server.add("a/b", with_config(content), "x")
        config = read(server.url, "a/b:x", config=True)["config"]
    assert (config["env"], config["labels"], config["cmd"], config["entrypoint"]) == ({}, {}, [], [])
    assert (config["user"], config["working_dir"], config["exposed_ports"]) == ("", "", [])
    assert (config["platform"], config["full"]) == (None, content)


def test_a_config_that_is_no_object_is_refused(read: Read) -> None:
    with HostileRegistry() as server:
        server.add("a/b", with_config([]), "x")
        with pytest.raises(ProtocolError, match="The image configuration is not a JSON object"):
            read(server.url, "a/b:x", config=True)


def test_a_config_with_other_bytes_is_refused(read: Read) -> None:
    with HostileRegistry(wrong_bytes="blob") as server:
        server.add("a/b", SAMPLES["oci"], "x")
        with pytest.raises(DigestMismatch):
            read(server.url, "a/b:x", config=True)


@pytest.mark.parametrize("size", [2, 100])
def test_a_config_of_another_size_is_refused(read: Read, size: int) -> None:
    with HostileRegistry() as server:
        server.add("a/b", with_config({"os": "linux"}, size=size), "x")
        with pytest.raises((DigestMismatch, ProtocolError)):
            read(server.url, "a/b:x", config=True)


def test_a_config_too_large_is_not_even_asked_for(read: Read) -> None:
    with HostileRegistry() as server:
        server.add("a/b", with_config({}, size=(8 << 20) + 1), "x")
        with pytest.raises(ProtocolError, match="more than the 8388608 that are read"):
            read(server.url, "a/b:x", config=True)
        assert server.count("/blobs/") == 0


def test_a_config_whose_download_breaks_is_completed(read: Read) -> None:
    with HostileRegistry(cut_first=1, cut_after=10) as server:
        server.add("a/b", SAMPLES["oci"], "x")
        assert read(server.url, "a/b:x", config=True)["config"]["os"] == "linux"
        assert [one.headers["Range"] for one in server.requests[1:]] == [None, "bytes=10-"]


def test_an_index_that_lacks_a_manifest(read: Read) -> None:
    index = t.cast(images.Index, SAMPLES["index"])
    with HostileRegistry() as server:
        server.add("a/b", index, "x")
        del server.repository("a/b").manifests[ARM.digest]
        result = read(server.url, "a/b:x", sizes=True)
        plain = sum(blobs(index.children[0]).values())
        assert [entry["total_size"] for entry in result["platforms"]] == [plain, None]
        assert result["total_size"] is None
        with pytest.raises(NotFound, match=f"{ARM.digest} as its image for linux/arm64"):
            read(server.url, "a/b:x", platform="linux/arm64")


@pytest.mark.parametrize(("depth", "allowed"), [(15, True), (16, False)])
def test_nesting_is_bounded(read: Read, depth: int, allowed: bool) -> None:
    image = SAMPLES["oci"]
    for _level in range(depth):
        image = images.index([image])
    with HostileRegistry() as server:
        server.add("a/b", image, "x")
        if allowed:
            assert read(server.url, "a/b:x", sizes=True)["total_size"] == sum(blobs(image).values())
            return
        with pytest.raises(ProtocolError, match="nested too deeply"):
            read(server.url, "a/b:x", sizes=True)


def test_two_windows_are_told_apart(read: Read) -> None:
    index = images.index([SAMPLES["oci"], SAMPLES["annotated"]])
    manifest = index.manifest
    for entry, version in zip(manifest["manifests"], ("10.0.17763.1", "10.0.20348.2")):
        entry["platform"] = {"os": "windows", "architecture": "amd64", "os.version": version}
    with HostileRegistry() as server:
        server.add("a/b", dataclasses.replace(index, raw=json.dumps(manifest).encode()), "x")
        result = read(server.url, "a/b:x")
    assert [(entry["platform"], entry["os_version"]) for entry in result["platforms"]] == [
        ("windows/amd64", "10.0.17763.1"),
        ("windows/amd64", "10.0.20348.2"),
    ]


def test_the_location_of_a_manifest_is_not_returned(read: t.Any) -> None:
    with HostileRegistry(headers={"Location": "https://store.example.com/x?sig=5ecret"}) as server:
        server.add("a/b", images.image({"a": "1"}), "x")
        assert "5ecret" not in json.dumps(read(server.url, "a/b:x"))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"image": "A:1"}, "names are lower case"),
        ({"image": ""}, "The image reference is empty"),
        ({"image": "a/b:1", "platform": "arm64"}, "'arm64' is not a platform: write os/architecture"),
        ({"image": "a/b:1", "expected_digest": "123"}, "'123' is not a valid expected_digest"),
        ({"image": "a/b:1", "expected_digest": ""}, "'' is not a valid expected_digest"),
        ({"image": "a/b:1", "expected_digest": "", "content": False}, "'' is not a valid expected_digest"),
    ],
)
def test_bad_input_sends_nothing(read: Read, parameters: dict[str, t.Any], sentence: str) -> None:
    with HostileRegistry() as server:
        with pytest.raises(InvalidInput, match=sentence):
            read(server.url, **parameters)
        assert not server.requests


def test_without_content_one_head_is_sent(
    read: Read, samples: Registry, asked: t.Callable[[], list[tuple[str, str]]]
) -> None:
    image = SAMPLES["oci"]
    result = read(samples.url, "info/app:oci", content=False, expected_digest=image.digest)
    assert asked() == [("HEAD", "manifests/oci")]
    whole = read(samples.url, "info/app:oci")
    assert result == {name: whole[name] for name in result}
    assert {*result} == {"changed", "exists", "image", "digest", "pinned", "media_type", "size"}


def test_without_content_what_is_absent_or_another_image_is_told(read: Read, samples: Registry) -> None:
    absent = read(samples.url, "info/app:none", content=False)
    assert (absent["exists"], absent["digest"]) == (False, None)
    with pytest.raises(Refused, match="expected"):
        read(samples.url, "info/app:oci", content=False, expected_digest=images.digest(b"other"))


@pytest.mark.parametrize("option", [{"platform": "linux/amd64"}, {"config": True}, {"sizes": True}])
def test_what_needs_the_content_is_refused_without(read: Read, option: dict[str, t.Any]) -> None:
    with HostileRegistry() as server:
        with pytest.raises(InvalidInput, match=f"{next(iter(option))} needs the content"):
            read(server.url, "a/b:1", content=False, **option)
        assert not server.requests
