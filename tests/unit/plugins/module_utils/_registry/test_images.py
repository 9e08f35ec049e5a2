# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image picker: nested indexes, variants and missing platforms are decided as container engines decide them."""

from __future__ import annotations

import io
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound, ProtocolError, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    Descriptor,
    Manifest,
    Platform,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import parse
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import BytesReader
from ansible_collections.ocikit.registry.plugins.module_utils._registry.images import (
    ImagePicker,
    Picked,
    check_expected,
    pick,
    require,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry
from tests.registries import images

AMD64 = images.image({"f": "amd64"})
ARM64 = images.image({"f": "arm64"}, architecture="arm64", variant="v8")
ARM6 = images.image({"f": "arm6"}, architecture="arm", variant="v6")
ARM7 = images.image({"f": "arm7"}, architecture="arm", variant="v7")
# The configuration names no platform.
SILENT = images.image({"f": "silent"}, architecture="", os_name="")
CHART = images.artifact("application/vnd.example.chart", b"chart", "text/plain")


class Memory:
    """A store of images, which notes the manifests that are read."""

    def __init__(self, *held: images.Image) -> None:
        self.manifests: dict[str, images.Image] = {}
        self.blobs: dict[str, bytes] = {}
        self.read: list[str] = []
        for image in held:
            self.add(image)

    def add(self, image: images.Image) -> None:
        self.manifests[image.digest] = image
        self.blobs.update(image.blobs)
        for child in getattr(image, "children", ()):
            self.add(child)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        self.read.append(descriptor.digest)
        if descriptor.digest not in self.manifests:
            raise NotFound(f"{descriptor.digest} does not exist.")
        return parsed(self.manifests[descriptor.digest])

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return BytesReader(self.blobs[descriptor.digest])


def parsed(image: images.Image) -> Manifest:
    return Manifest.parse(image.raw, image.media_type, image.digest)


def index_of(*entries: tuple[images.Image, t.Any], **fields: t.Any) -> images.Index:
    """An index of children, each with what its entry says of the platform: a text, an object, or None for nothing."""
    listed = []
    for child, platform in entries:
        entry = {**images.descriptor(child.raw, child.media_type), **fields}
        if isinstance(platform, str):
            keys = zip(("os", "architecture", "variant"), platform.split("/"))
            platform = dict(keys)
        listed.append({**entry, **({} if platform is None else {"platform": platform})})
    data = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": listed}
    return images.Index(
        json.dumps(data).encode(), images.OCI_INDEX, {}, None, tuple(child for child, _platform in entries)
    )


def odd(suffix: str) -> images.Index:
    """An index whose entry has a media type that Go's clients read differently."""
    return index_of((AMD64, "linux/amd64"), mediaType=AMD64.media_type.upper() + suffix)


def picked(root: images.Image, platform: str) -> Picked:
    return ImagePicker(Memory(root), parsed(root), "app").pick(Platform.parse(platform))


def case(name: str, root: images.Image, platform: str, image: images.Image) -> t.Any:
    return pytest.param(root, platform, image, id=name)


@pytest.mark.parametrize(
    ("root", "platform", "image"),
    [
        case("a single image", AMD64, "linux/amd64", AMD64),
        case("an artifact", CHART, "linux/amd64", CHART),
        case("an image of no platform", SILENT, "linux/s390x", SILENT),
        case(
            "index in index",
            index_of((index_of((AMD64, "linux/amd64")), "linux/amd64")),
            "linux/amd64",
            AMD64,
        ),
        case("wrapper", index_of((index_of((AMD64, "linux/amd64")), None)), "linux/amd64", AMD64),
        case(
            "two wrappers",
            index_of((index_of((ARM64, "linux/arm64")), None), (index_of((AMD64, "linux/amd64")), None)),
            "linux/amd64",
            AMD64,
        ),
        case(
            "three levels",
            index_of((index_of((index_of((AMD64, "linux/amd64")), {})), "linux/amd64")),
            "linux/amd64",
            AMD64,
        ),
        case("other spelling", index_of((AMD64, "LINUX/x86_64")), "linux/amd64", AMD64),
        case("default variant", index_of((AMD64, "linux/amd64/v1")), "linux/amd64", AMD64),
        case("by the configuration", index_of((index_of((AMD64, None)), None)), "linux/amd64", AMD64),
        case("empty platform", index_of((AMD64, {"os": "", "architecture": ""})), "linux/amd64", AMD64),
        case(
            "the entry decides, not the configuration",
            index_of((AMD64, None), (ARM64, "linux/amd64")),
            "linux/amd64",
            ARM64,
        ),
        case(
            "the configuration before no platform at all",
            index_of((CHART, None), (SILENT, None), (AMD64, None)),
            "linux/amd64",
            AMD64,
        ),
        case(
            "no platform at all",
            index_of((CHART, None), (SILENT, None), (ARM64, None)),
            "linux/amd64",
            SILENT,
        ),
        case("first of two", index_of((ARM64, "linux/amd64"), (AMD64, "linux/amd64")), "linux/amd64", ARM64),
        case(
            "first of two versions",
            index_of(
                (ARM6, {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1"}),
                (ARM7, {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2"}),
            ),
            "windows/amd64",
            ARM6,
        ),
        case(
            "version",
            index_of(
                (ARM6, {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1"}),
                (ARM7, {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2"}),
            ),
            "windows/amd64:10.0.20348",
            ARM7,
        ),
        case("nearest variant", index_of((ARM6, "linux/arm/v6"), (ARM7, "linux/arm")), "linux/arm/v7", ARM7),
        case(
            "nearest variant in a wrapper",
            index_of((index_of((ARM6, "linux/arm/v6"), (ARM7, "linux/arm/v7")), None)),
            "linux/arm",
            ARM7,
        ),
        case("older variant", index_of((ARM64, "linux/arm64"), (ARM6, "linux/arm/v6")), "linux/arm/v7", ARM6),
        case(
            "older variant in the configuration",
            index_of((ARM6, None), (ARM7, None)),
            "linux/arm/v7",
            ARM7,
        ),
        case("with a parameter", odd("; charset=utf-8"), "linux/amd64", AMD64),
        case("no media type", index_of((AMD64, None), mediaType=""), "linux/amd64", AMD64),
        case("own media type", index_of((AMD64, "linux/amd64"), mediaType="x/y"), "linux/amd64", AMD64),
        case(
            "index of another type",
            index_of((index_of((AMD64, "linux/amd64")), "linux/amd64"), mediaType="application/x-own"),
            "linux/amd64",
            AMD64,
        ),
        case(
            "image with the annotation of an attestation",
            index_of((AMD64, "linux/amd64"), annotations={"vnd.docker.reference.digest": ARM64.digest}),
            "linux/amd64",
            AMD64,
        ),
        case("attestations", images.index([ARM64, AMD64], attestations=True), "linux/amd64", AMD64),
    ],
)
def test_an_image_is_picked_as_container_engines_do(
    root: images.Image, platform: str, image: images.Image
) -> None:
    found = picked(root, platform)
    assert found.root.digest == root.digest
    assert found.image.digest == image.digest
    assert found.names_platform is (image not in (SILENT, CHART))
    assert (found.holder is None) is (root is image)


@pytest.mark.parametrize(
    ("root", "platform", "says"),
    [
        (AMD64, "linux/arm64", "it is a single image for linux/amd64"),
        (images.index([AMD64], attestations=True), "unknown/unknown", "it has linux/amd64"),
        (ARM7, "linux/arm/v6", "it is a single image for linux/arm/v7"),
        (images.index([]), "linux/arm64", "it has none with a platform"),
        (images.index([AMD64, ARM7], attestations=True), "linux/arm/v6", "it has linux/amd64, linux/arm/v7"),
        (index_of((AMD64, "linux/amd64/v3")), "linux/amd64", "it has linux/amd64/v3"),
        (index_of((index_of((ARM64, "linux/arm64")), None)), "linux/amd64", "it has linux/arm64"),
        (index_of((ARM64, None), (CHART, None)), "linux/amd64", "it has linux/arm64"),
        (index_of((CHART, None)), "linux/amd64", "it has none with a platform"),
        (index_of((AMD64, "unknown/unknown")), "linux/amd64", "it has none with a platform"),
        (
            index_of((AMD64, {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1"})),
            "windows/amd64:10.0.20348",
            "it has windows/amd64:10.0.17763.1",
        ),
    ],
)
def test_what_has_no_image_for_a_platform_names_those_that_there_are(
    root: images.Image, platform: str, says: str
) -> None:
    with pytest.raises(NotFound) as caught:
        picked(root, platform)
    assert str(caught.value) == f"app has no image for {platform}: {says}."


def test_only_what_may_hold_the_image_is_read() -> None:
    amd64, arm64 = index_of((AMD64, "linux/amd64")), index_of((ARM64, "linux/arm64"))
    cache = images.descriptor(b"layer", images.OCI_LAYER)
    wrapper = index_of((amd64, "linux/amd64"), (arm64, "linux/arm64"))
    data = {**wrapper.manifest, "manifests": [*wrapper.manifest["manifests"], cache]}
    root = parsed(images.Index(json.dumps(data).encode(), images.OCI_INDEX, {}))
    store = Memory(wrapper)
    picker = ImagePicker(store, root, "app")
    for _time in range(2):
        assert picker.pick(Platform.parse("linux/arm64")).image.digest == ARM64.digest
    assert store.read == [arm64.digest]
    assert [index.digest for index in picker.indexes] == [root.digest, arm64.digest]


def test_nesting_is_bounded_and_shared_indexes_are_read_once() -> None:
    root = index_of((ARM64, "linux/arm64"))
    for _level in range(12):
        root = index_of((root, None), (root, None))
    store = Memory(root)
    with pytest.raises(NotFound, match="it has linux/arm64"):
        ImagePicker(store, parsed(root), "app").pick(Platform.parse("linux/amd64"))
    assert len(store.read) == 12
    for _level in range(12):
        root = index_of((root, None))
    with pytest.raises(ProtocolError, match="nested too deeply"):
        picked(root, "linux/amd64")


def test_what_has_too_many_entries_without_a_platform_is_not_read() -> None:
    entry = images.descriptor(AMD64.raw, AMD64.media_type)
    entries = [{**entry, "digest": f"sha256:{number:064x}"} for number in range(1001)]
    data = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": entries}
    root = images.Index(json.dumps(data).encode(), images.OCI_INDEX, {})
    store = Memory()
    with pytest.raises(ProtocolError, match="app has more than 1000 entries that name no platform"):
        ImagePicker(store, parsed(root), "app").pick(Platform.parse("linux/amd64"))
    assert store.read == []


@pytest.mark.parametrize("platform", [None, "linux/amd64"])
def test_pick_says_what_does_not_exist_and_what_is_not_expected(
    connect: t.Callable[..., t.Any], platform: str | None
) -> None:
    root = index_of((index_of((AMD64, "linux/amd64")), None))
    with HostileRegistry() as server:
        server.add("a/b", root, "1")
        _clients, client = connect(server.url)
        repository, image = Repository(client, "a/b"), parse(f"{server.host}/a/b:1")
        asked = Platform.parse(platform) if platform else None
        assert pick(repository, image, asked, root.digest).root.digest == root.digest
        chosen = pick(repository, image, asked).image.digest
        assert chosen == (AMD64.digest if platform else root.digest)
        with pytest.raises(Refused) as refused:
            pick(repository, image, asked, AMD64.digest)
        assert str(refused.value) == f"{image} has the digest {root.digest}, not the expected {AMD64.digest}."
        with pytest.raises(NotFound) as missing:
            pick(repository, parse(f"{server.host}/a/b:2"), asked)
        assert str(missing.value) == f"{server.host}/a/b:2 does not exist."


def test_messages_of_tasks_that_write() -> None:
    descriptor = parsed(AMD64).descriptor
    assert require("app:1", descriptor, AMD64.digest, "nothing was changed") is descriptor
    with pytest.raises(NotFound, match=r"^app:1 does not exist: nothing was changed\.$"):
        require("app:1", None, None, "nothing was changed")
    with pytest.raises(Refused, match=rf"not the expected {ARM64.digest}: nothing was changed\.$"):
        require("app:1", descriptor, ARM64.digest, "nothing was changed")
    with pytest.raises(
        Refused, match=f"app:1 does not exist, but the digest {ARM64.digest} is expected of it"
    ):
        check_expected("app:1", None, ARM64.digest)
