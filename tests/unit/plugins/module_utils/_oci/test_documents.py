# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that other programs read differently is refused, wherever a decision depends on it."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.documents import (
    ARCHIVE,
    IMAGE_CONFIG,
    LISTING,
    MANIFEST,
    Keys,
    parse_json,
    parse_json_object,
)
from tests.registries import images

DESCRIPTOR = {"mediaType": images.OCI_MANIFEST, "digest": "sha256:" + "a" * 64, "size": 1}
IMAGE = json.loads(images.samples()["oci"].raw)
INDEX = json.loads(images.samples()["index"].raw)
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Labels": {"a": "1"}, "Healthcheck": {"Test": ["NONE"]}},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [{"created": "2026-01-01T00:00:00Z"}],
}


def read(document: t.Any, keys: Keys) -> t.Any:
    return parse_json_object(json.dumps(document).encode(), "document", keys)


def added(document: dict[str, t.Any], path: tuple[t.Any, ...], key: str) -> dict[str, t.Any]:
    """Return ``document`` with ``key`` in the object at ``path``."""
    copy: dict[str, t.Any] = json.loads(json.dumps(document))
    holder: t.Any = copy
    for step in path:
        holder = holder[step]
    holder[key] = "x"
    return copy


@pytest.mark.parametrize("name", sorted(images.samples()))
def test_documents_that_everybody_writes_are_read(name: str) -> None:
    image = images.samples()[name]
    assert parse_json_object(image.raw, "manifest", MANIFEST) == json.loads(image.raw)
    for blob in image.blobs.values():
        if blob.startswith(b'{"architecture"'):
            assert parse_json_object(blob, "config", IMAGE_CONFIG) == json.loads(blob)


@pytest.mark.parametrize(
    ("document", "keys", "path", "key", "known"),
    [
        (IMAGE, MANIFEST, (), "Config", "config"),
        (IMAGE, MANIFEST, (), "CONFIG", "config"),
        (IMAGE, MANIFEST, (), "Layers", "layers"),
        (IMAGE, MANIFEST, (), "layer\u017f", "layers"),
        (IMAGE, MANIFEST, (), "Manifests", "manifests"),
        (IMAGE, MANIFEST, (), "manifest\u017f", "manifests"),
        (IMAGE, MANIFEST, (), "mediatype", "mediaType"),
        (IMAGE, MANIFEST, (), "Subject", "subject"),
        (IMAGE, MANIFEST, (), "ArtifactType", "artifactType"),
        (IMAGE, MANIFEST, (), "Annotations", "annotations"),
        (IMAGE, MANIFEST, (), "FSLayers", "fsLayers"),
        (IMAGE, MANIFEST, ("config",), "Digest", "digest"),
        (IMAGE, MANIFEST, ("config",), "MediaType", "mediaType"),
        (IMAGE, MANIFEST, ("layers", 0), "Size", "size"),
        (IMAGE, MANIFEST, ("layers", 0), "URLs", "urls"),
        (IMAGE, MANIFEST, ("layers", 0), "Data", "data"),
        (INDEX, MANIFEST, ("manifests", 1), "Platform", "platform"),
        (INDEX, MANIFEST, ("manifests", 1), "Digest", "digest"),
        (INDEX, MANIFEST, ("manifests", 1, "platform"), "OS", "os"),
        (INDEX, MANIFEST, ("manifests", 1, "platform"), "o\u017f", "os"),
        (INDEX, MANIFEST, ("manifests", 1, "platform"), "Variant", "variant"),
        (INDEX, MANIFEST, ("manifests", 1, "platform"), "OS.Version", "os.version"),
        (CONFIG, IMAGE_CONFIG, (), "Architecture", "architecture"),
        (CONFIG, IMAGE_CONFIG, (), "OS", "os"),
        (CONFIG, IMAGE_CONFIG, (), "Created", "created"),
        (CONFIG, IMAGE_CONFIG, (), "Config", "config"),
        (CONFIG, IMAGE_CONFIG, (), "RootFS", "rootfs"),
        (CONFIG, IMAGE_CONFIG, (), "History", "history"),
        (CONFIG, IMAGE_CONFIG, ("rootfs",), "Diff_IDs", "diff_ids"),
        (CONFIG, IMAGE_CONFIG, ("history", 0), "Empty_Layer", "empty_layer"),
        (CONFIG, IMAGE_CONFIG, ("config",), "labels", "Labels"),
        (CONFIG, IMAGE_CONFIG, ("config",), "LABELS", "Labels"),
        (CONFIG, IMAGE_CONFIG, ("config",), "label\u017f", "Labels"),
        (CONFIG, IMAGE_CONFIG, ("config",), "user", "User"),
        (CONFIG, IMAGE_CONFIG, ("config",), "entrypoint", "Entrypoint"),
        (CONFIG, IMAGE_CONFIG, ("config", "Healthcheck"), "test", "Test"),
        ({"tags": ["1"]}, LISTING, (), "Tags", "tags"),
    ],
)
def test_a_key_that_differs_in_case_only_is_refused(
    document: dict[str, t.Any], keys: Keys, path: tuple[t.Any, ...], key: str, known: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(added(document, path, key), keys)
    assert f"has the key {key!r}, which container engines take for {known!r}" in str(caught.value)
    if keys is MANIFEST:
        with pytest.raises(ProtocolError, match="can be read in two ways"):
            Manifest.parse(json.dumps(added(document, path, key)).encode())


def test_a_key_without_its_right_spelling_is_refused_as_well() -> None:
    with pytest.raises(ProtocolError, match="'Labels'"):
        read({**CONFIG, "config": {"labels": {}}}, IMAGE_CONFIG)


def test_the_kelvin_sign_is_a_k() -> None:
    with pytest.raises(ProtocolError, match="take for 'NetworkDisabled'"):
        read({"config": {"Networ\u212aDisabled": True}}, IMAGE_CONFIG)


def test_letters_that_fold_to_two_are_other_letters() -> None:
    data = {"config": {"Cla\u00df": 1, "\ufb01le": 2}}
    assert read(data, IMAGE_CONFIG) == data


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"config": {}, "config": {}}', "config"),
        ('{"a": {"b": [{"c": 1, "d": 2, "c": 1}]}}', "c"),
        ('{"annotations": {"x": "1", "x": "2"}}', "x"),
        ('{"config": {"Labels": {"approved": "yes", "approved": "no"}}}', "approved"),
        ('{"config": {}, "con\\u0066ig": {}}', "config"),
    ],
)
@pytest.mark.parametrize("keys", [MANIFEST, IMAGE_CONFIG])
def test_a_key_that_is_there_twice_is_refused(text: str, key: str, keys: Keys) -> None:
    with pytest.raises(ProtocolError, match=f"has the key '{key}' twice"):
        parse_json_object(text.encode(), "document", keys)


@pytest.mark.parametrize(
    "document",
    [
        {**IMAGE, "annotations": {"Config": "a", "config": "b", "CONFIG": "c"}},
        {**IMAGE, "x-own": {"Config": 1, "config": 2}},
        {**IMAGE, "layers": None, "config": "text"},
    ],
)
def test_maps_of_the_user_and_unknown_keys_are_free(document: dict[str, t.Any]) -> None:
    assert read(document, MANIFEST) == document
    labels = {**CONFIG, "config": {"Labels": {"Config": "a", "config": "b"}}}
    assert read(labels, IMAGE_CONFIG) == labels


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": 1} {}', "{'a': 1}"]
)
def test_what_only_some_read_is_no_json(text: str) -> None:
    with pytest.raises(ProtocolError, match="The document is not valid JSON"):
        parse_json_object(text.encode(), "document", MANIFEST)


def test_nesting_is_bounded() -> None:
    deep: t.Any = 1
    for _level in range(100):
        deep = {"a": deep}
    assert read(deep, MANIFEST) == deep
    with pytest.raises(ProtocolError, match="nested more than 100 levels deep"):
        read({"a": deep}, MANIFEST)


def test_other_values_than_objects() -> None:
    assert parse_json(b"3", "document", MANIFEST) == 3
    with pytest.raises(ProtocolError, match="The document is not a JSON object"):
        parse_json_object(b"[]", "document", MANIFEST)
    with pytest.raises(ProtocolError, match="take for 'Layers'"):
        parse_json(b'[{"Config": "a", "layers": []}]', "document", ARCHIVE)
