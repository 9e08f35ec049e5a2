# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain directories: a file for each digest and manifest.json, as docker_registry2 and skopeo write them."""

from __future__ import annotations

import json
import pathlib

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, ProtocolError
from tests.registries import Registry, images, stored
from tests.unit.copying import Mover, assert_whole, digest, skopeo, tree

ONE = images.image({"one": "1\n"})
TWO = images.image({"two": "2\n"}, media="docker")
INDEX = images.index([ONE, images.image({"arm": "a\n"}, architecture="arm64")])


@pytest.fixture(scope="module", autouse=True)
def seeded(registry: Registry) -> None:
    for tag, image in {"1": ONE, "2": TWO, "multi": INDEX}.items():
        if stored(image):
            images.push(registry.url, "app", image, tag)


def test_a_file_for_each_digest(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    mover.pull(registry.url, "app:1", tmp_path / "dir", format="dir")
    assert tree(tmp_path / "dir") == {**ONE.blobs, ONE.digest: ONE.raw, "manifest.json": ONE.raw}


@pytest.mark.registry_does("docker")
def test_one_directory_has_one_image(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    mover.pull(registry.url, "app:1", tmp_path / "dir", format="dir")
    moved = mover.pull(registry.url, "app:2", tmp_path / "dir", format="dir")
    assert moved["diff"]["before"] == f"{tmp_path}/dir 2 {ONE.digest}\n"
    mover.push(registry.url, tmp_path / "dir", "moved:1")
    assert_whole(registry.url, "moved", "1", TWO)
    with pytest.raises(InvalidInput, match="The format dir holds one image"):
        mover.pull(registry.url, ["app:1", "app:2"], tmp_path / "dir", format="dir")


@pytest.mark.parametrize("tag", [pytest.param("2", marks=pytest.mark.registry_does("docker")), "multi"])
def test_we_read_what_skopeo_writes(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, tag: str
) -> None:
    image = TWO if tag == "2" else INDEX
    skopeo(
        "copy",
        "--all",
        "--src-tls-verify=false",
        f"docker://{registry.host}/app:{tag}",
        f"dir:{tmp_path}/dir",
    )
    assert digest(skopeo("inspect", "--raw", f"dir:{tmp_path}/dir").encode()) == image.digest
    # Signatures that skopeo may have put there are no hindrance.
    (tmp_path / "dir" / "signature-1").write_bytes(b"signed")
    mover.push(registry.url, tmp_path / "dir", f"skopeo-dir:{tag}")
    assert_whole(registry.url, "skopeo-dir", tag, image)


def test_a_damaged_manifest(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    mover.pull(registry.url, "app:1", tmp_path / "dir", format="dir")
    (tmp_path / "dir" / "manifest.json").write_text('{"half": ')
    with pytest.raises(ProtocolError, match="not valid JSON"):
        mover.push(registry.url, tmp_path / "dir", "damaged:1")
    assert mover.pull(registry.url, "app:1", tmp_path / "dir", format="dir")["blobs"]["missing"] == 0
    assert (tmp_path / "dir" / "manifest.json").read_bytes() == ONE.raw


def test_what_a_killed_run_left_goes_away(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    (tmp_path / "dir" / ".ocikit-ingest").mkdir(parents=True)
    (tmp_path / "dir" / ".ocikit-ingest" / "part").write_text("half a blob")
    mover.pull(registry.url, "app:1", tmp_path / "dir", format="dir")
    assert ".ocikit-ingest" not in tree(tmp_path / "dir")


def test_a_directory_without_an_image(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    for src, sentence in {
        str(tmp_path): "holds no image: it has neither index.json nor manifest.json",
        f"{tmp_path}/absent": "does not exist on the host that runs this task",
        "/dev/null": "is neither a file nor a directory",
    }.items():
        with pytest.raises(InvalidInput, match=sentence):
            mover.push(registry.url, src, "nothing:1")


def test_an_image_of_schema_1_is_pulled_as_it_is(mover: Mover, tmp_path: pathlib.Path) -> None:
    with Registry(schema1=True) as old:
        images.push_schema1(old.url, "old", "1")
        pulled = mover.pull(old.url, "old:1", tmp_path / "dir", format="dir")
        held = {name: data for name, data in tree(tmp_path / "dir").items() if data is not None}
        manifest = json.loads(held["manifest.json"])
        layers = {layer["blobSum"] for layer in manifest["fsLayers"]}
        assert set(held) == {"manifest.json", pulled["images"][0]["digest"], *layers}
        assert all(digest(held[layer]) == layer for layer in layers)
        assert pulled["changed"] and pulled["blobs"]["missing"] == len(layers)
        (tmp_path / "dir" / min(layers)).write_bytes(b"damaged")
        again = mover.pull(old.url, "old:1", tmp_path / "dir", format="dir")
        assert again["changed"] and again["blobs"]["missing"] == 1
        assert {layer: (tmp_path / "dir" / layer).read_bytes() for layer in layers} == {
            layer: held[layer] for layer in layers
        }
