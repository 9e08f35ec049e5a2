# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_append adds what was named to images, keeps everything else, and does nothing the second time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pathlib
import tarfile
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LocalStorageError,
    NotFound,
    ProtocolError,
    Refused,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_append
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
MYDATA = images.layer({"mydata/hello.txt": "hello\n", "mydata/deep/file": "deep\n"})
SMALL = images.layer({"hello.txt": "hello\n"})


def text_layer(content: str = "text\n", dest: str = "/mydata/text") -> dict[str, t.Any]:
    return {"files": [{"content": content, "dest": dest}]}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def mydata(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """The layer of the tarball mydata.tgz."""
    path = tmp_path / "mydata.tgz"
    path.write_bytes(MYDATA.data)
    return {"src": str(path)}


@pytest.fixture
def append(connect: Connect, registry: Registry) -> t.Callable[..., dict[str, t.Any]]:
    def run(check_mode: bool = False, **params: t.Any) -> dict[str, t.Any]:
        connection, _client = connect(registry.url, retries=0)
        return task(registry_append, connection, check_mode=check_mode, **params)

    return run


Append = t.Callable[..., t.Dict[str, t.Any]]


def read(registry: Registry, repository: str, reference: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Manifest and config of an image, after checking that everything is there and is what it claims."""
    raw, media_type = images.get_manifest(registry.url, repository, reference)
    manifest = json.loads(raw)
    assert manifest["mediaType"] == media_type
    for entry in [manifest["config"], *manifest["layers"]]:
        blob = images.get_blob(registry.url, repository, entry["digest"])
        assert blob is not None and (digest(blob), len(blob)) == (entry["digest"], entry["size"])
    config = json.loads(images.get_blob(registry.url, repository, manifest["config"]["digest"]) or b"")
    diff_ids = []
    for entry in manifest["layers"]:
        blob = images.get_blob(registry.url, repository, entry["digest"]) or b""
        if entry["mediaType"].endswith("gzip"):
            diff_ids.append(digest(gzip.decompress(blob)))
    if len(diff_ids) == len(manifest["layers"]):
        assert config["rootfs"]["diff_ids"] == diff_ids
    history = [entry for entry in config["history"] if not entry.get("empty_layer")]
    assert len(history) == len(manifest["layers"])
    return manifest, config


def files(registry: Registry, repository: str, entry: dict[str, t.Any]) -> dict[str, bytes]:
    raw = images.get_blob(registry.url, repository, entry["digest"]) or b""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        members = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in members.items() if file}


def writes(registry: Registry) -> list[tuple[str, str]]:
    return [(method, uri) for method, uri, _status in registry.requests() if method not in ("GET", "HEAD")]


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_a_tarball_on_an_image(
    append: Append, registry: Registry, mydata: dict[str, t.Any], media: str
) -> None:
    repository = f"tarball/{media}"
    base = images.image([SMALL], media=media, labels={"kept": "yes"})
    images.push(registry.url, repository, base, "1")
    registry.clear_requests()
    predicted = append(True, image=f"{repository}:1", layers=[mydata], tags=["1-data"])
    assert writes(registry) == []

    result = append(image=f"{repository}:1", layers=[mydata], tags=["1-data"])
    assert result["changed"] is predicted["changed"] is True
    assert {**result, "blobs": None} == {**predicted, "blobs": None}
    assert result["blobs"]["missing"] == predicted["blobs"]["missing"] == 2
    assert result["base_digest"] == base.digest
    assert result["digest"] == images.head(registry.url, repository, "1-data")
    assert result["platforms"] == [
        {"platform": "linux/amd64", "base_digest": base.digest, "digest": result["digest"]}
    ]
    manifest, config = read(registry, repository, "1-data")
    assert manifest["layers"][:-1] == base.manifest["layers"]
    assert manifest["layers"][-1] == MYDATA.descriptor(media)
    assert manifest["config"]["mediaType"] == base.manifest["config"]["mediaType"]
    before = json.loads(base.blobs[base.manifest["config"]["digest"]])
    assert config["history"][:-1] == before["history"]
    assert config["history"][-1] == {
        "created": before["created"],
        "created_by": "ocikit.registry.registry_append",
    }
    untouched = {key: value for key, value in before.items() if key not in ("rootfs", "history")}
    assert {key: config[key] for key in untouched} == untouched
    assert images.head(registry.url, repository, "1") == base.digest

    registry.clear_requests()
    again = append(image=f"{repository}:1", layers=[mydata], tags=["1-data"])
    assert again["changed"] is False
    assert again["digest"] == result["digest"]
    assert again["diff"] == {"before": "", "after": ""}
    # The base's manifest and config, where the tag is, and whether its config and layers are there.
    assert sorted(method for method, uri, _status in registry.requests() if uri != "/v2/") == [
        "GET",
        "GET",
        "HEAD",
        "HEAD",
        "HEAD",
        "HEAD",
    ]


def test_appending_to_the_same_tag(append: Append, registry: Registry, mydata: dict[str, t.Any]) -> None:
    images.push(registry.url, "same/tag", images.image([SMALL]), "1")
    first = append(image="same/tag:1", layers=[mydata, text_layer()], labels={"a": "b"}, tags=["1"])
    assert first["changed"] is True
    second = append(image="same/tag:1", layers=[mydata, text_layer()], labels={"a": "b"}, tags=["1"])
    assert second["changed"] is False
    assert second["digest"] == second["base_digest"] == first["digest"]
    # Other settings, the same layers: they are not added a second time.
    third = append(image="same/tag:1", layers=[mydata, text_layer()], labels={"a": "c"}, tags=["1"])
    assert third["changed"] is True
    manifest, config = read(registry, "same/tag", "1")
    assert len(manifest["layers"]) == 3
    assert config["config"]["Labels"] == {"a": "c"}
    # Only a part of them at the end is something else.
    fourth = append(image="same/tag:1", layers=[text_layer(), mydata], tags=["1"])
    assert fourth["changed"] is True
    assert len(read(registry, "same/tag", "1")[0]["layers"]) == 5


def test_files_and_folders(append: Append, registry: Registry, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conf" / "sub").mkdir(parents=True)
    (tmp_path / "conf" / "sub" / "file").write_text("sub\n")
    images.push(registry.url, "files/app", images.image([SMALL]), "1")
    layer = {
        "files": [
            {"src": f"{tmp_path}/conf/", "dest": "/etc/app", "owner": 1000, "group": 1001},
            {"content": "x: 1\n", "dest": "/etc/app.yml", "mode": "0600"},
        ],
    }
    result = append(image="files/app:1", layers=[layer, text_layer()], tags=["2"])
    manifest, config = read(registry, "files/app", "2")
    assert files(registry, "files/app", manifest["layers"][1]) == {
        "etc/app/sub/file": b"sub\n",
        "etc/app.yml": b"x: 1\n",
    }
    assert files(registry, "files/app", manifest["layers"][2]) == {"mydata/text": b"text\n"}
    assert [layer["digest"] for layer in result["layers"]] == [
        entry["digest"] for entry in manifest["layers"][1:]
    ]
    assert [layer["diff_id"] for layer in result["layers"]] == config["rootfs"]["diff_ids"][1:]


def test_from_nothing(append: Append, registry: Registry, mydata: dict[str, t.Any]) -> None:
    to = "nothing/app:1"
    settings: dict[str, t.Any] = {
        "labels": {"b": "2", "a": "1"},
        "env": {"PATH": "/bin", "LEVEL": 3},
        "entrypoint": ["/bin/server", "--verbose"],
        "cmd": ["start"],
        "user": "65534:65534",
        "workdir": "/mydata",
        "exposed_ports": ["8080", "53/udp"],
        "volumes": ["/mydata"],
        "annotations": {"org.opencontainers.image.title": "app"},
        "author": "me",
        "comment": "why",
    }
    predicted = append(True, layers=[mydata], to=[to], platforms=["linux/arm/v6"], **settings)
    assert images.tags(registry.url, "nothing/app") == []
    result = append(layers=[mydata], to=[to], platforms=["linux/arm/v6"], **settings)
    assert result == predicted
    assert (result["image"], result["base_digest"]) == (None, None)
    assert result["digest"] == images.head(registry.url, "nothing/app", "1")
    manifest, config = read(registry, "nothing/app", "1")
    assert manifest["mediaType"] == images.OCI_MANIFEST
    assert manifest["annotations"] == {"org.opencontainers.image.title": "app"}
    assert config == {
        "created": "1970-01-01T00:00:00Z",
        "author": "me",
        "architecture": "arm",
        "variant": "v6",
        "os": "linux",
        "config": {
            "Labels": {"a": "1", "b": "2"},
            "Env": ["LEVEL=3", "PATH=/bin"],
            "Entrypoint": ["/bin/server", "--verbose"],
            "Cmd": ["start"],
            "User": "65534:65534",
            "WorkingDir": "/mydata",
            "ExposedPorts": {"53/udp": {}, "8080/tcp": {}},
            "Volumes": {"/mydata": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [MYDATA.diff_id]},
        "history": [
            {
                "created": "1970-01-01T00:00:00Z",
                "author": "me",
                "comment": "why",
                "created_by": "ocikit.registry.registry_append",
            }
        ],
    }
    assert append(layers=[mydata], to=[to], platforms=["linux/arm/v6"], **settings)["changed"] is False


def test_settings_on_an_image(append: Append, registry: Registry) -> None:
    """Settings alone add no layer; names that are there are replaced in their places."""
    base = images.image([SMALL], environment=("A=1", "B=2", "C=3"), command=("run",), labels={"x": "1"})
    images.push(registry.url, "settings/app", base, "1")
    append(
        image="settings/app:1",
        labels={"y": "2"},
        env={"B": "two=2", "D": ""},
        entrypoint=["/entry"],
        created="2026-01-31T12:00:00Z",
        tags=["2"],
    )
    manifest, config = read(registry, "settings/app", "2")
    assert manifest["layers"] == base.manifest["layers"]
    assert config["created"] == "2026-01-31T12:00:00Z"
    assert config["config"] == {
        "Entrypoint": ["/entry"],
        "Env": ["A=1", "B=two=2", "C=3", "D="],
        "Labels": {"x": "1", "y": "2"},
    }
    again = append(image="settings/app:2", entrypoint=["/entry"], tags=["2"])
    assert (again["changed"], again["digest"]) == (False, images.head(registry.url, "settings/app", "2"))
    append(image="settings/app:2", entrypoint=[], cmd=["run"], tags=["3"])
    config = read(registry, "settings/app", "3")[1]["config"]
    assert "Entrypoint" not in config and config["Cmd"] == ["run"]


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_an_index(append: Append, registry: Registry, media: str) -> None:
    repository = f"index/{media}"
    children = [
        images.image([SMALL], media=media),
        images.image([SMALL], media=media, architecture="arm64", variant="v8"),
    ]
    annotations = {"note": "kept"} if media == "oci" else None
    base = images.index(children, media=media, annotations=annotations, attestations=media == "oci")
    images.push(registry.url, repository, base, "1")
    predicted = append(True, image=f"{repository}:1", layers=[text_layer()], tags=["2"])
    result = append(image=f"{repository}:1", layers=[text_layer()], tags=["2"])
    assert {**result, "blobs": None} == {**predicted, "blobs": None}
    raw, media_type = images.get_manifest(registry.url, repository, "2")
    index = json.loads(raw)
    assert media_type == base.media_type == index["mediaType"] == result["media_type"]
    assert index.get("annotations") == annotations
    assert [entry["platform"] for entry in index["manifests"]] == [child.platform for child in children]
    assert result["dropped_attestations"] == sorted(proof.digest for proof in base.children[2:])
    assert result["platforms"] == [
        {"platform": platform, "base_digest": child.digest, "digest": entry["digest"]}
        for platform, child, entry in zip(["linux/amd64", "linux/arm64"], children, index["manifests"])
    ]
    for entry, child in zip(index["manifests"], children):
        manifest, _config = read(registry, repository, entry["digest"])
        assert manifest["layers"][:-1] == child.manifest["layers"]
        assert files(registry, repository, manifest["layers"][-1]) == {"mydata/text": b"text\n"}
    assert append(image=f"{repository}:2", layers=[text_layer()], tags=["2"])["changed"] is False


def test_chosen_platforms_of_an_index(append: Append, registry: Registry) -> None:
    arm = images.image([SMALL], architecture="arm64", variant="v8")
    base = images.index([images.image([SMALL]), arm], attestations=True)
    images.push(registry.url, "chosen/app", base, "1")
    result = append(image="chosen/app:1", layers=[text_layer()], platforms=["linux/arm64"], tags=["2"])
    index = json.loads(images.get_manifest(registry.url, "chosen/app", "2")[0])
    before = base.manifest["manifests"]
    assert [entry["digest"] for entry in index["manifests"]] == [
        before[0]["digest"],
        result["platforms"][0]["digest"],
        before[2]["digest"],
    ]
    assert [one["platform"] for one in result["platforms"]] == ["linux/arm64"]
    assert result["dropped_attestations"] == [base.children[3].digest]
    with pytest.raises(NotFound, match="no image for linux/s390x: it has linux/amd64, linux/arm64"):
        append(image="chosen/app:1", layers=[text_layer()], platforms=["linux/s390x"], tags=["3"])


def test_a_nested_index_and_an_artifact_in_one(append: Append, registry: Registry) -> None:
    inner = images.index(
        [images.image([SMALL], architecture="s390x"), images.image([SMALL], architecture="ppc64le")]
    )
    chart = images.artifact("application/vnd.example.chart", b"chart", "text/plain")
    base = images.index([inner, images.image([SMALL]), chart])
    images.push(registry.url, "nested/app", base, "1")
    result = append(image="nested/app:1", layers=[text_layer()], platforms=["linux/s390x"], tags=["2"])
    index = json.loads(images.get_manifest(registry.url, "nested/app", "2")[0])
    assert index["manifests"][1:] == base.manifest["manifests"][1:]
    below = json.loads(images.get_manifest(registry.url, "nested/app", index["manifests"][0]["digest"])[0])
    assert below["manifests"][0]["digest"] == result["platforms"][0]["digest"]
    assert below["manifests"][1] == inner.manifest["manifests"][1]
    assert len(append(image="nested/app:1", layers=[text_layer()], tags=["2"])["platforms"]) == 3


@pytest.mark.registry_does("own_blobs")
def test_another_repository_mounts_and_another_registry_copies(
    append: Append, registry: Registry, mydata: dict[str, t.Any]
) -> None:
    base = images.image([SMALL])
    images.push(registry.url, "mount/base", base, "1")
    registry.clear_requests()
    result = append(image="mount/base:1", layers=[mydata], tags=["2"], to=["mount/other:1", "mount/other:2"])
    requests = registry.requests()
    assert set(images.state(registry.url, "mount/other").values()) == {result["digest"]}
    assert read(registry, "mount/other", "1") == read(registry, "mount/base", "2")
    assert [target["image"].partition("/")[2] for target in result["targets"]] == [
        "mount/base:2",
        "mount/other:1",
        "mount/other:2",
    ]
    # No layer that the registry has crosses the network; what is new goes once to the registry.
    fetched = [uri for method, uri, _status in requests if method == "GET" and "/blobs/" in uri]
    assert [uri.rpartition("/")[2] for uri in fetched] == [base.manifest["config"]["digest"]]
    assert result["blobs"]["missing"] == 2 and result["blobs"]["mounted"] == 3
    with Registry() as other:
        result = append(image="mount/base:1", layers=[mydata], to=[f"{other.host}/copied/app:1"])
        assert read(other, "copied/app", "1") == read(registry, "mount/base", "2")
        assert result["changed"] is True


@pytest.mark.parametrize("compression", ["", "zstd"])
def test_on_layers_of_other_kinds(append: Append, registry: Registry, compression: str) -> None:
    try:
        base = images.image([images.layer({"hello.txt": "hello\n"}, compression=compression)])
    except images.ZstdMissing as error:
        pytest.skip(str(error))
    images.push(registry.url, f"kinds/app{compression}", base, "1")
    append(image=f"kinds/app{compression}:1", layers=[text_layer()], tags=["2"])
    assert len(read(registry, f"kinds/app{compression}", "2")[0]["layers"]) == 2


def test_zstd_layers(append: Append, registry: Registry, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("zstandard", reason="no library for zstd is here")
    made = images.layer({"mydata/hello.txt": "hello\n"}, compression="zstd")
    (tmp_path / "mydata.tar.zst").write_bytes(made.data)
    layer = {"src": str(tmp_path / "mydata.tar.zst")}
    images.push(registry.url, "zstd/app", images.image([SMALL]), "1")
    images.push(registry.url, "zstd/app", images.image([SMALL], media="docker"), "1-docker")
    append(image="zstd/app:1", layers=[layer], tags=["2"])
    manifest, config = read(registry, "zstd/app", "2")
    assert manifest["layers"][-1] == made.descriptor("oci")
    assert config["rootfs"]["diff_ids"][-1] == made.diff_id
    with pytest.raises(InvalidInput, match="zstd layer cannot be appended to an image of Docker's"):
        append(image="zstd/app:1-docker", layers=[layer], tags=["3"])
    assert images.tags(registry.url, "zstd/app") == ["1", "1-docker", "2"]


def test_foreign_layers_stay(append: Append, registry: Registry) -> None:
    base = images.image([images.foreign_layer(["http://127.0.0.1:9/layer"], {"far.txt": "far\n"})])
    images.push(registry.url, "foreign/app", base, "1")
    result = append(image="foreign/app:1", layers=[text_layer()], tags=["2"])
    manifest = json.loads(images.get_manifest(registry.url, "foreign/app", "2")[0])
    assert manifest["layers"][0] == base.manifest["layers"][0]
    assert result["changed"] is True


def altered(base: images.Image, change: t.Callable[[dict[str, t.Any]], None]) -> images.Image:
    """The image with another config."""
    manifest = base.manifest
    config = json.loads(base.blobs[manifest["config"]["digest"]])
    change(config)
    raw = json.dumps(config).encode()
    blobs = {key: data for key, data in base.blobs.items() if key != manifest["config"]["digest"]}
    manifest["config"].update(digest=digest(raw), size=len(raw))
    return images.Image(
        json.dumps(manifest).encode(), base.media_type, {**blobs, digest(raw): raw}, base.platform
    )


def test_unknown_fields_are_kept(append: Append, registry: Registry) -> None:
    extra = {"big": 2**70, "float": 0.1, "text": "größe \u2028", "deep": [{"a": None}], "moby.id": "x"}

    def change(config: dict[str, t.Any]) -> None:
        config.update(extra)
        config["config"]["OnBuild"] = ["RUN x"]

    images.push(registry.url, "unknown/app", altered(images.image([SMALL]), change), "1")
    append(image="unknown/app:1", layers=[text_layer()], tags=["2"])
    config = read(registry, "unknown/app", "2")[1]
    assert {key: config[key] for key in extra} == extra
    assert config["config"]["OnBuild"] == ["RUN x"]


@pytest.mark.parametrize("history", [None, [], [{"created_by": "a"}, {"created_by": "b"}]])
def test_a_history_that_does_not_match_is_left_alone(
    append: Append, registry: Registry, history: t.Any
) -> None:
    base = altered(images.image([SMALL]), lambda config: config.update(history=history))
    images.push(registry.url, "history/app", base, "1")
    append(image="history/app:1", layers=[text_layer()], tags=["2"])
    manifest = json.loads(images.get_manifest(registry.url, "history/app", "2")[0])
    config = json.loads(images.get_blob(registry.url, "history/app", manifest["config"]["digest"]) or b"")
    assert config["history"] == history
    assert len(config["rootfs"]["diff_ids"]) == 2


def test_history_with_empty_layers(append: Append, registry: Registry) -> None:
    history = [{"created_by": "a"}, {"created_by": "ENV", "empty_layer": True}]
    base = altered(images.image([SMALL]), lambda config: config.update(history=history))
    images.push(registry.url, "history/empty", base, "1")
    append(image="history/empty:1", layers=[text_layer()], comment="why", tags=["2"])
    config = read(registry, "history/empty", "2")[1]
    assert config["history"][:2] == history
    assert config["history"][2]["comment"] == "why"


def test_a_config_that_contradicts_the_manifest(append: Append, registry: Registry) -> None:
    base = altered(images.image([SMALL]), lambda config: config["rootfs"].update(diff_ids=[]))
    images.push(registry.url, "contradiction/app", base, "1")
    with pytest.raises(ProtocolError, match="contradicts itself"):
        append(image="contradiction/app:1", layers=[text_layer()], tags=["2"])


def test_conditions(append: Append, registry: Registry) -> None:
    base, other = images.image([SMALL]), images.image({"other": "x"})
    for tag, image in {"1": base, "other": other}.items():
        images.push(registry.url, "conditions/app", image, tag)
    before = images.state(registry.url, "conditions/app")
    given: dict[str, t.Any] = {"image": "conditions/app:1", "layers": [text_layer()]}
    with pytest.raises(Refused, match="not the expected"):
        append(**given, tags=["2"], expected_digest=other.digest)
    with pytest.raises(Refused, match="overwrite is false"):
        append(**given, tags=["2", "other"], overwrite=False)
    with pytest.raises(Refused, match="as if_digest demands"):
        append(**given, tags=["other"], if_digest="absent")
    with pytest.raises(Refused, match="as if_digest demands"):
        append(**given, to=["conditions/app:2", {"image": "conditions/app:other", "if_digest": base.digest}])
    assert images.state(registry.url, "conditions/app") == before
    result = append(
        **given,
        expected_digest=base.digest,
        to=[{"image": "conditions/app:other", "if_digest": other.digest}],
        if_digest="absent",
    )
    assert images.head(registry.url, "conditions/app", "other") == result["digest"]


def test_the_image_of_a_platform_is_changed_however_deep_it_is(append: Append, registry: Registry) -> None:
    arm6, arm7 = (images.image([SMALL], architecture="arm", variant=variant) for variant in ("v6", "v7"))
    inner = images.index([arm6, arm7])
    images.push(registry.url, "deep/app", images.index([inner]), "1")
    result = append(image="deep/app:1", layers=[text_layer()], platforms=["linux/arm"], tags=["2"])
    (changed,) = result["platforms"]
    assert (changed["platform"], changed["base_digest"]) == ("linux/arm/v7", arm7.digest)
    raw, _type = images.get_manifest(registry.url, "deep/app", result["digest"])
    (entry,) = json.loads(raw)["manifests"]
    raw, _type = images.get_manifest(registry.url, "deep/app", entry["digest"])
    assert [one["digest"] for one in json.loads(raw)["manifests"]] == [arm6.digest, changed["digest"]]


def test_what_is_no_image(append: Append, registry: Registry) -> None:
    plain = images.image([SMALL])
    images.push(registry.url, "other/app", plain)
    chart = images.artifact("application/vnd.example.chart", b"chart", "text/plain")
    images.push(registry.url, "other/app", chart, "chart")
    images.push(registry.url, "other/app", images.attestation(plain), "attestation")
    images.push(registry.url, "other/app", images.index([]), "empty")
    for tag in ("chart", "attestation", "empty"):
        with pytest.raises(InvalidInput, match="holds no image with a file system"):
            append(image=f"other/app:{tag}", layers=[text_layer()], tags=["x"])
    with pytest.raises(NotFound, match="other/app:absent does not exist"):
        append(image="other/app:absent", layers=[text_layer()], tags=["x"])
    with pytest.raises(InvalidInput, match="have no annotations"):
        images.push(registry.url, "other/app", images.image([SMALL], media="docker"), "2")
        append(image="other/app:2", layers=[text_layer()], annotations={"a": "b"}, tags=["x"])
    images.push(registry.url, "other/app", plain, "plain")
    with pytest.raises(NotFound, match="no image for linux/arm64: it is a single image for linux/amd64"):
        append(image="other/app:plain", layers=[text_layer()], platforms=["linux/arm64"], tags=["x"])
    assert "x" not in images.tags(registry.url, "other/app")
    with Registry(schema1=True) as old:
        images.push_schema1(old.url, "old/app", "1")
        with pytest.raises(Unsupported, match="schema 1"):
            append(image=f"{old.host}/old/app:1", layers=[text_layer()], tags=["x"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "no place for the result"),
        ({"tags": ["1"]}, "without image, write full references in to"),
        ({"to": ["a/b:1"]}, "nothing to make an image of"),
        ({"to": ["a/b:1"], "labels": {"a": "b"}}, "nothing to make an image of"),
        ({"image": "a/b:1", "tags": ["2"]}, "nothing to append"),
        ({"to": ["a/b"], "layers": [text_layer()]}, "cannot be a target"),
        ({"to": ["a/b:1", "a/b:1"], "layers": [text_layer()]}, "named twice"),
        (
            {"to": ["a/b:1"], "layers": [text_layer()], "platforms": ["linux/amd64", "linux/arm64"]},
            "one platform",
        ),
        ({"to": ["a/b:1"], "layers": [text_layer()], "platforms": ["linux"]}, "not a platform"),
        (
            {"to": ["a/b:1"], "layers": [text_layer()], "expected_digest": "sha256:" + "0" * 64},
            "leave it out",
        ),
        ({"env": {"A=B": "x"}}, "not a valid name in env"),
        ({"env": {"": "x"}}, "not a valid name in env"),
        ({"env": {"A": True}}, "write it in quotes"),
        ({"labels": {"A": None}}, "write it in quotes"),
        ({"labels": {"A": ["x"]}}, "write it in quotes"),
        ({"workdir": "srv"}, "write an absolute path"),
        ({"volumes": ["../srv"]}, "write an absolute path"),
        ({"exposed_ports": ["0"]}, "not a valid port"),
        ({"exposed_ports": ["80/http"]}, "not a valid port"),
        ({"created": "yesterday"}, "not a valid time"),
        ({"created": "2026-02-31T00:00:00Z"}, "not a valid time"),
        ({"created": "2026-01-31 12:00:00+00:00"}, "not a valid time"),
        ({"layers": [text_layer(dest="/../x")]}, "not a valid dest"),
    ],
)
def test_bad_input_sends_nothing(
    append: Append, registry: Registry, params: dict[str, t.Any], message: str
) -> None:
    registry.clear_requests()
    more = {} if {"to", "tags"} & set(params) or not params else {"image": "a/b:1", "tags": ["2"]}
    with pytest.raises(InvalidInput, match=message):
        append(**{**more, **params})
    assert registry.requests() == []


def test_files_that_are_not_there(append: Append, registry: Registry, tmp_path: pathlib.Path) -> None:
    with pytest.raises(LocalStorageError, match="No such file"):
        append(layers=[{"src": str(tmp_path / "missing.tgz")}], to=["a/b:1"])
    (tmp_path / "text").write_text("no tar\n" * 1000)
    with pytest.raises(InvalidInput, match="not a tar archive"):
        append(layers=[{"src": str(tmp_path / "text")}], to=["a/b:1"])


def test_an_image_without_layers(append: Append, registry: Registry) -> None:
    images.push(registry.url, "empty/app", images.image([]), "1")
    append(image="empty/app:1", layers=[text_layer()], tags=["2"])
    assert len(read(registry, "empty/app", "2")[0]["layers"]) == 1


@pytest.mark.parametrize("layers", [None, [], "absent"])
def test_a_manifest_whose_layers_are_null(append: Append, layers: t.Any) -> None:
    """Go's programs write null for an empty list."""
    base = images.image([])
    data = {key: value for key, value in base.manifest.items() if key != "layers"}
    raw = json.dumps(data if layers == "absent" else {**data, "layers": layers}).encode()
    with HostileRegistry() as server:
        server.add("app", images.Image(raw, base.media_type, base.blobs, base.platform), "1")
        append(image=f"{server.host}/app:1", layers=[text_layer()], tags=["2"])
        manifest = json.loads(server.repository("app").manifests[server.repository("app").tags["2"]][1])
    assert len(manifest["layers"]) == 1


def test_an_index_with_an_image_of_windows(append: Append, registry: Registry) -> None:
    """Each system gets the layer in the form that it reads, and the result lists both."""
    linux = images.image([SMALL])
    windows = altered(images.image([SMALL]), lambda config: config.update(os="windows"))
    assert windows.platform
    windows.platform["os"] = "windows"
    images.push(registry.url, "windows/app", images.index([linux, windows]), "1")
    result = append(image="windows/app:1", layers=[text_layer()], tags=["2"])
    names = []
    for image in result["platforms"]:
        manifest = read(registry, "windows/app", image["digest"])[0]
        names.append((image["platform"], list(files(registry, "windows/app", manifest["layers"][-1]))))
    assert names == [("linux/amd64", ["mydata/text"]), ("windows/amd64", ["Files/mydata/text"])]
    assert len(result["layers"]) == len({layer["digest"] for layer in result["layers"]}) == 2
    again = append(image="windows/app:2", layers=[text_layer()], tags=["2"])
    assert not again["changed"]
    only = append(image="windows/app:1", layers=[text_layer()], platforms=["windows/amd64"], tags=["3"])
    assert [layer["digest"] for layer in only["layers"]] == [result["layers"][1]["digest"]]


def test_annotations_of_oci_images(append: Append, registry: Registry) -> None:
    base = images.index([images.image([SMALL], annotations={"a": "1"})])
    images.push(registry.url, "annotations/app", base, "1")
    result = append(image="annotations/app:1", annotations={"b": "2", "a": "3"}, tags=["2"])
    manifest = read(registry, "annotations/app", result["platforms"][0]["digest"])[0]
    assert manifest["annotations"] == {"a": "3", "b": "2"}
    assert append(image="annotations/app:2", annotations={"b": "2"}, tags=["2"])["changed"] is False
