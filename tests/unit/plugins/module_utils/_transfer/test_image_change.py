# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an image: what is asked for is changed, everything else keeps its bytes."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    CONFIG_LIMIT,
    Manifest,
    Platform,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import read_blob
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.image_change import (
    Change,
    Overlay,
    append,
    from_nothing,
)
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.layer import file_layer, text_member
from tests.registries import images
from tests.unit.copying import parsed, source_of

LINUX, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
ONE = images.image({"file": "one"})
OTHER = images.image({"file": "two"}, architecture="arm64")
INDEX = images.index([ONE, OTHER])
DOCKER = images.image({"file": "docker"}, media="docker")


def config_of(source: Overlay, manifest: Manifest) -> dict[str, t.Any]:
    assert manifest.config
    raw = read_blob(source.open_blob(manifest.config), manifest.config, CONFIG_LIMIT)
    return t.cast("dict[str, t.Any]", json.loads(raw))


def test_settings_are_changed_and_others_kept() -> None:
    source = source_of(ONE)
    before = config_of(source, parsed(ONE))
    change = Change(labels={"b": "2", "a": "1"}, env={"PATH": "/bin"}, user="1000", cmd=["run"])
    result = append(source, parsed(ONE), change, (), "a/b:1", 1)
    after = config_of(result.source, result.root)
    assert list(after["config"]["Labels"].items())[-2:] == [("a", "1"), ("b", "2")]
    assert after["config"]["Env"][-1] == "PATH=/bin"
    assert (after["config"]["User"], after["config"]["Cmd"]) == ("1000", ["run"])
    assert after["rootfs"] == before["rootfs"]
    assert result.root.layers == parsed(ONE).layers
    assert result.images == {ONE.digest: (LINUX, result.root.digest)}


def test_an_entry_point_removes_the_arguments_of_the_former_one() -> None:
    first = append(source_of(ONE), parsed(ONE), Change(entrypoint=["a"], cmd=["b"]), (), "x", 1)
    second = append(first.source, first.root, Change(entrypoint=["c"]), (), "x", 1)
    settings = config_of(second.source, second.root)["config"]
    assert settings["Entrypoint"] == ["c"] and "Cmd" not in settings
    third = append(second.source, second.root, Change(entrypoint=[]), (), "x", 1)
    assert "Entrypoint" not in config_of(third.source, third.root)["config"]


def test_a_change_that_was_made_already_changes_no_byte() -> None:
    layer = file_layer([text_member("hello", "/etc/motd", None, 0, 0)])
    change = Change(layers=[layer], labels={"a": "1"}, annotations={"x": "y"})
    once = append(source_of(ONE), parsed(ONE), change, (), "x", 1)
    assert once.root.digest != ONE.digest
    twice = append(once.source, once.root, change, (), "x", 1)
    assert twice.root.raw == once.root.raw
    assert [layer.digest for layer in once.root.layers[-1:]] == [layer.digest]


def test_of_an_index_the_images_of_the_platforms_are_changed() -> None:
    source = source_of(ONE, OTHER, INDEX)
    result = append(source, parsed(INDEX), Change(labels={"a": "1"}), [ARM], "x", 2)
    first, second = result.root.children
    assert first.digest == ONE.digest
    assert result.images == {OTHER.digest: (ARM, second.digest)}
    assert second.platform and second.platform.architecture == "arm64"
    everything = append(source, parsed(INDEX), Change(labels={"a": "1"}), (), "x", 2)
    assert set(everything.images) == {ONE.digest, OTHER.digest}


def test_attestations_of_what_was_changed_go() -> None:
    index = images.index([ONE], attestations=True)
    attestation = index.children[1]
    source = source_of(ONE, attestation, index)
    result = append(source, parsed(index), Change(labels={"a": "1"}), (), "x", 1)
    assert result.dropped == [attestation.digest]
    assert len(result.root.children) == 1


def test_an_image_of_nothing() -> None:
    layer = file_layer([text_member("hello", "/etc/motd", None, 0, 0)])
    result = from_nothing(Change(layers=[layer], user="app"), Platform("linux", "arm", "v7"))
    config = config_of(result.source, result.root)
    assert (config["architecture"], config["variant"], config["os"]) == ("arm", "v7", "linux")
    assert config["rootfs"]["diff_ids"] == [layer.diff_id]
    assert result.layers == [layer]


@pytest.mark.parametrize(
    ("image", "change", "sentence"),
    [
        (DOCKER, Change(annotations={"a": "b"}), "have no annotations: set labels instead"),
        (
            images.artifact("application/vnd.example", b"x", "text/plain"),
            Change(),
            "holds no image with a file system",
        ),
    ],
)
def test_changes_that_cannot_be_made(image: images.Image, change: Change, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        append(source_of(image), parsed(image), change, (), "a/b:1", 1)


def test_schema_1_is_refused() -> None:
    schema1 = Manifest.parse(
        json.dumps({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []}).encode(),
        "application/vnd.docker.distribution.manifest.v1+json",
    )
    with pytest.raises(Unsupported, match="a/b:1 is a schema 1 manifest"):
        append(Overlay(None), schema1, Change(), (), "a/b:1", 1)


def test_what_is_in_no_source_does_not_exist() -> None:
    with pytest.raises(NotFound, match="does not exist"):
        Overlay(None).fetch_manifest(parsed(ONE).descriptor)
    assert Overlay(None).resolve(ONE.digest) is None
