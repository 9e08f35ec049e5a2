# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docker save writes, right, damaged, or beside an index that says something else."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    RegistryError,
)
from tests.registries import Registry, images
from tests.unit.copying import Mover, assert_whole, digest
from tests.unit.plugins.module_utils._storage.test_archive import write_tar

FIRST, SECOND = (gzip.decompress(images.layer({name: name * 999}).data) for name in ("a", "b"))


def config_of(*layers: bytes, **more: t.Any) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **more}).encode()


def saved(config: bytes, *layers: bytes, tag: str = "app:1", listed: t.Any = ...) -> dict[str, bytes]:
    names = [f"{number}-{tag}/layer.tar" for number, _layer in enumerate(layers)]
    entry = {"Config": f"{tag}.json", "RepoTags": [tag], "Layers": names if listed is ... else listed}
    return {f"{tag}.json": config, **dict(zip(names, layers)), "manifest.json": json.dumps([entry]).encode()}


def descriptor(raw: bytes, media_type: str = images.OCI_MANIFEST, **more: t.Any) -> dict[str, t.Any]:
    return {"mediaType": media_type, "digest": digest(raw), "size": len(raw), **more}


def manifest_of(config: bytes, *layers: bytes) -> bytes:
    data = {
        "schemaVersion": 2,
        "mediaType": images.OCI_MANIFEST,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
    }
    return json.dumps(data).encode()


def layout(entries: t.Any, *contents: bytes) -> dict[str, bytes]:
    files = {f"blobs/sha256/{digest(content)[7:]}": content for content in contents}
    return {**files, "oci-layout": b"{}", "index.json": json.dumps({"manifests": entries}).encode()}


def archive(path: pathlib.Path, *files: dict[str, bytes]) -> pathlib.Path:
    return write_tar(path / "a.tar", *((name, data) for group in files for name, data in group.items()))


def layers_of(registry: Registry, repository: str) -> list[dict[str, t.Any]]:
    layers: list[dict[str, t.Any]] = json.loads(images.get_manifest(registry.url, repository, "1")[0])[
        "layers"
    ]
    return layers


@pytest.mark.registry_does("docker")
@pytest.mark.parametrize("listed", [None, [], ...])
def test_an_image_without_layers(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, listed: t.Any
) -> None:
    mover.push(registry.url, archive(tmp_path, saved(config_of(), listed=listed)), "none:1")
    assert layers_of(registry, "none") == []


@pytest.mark.registry_does("docker")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_layer_that_is_not_the_one_of_the_config(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, pack: t.Callable[[bytes], bytes]
) -> None:
    config, damaged = config_of(FIRST, SECOND), SECOND[:600] + b"x" + SECOND[601:]
    mover.push(registry.url, archive(tmp_path, saved(config, pack(FIRST), pack(SECOND))), "right:1")
    ending = "tar.gzip" if pack is gzip.compress else "diff.tar"
    assert [layer["mediaType"].rpartition("rootfs.")[2] for layer in layers_of(registry, "right")] == [
        f"diff.{ending}" if ending == "tar.gzip" else ending
    ] * 2
    for layers, sentence in {
        (pack(FIRST), pack(damaged)): "the layer 1-app:1/layer.tar of app:1 has not the content",
        (pack(SECOND), pack(FIRST)): "the layer 0-app:1/layer.tar of app:1 has not the content",
        (pack(FIRST),): "app:1 has 1 layers in manifest.json and 2 in its configuration",
        (pack(FIRST), pack(SECOND), pack(SECOND)): "app:1 has 3 layers in manifest.json and 2",
    }.items():
        with pytest.raises(InvalidInput, match=sentence):
            mover.push(registry.url, archive(tmp_path, saved(config, *layers)), "wrong:1")
    assert images.tags(registry.url, "wrong") == []


@pytest.mark.parametrize(("pack", "name"), [(lzma.compress, "xz"), (bz2.compress, "bzip2")])
def test_layers_that_registries_do_not_take(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, pack: t.Callable[[bytes], bytes], name: str
) -> None:
    path = archive(tmp_path, saved(config_of(FIRST), pack(FIRST)))
    with pytest.raises(InvalidInput, match=f"is compressed with {name}: layers in registries are plain"):
        mover.push(registry.url, path, "types:1")


@pytest.mark.registry_does("docker")
@pytest.mark.parametrize("entries", [None, [], "absent"])
def test_an_index_without_images_falls_back(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, entries: t.Any
) -> None:
    index = json.dumps({} if entries == "absent" else {"manifests": entries}).encode()
    files = {**saved(config_of(FIRST), FIRST), "oci-layout": b"{}", "index.json": index}
    mover.push(registry.url, archive(tmp_path, files), "fallback:1", name="app:1")
    assert [layer["digest"] for layer in layers_of(registry, "fallback")] == [digest(FIRST)]


@pytest.mark.registry_does("docker")
def test_of_two_lists_the_one_that_agrees_is_taken(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    """Docker 25 wrote manifests without layers."""
    config = config_of(FIRST)
    wrong = manifest_of(config)
    files = layout([descriptor(wrong)], wrong, config)
    mover.push(registry.url, archive(tmp_path, files, saved(config, FIRST)), "two-lists:1")
    assert [layer["digest"] for layer in layers_of(registry, "two-lists")] == [digest(FIRST)]
    with pytest.raises(InvalidInput, match="app:1 has 0 layers in manifest.json and 1"):
        mover.push(registry.url, archive(tmp_path, files, saved(config)), "two-lists:2")
    with pytest.raises(InvalidInput, match="its manifest has 0 and its configuration 1 layers"):
        mover.push(registry.url, archive(tmp_path, files), "two-lists:2")


@pytest.mark.registry_does("docker")
def test_an_image_that_only_one_list_has(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    config = config_of(FIRST)
    raw = manifest_of(config, FIRST)
    notes = {"org.opencontainers.image.ref.name": "first"}
    files = layout([descriptor(raw, annotations=notes)], raw, config, FIRST)
    path = archive(tmp_path, files, saved(config_of(SECOND), SECOND, tag="second:1"))
    with pytest.raises(InvalidInput, match="there are first, second:1"):
        mover.push(registry.url, path, "lists:1")
    mover.push(registry.url, path, "lists:1", name="docker.io/library/second:1")
    assert [layer["digest"] for layer in layers_of(registry, "lists")] == [digest(SECOND)]


@pytest.mark.registry_does("own_blobs")
def test_embedded_data_is_content(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    config = config_of(FIRST)
    data = json.loads(manifest_of(config, FIRST))
    for content, refused in ((config, False), (config + b" ", True), (b"", True)):
        data["config"]["data"] = base64.b64encode(content).decode()
        raw = json.dumps(data).encode()
        path = archive(tmp_path, layout([descriptor(raw)], raw, FIRST))
        if refused:
            with pytest.raises(RegistryError, match=f"has the blob {digest(config)}|does not hold"):
                mover.push(registry.url, path, "not-embedded:2")
        else:
            mover.push(registry.url, path, "embedded:1")
            assert images.get_blob(registry.url, "embedded", digest(config)) == config


def test_one_platform_of_an_index(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    one, other = images.image({"a": "1"}), images.image({"b": "2"}, architecture="arm64")
    index = images.index([one, other])
    contents = [index.raw, one.raw, *one.blobs.values()]
    path = archive(tmp_path, layout([descriptor(index.raw, index.media_type)], *contents))
    with pytest.raises(NotFound, match="set platforms to those that are, which are linux/amd64"):
        mover.push(registry.url, path, "part:1")
    mover.push(registry.url, path, "part:1", platforms=["linux/amd64"])
    assert_whole(registry.url, "part", "1", one)


def test_names(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    """As containerd and docker write them, in familiar and in full form, and as others list what belongs to an image."""
    one, two = images.image({"a": "1"}), images.image({"b": "2"})
    index = images.index([one, images.image({"c": "3"}, architecture="arm64")])
    proof = images.artifact("application/vnd.example.proof", b"x", "text/plain", subject=two)
    whole = "docker.io/library/two:latest"

    def named(image: t.Any, **names: str) -> dict[str, t.Any]:
        keys = {"tag": "org.opencontainers.image.ref.name", "full": "io.containerd.image.name"}
        notes = {keys[key]: name for key, name in names.items()}
        return descriptor(image.raw, image.media_type, **({"annotations": notes} if notes else {}))

    entries = [
        named(index, tag="latest", full="r.example.com/team/one:latest"),
        named(two, tag="latest", full=whole),
    ]
    entries += [named(one), named(proof)]
    parts = [index, *index.children, two, proof]
    contents = [content for part in parts for content in (part.raw, *part.blobs.values())]
    path = archive(tmp_path, layout(entries, *contents))
    for name in (whole, "two:latest", "library/two:latest", "index.docker.io/library/two:latest", two.digest):
        assert mover.push(registry.url, path, "names:1", name=name)["images"][0]["digest"] == two.digest
    for name in ("r.example.com/team/one:latest", "team/one:latest", "0"):
        assert mover.push(registry.url, path, "names:2", name=name)["images"][0]["digest"] == index.digest
    with pytest.raises(InvalidInput, match=f"there are r.example.com/team/one:latest, {whole}.$"):
        mover.push(registry.url, path, "names:1", name="latest")
    with pytest.raises(
        InvalidInput, match=f"Say with name .* there are r.example.com/team/one:latest, {whole}.$"
    ):
        mover.push(registry.url, path, "names:1")
    only = archive(tmp_path, layout([entries[1], entries[3]], *contents))
    assert mover.push(registry.url, only, "names:1")["images"][0]["digest"] == two.digest
