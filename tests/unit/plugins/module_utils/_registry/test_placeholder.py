# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The placeholder of a removal is recognised by its exact form: nothing else is taken for one."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused, ServerFault
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import Body
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.placeholder import (
    make_placeholder,
    may_be_placeholder,
    read_removed_tags,
    refuse_placeholder,
    removed_tags,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry
from tests.registries import Registry, images

TAGS = {"1": "sha256:" + "1" * 64, "1.0": "sha256:" + "2" * 64, "dangling": ""}
LABEL = "ocikit.registry.removed"


def made(docker: bool = False) -> tuple[Manifest, dict[str, t.Any]]:
    """Return the manifest and the configuration of a placeholder."""
    placeholder = make_placeholder(TAGS, docker)
    assert placeholder.manifest.config
    config = placeholder.blobs[placeholder.manifest.config]
    return placeholder.manifest, json.loads(config)


def changed(data: t.Mapping[str, t.Any], change: t.Callable[[dict[str, t.Any]], object]) -> dict[str, t.Any]:
    """Return a copy of ``data`` after ``change``."""
    copied = copy.deepcopy(dict(data))
    change(copied)
    return copied


@pytest.mark.parametrize("docker", [False, True])
def test_a_placeholder_is_recognised(docker: bool) -> None:
    manifest, config = made(docker)
    assert may_be_placeholder(manifest)
    assert removed_tags(manifest, config) == TAGS
    # What a registry stores, and what another release of gzip makes of it, is the same.
    assert manifest.layers[0].digest == (
        "sha256:deb230b21e0d7ef6a0a2d65a19599d4251b5f08888a5155882fbef2ef71e1e11"
    )


def test_each_placeholder_is_another_image() -> None:
    assert len({made()[0].digest for _number in range(20)}) == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(history=[]),
        lambda config: config.update(history=[{"created_by": "LABEL a=b"}]),
        lambda config: config.update(architecture="arm64"),
        lambda config: config.update(os="windows"),
        lambda config: config.update(variant="v8"),
        lambda config: config.update(created="now"),
        lambda config: config.pop("created"),
        lambda config: config.update(author="me"),
        lambda config: config["config"].update(Cmd=["sh"]),
        lambda config: config["config"].update(Env=[]),
        lambda config: config["config"]["Labels"].update(a="b"),
        lambda config: config["config"]["Labels"].pop("ocikit.registry.placeholder"),
        lambda config: config["config"]["Labels"].update({"ocikit.registry.placeholder": 1}),
        lambda config: config["config"]["Labels"].update({LABEL: "{}"}),
        lambda config: config["config"]["Labels"].update({LABEL: '{"1": "x"}'}),
        lambda config: config["config"]["Labels"].update({LABEL: '{"-": ""}'}),
        lambda config: config["config"]["Labels"].update({LABEL: '{"1": ""} '}),
        lambda config: config["config"]["Labels"].update({LABEL: '["1"]'}),
        lambda config: config["config"]["Labels"].update({LABEL: "[" * 100_000}),
        lambda config: config["config"]["Labels"].update({LABEL: None}),
        lambda config: config["config"]["Labels"].pop(LABEL),
        lambda config: config["config"].update(Labels=[LABEL]),
        lambda config: config.update(config=LABEL),
        lambda config: config["rootfs"]["diff_ids"].append("sha256:" + "1" * 64),
        lambda config: config["rootfs"].update(type="other"),
    ],
)
def test_another_configuration_is_no_placeholder(change: t.Callable[[dict[str, t.Any]], object]) -> None:
    manifest, config = made()
    assert removed_tags(manifest, changed(config, change)) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["layers"].append(data["layers"][0]),
        lambda data: data["layers"].clear(),
        lambda data: data["layers"][0].update(digest="sha256:" + "1" * 64),
        lambda data: data["layers"][0].update(annotations={}),
        lambda data: data["config"].update(size=1, mediaType="application/vnd.oci.empty.v1+json"),
        lambda data: data.update(annotations={"a": "b"}),
        lambda data: data.update(subject=data["config"]),
        lambda data: data.update(artifactType="a/b"),
        lambda data: data.pop("mediaType"),
    ],
)
def test_another_manifest_is_no_placeholder(change: t.Callable[[dict[str, t.Any]], object]) -> None:
    manifest, config = made()
    other = Manifest.parse(json.dumps(changed(manifest.data, change)).encode(), manifest.media_type)
    assert not may_be_placeholder(other) and removed_tags(other, config) == {}


def test_an_image_with_the_label_alone_is_no_placeholder() -> None:
    """Every image that is built FROM one with the label inherits it."""
    image = images.image({"file": "app"}, labels={LABEL: json.dumps(TAGS)})
    manifest = Manifest.parse(image.raw, image.media_type)
    config = json.loads(image.blobs[manifest.data["config"]["digest"]])
    assert config["config"]["Labels"][LABEL]
    assert removed_tags(manifest, config) == removed_tags(manifest, None) == {}


def test_what_carries_images_on_refuses_a_placeholder(
    connect: t.Callable[..., t.Any], registry: Registry
) -> None:
    repository = Repository(connect(registry.url)[1], "placeholder/app")
    placeholder = make_placeholder(TAGS, docker=False)
    for descriptor, content in placeholder.blobs.items():
        repository.upload(descriptor, Body.of(content))
    repository.put("1", placeholder.manifest)
    assert read_removed_tags(repository, repository.manifest("1")) == TAGS
    with pytest.raises(Refused) as caught:
        refuse_placeholder(repository, f"{repository}:1", repository.manifest("1"))
    assert str(caught.value) == (
        f"{registry.host}/placeholder/app:1 is no image but the placeholder of an interrupted removal of the tag 1 and"
        " 2 more: run registry_rmtag again to finish the removal, or push the image again. Nothing was changed."
    )


def test_other_images_cost_no_request(connect: t.Callable[..., t.Any]) -> None:
    with HostileRegistry() as server:
        repository = Repository(connect(server.url)[1], "a/b")
        for name, image in images.samples().items():
            server.add("a/b", image, name)
            refuse_placeholder(repository, name, Manifest.parse(image.raw, image.media_type))
        assert server.requests == []


@pytest.mark.parametrize("content", [None, b"no json", b"{}"])
def test_a_configuration_that_is_not_there_or_malformed_is_of_no_placeholder(
    connect: t.Callable[..., t.Any], content: bytes | None
) -> None:
    placeholder = make_placeholder(TAGS, docker=False)
    with HostileRegistry() as server:
        repository = Repository(connect(server.url, retries=0)[1], "a/b")
        assert placeholder.manifest.config
        manifest = placeholder.manifest
        if content is not None:
            data = changed(
                manifest.data,
                lambda data: data["config"].update(images.descriptor(content, data["config"]["mediaType"])),
            )
            manifest = Manifest.parse(json.dumps(data).encode(), manifest.media_type)
            server.repository("a/b").blobs[data["config"]["digest"]] = content
        assert may_be_placeholder(manifest)
        assert read_removed_tags(repository, manifest) == {}
        server.behaviour.fail_first, server.behaviour.fail_status = -1, 500
        with pytest.raises(ServerFault):
            read_removed_tags(repository, manifest)
