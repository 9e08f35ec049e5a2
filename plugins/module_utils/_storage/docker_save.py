# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""``manifest.json`` of ``docker save``: images that name no digest but those in their configurations."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from .._errors import InvalidInput, printable
from .._oci.content import (
    CONFIG_LIMIT,
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    MANIFEST_READ_LIMIT,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Manifest,
    digest_of,
)
from .._oci.documents import ARCHIVE, parse_json
from .._oci.verified_reader import blocks_of
from .compression import MAGIC_LENGTH, HashingBlocks, HashingReader, compression_of, unpack, unpacked_limit
from .contents import listed_layers
from .files import digest_of_file
from .tar_members import Place, Section, TarMembers

MANIFEST_JSON = "manifest.json"
_DOCKER_TYPES = {None: "application/vnd.docker.image.rootfs.diff.tar", "gzip": DOCKER_LAYER_GZIP}
_OCI_TYPES = {
    None: "application/vnd.oci.image.layer.v1.tar",
    "gzip": OCI_LAYER_GZIP,
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


@dataclass(frozen=True)
class SavedImage:
    """An image of ``manifest.json``: the members that it consists of, and the tags that ``docker load`` gives it."""

    config: str
    layers: t.Sequence[str]
    tags: t.Sequence[str]


@dataclass(frozen=True)
class _Layer:
    digest: str
    size: int
    diff_id: str
    compression: str | None


@dataclass
class SavedImages:
    """The images of ``manifest.json`` in an archive, and the members that are known by their digests by now."""

    members: TarMembers
    max_unpacked_size: int | None = None
    by_digest: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    _layers: dict[Place, _Layer] = field(default_factory=dict)

    def images(self) -> list[SavedImage]:
        """Return the images. Raises InvalidInput where the list is not one of ``docker save``."""
        path = self.members.path
        try:
            raw = self.members.read(MANIFEST_JSON, MANIFEST_READ_LIMIT) or b""
            images = parse_json(raw, f"{MANIFEST_JSON} of {path}", ARCHIVE)
            if not isinstance(images, list):
                raise ValueError
            return [
                SavedImage(
                    _text(image["Config"]),
                    [_text(layer) for layer in image.get("Layers") or []],
                    [_text(tag) for tag in image.get("RepoTags") or []],
                )
                for image in images
            ]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidInput(f"{MANIFEST_JSON} in {path} is not that of docker save.") from None

    def config_digest(self, image: SavedImage) -> str:
        """Return the digest of an image's configuration. Raises InvalidInput where the archive lacks it."""
        return digest_of(self._config(image))

    def manifest(self, image: SavedImage) -> Manifest:
        """Make the manifest of an image, whose layers are read, and are those that its configuration lists.

        Layers stay as they are: plain ones are not compressed. Raises InvalidInput and Unsupported where the archive is
        damaged, or has layers that registries do not take.
        """
        path, config = self.members.path, self._config(image)
        layers = [self._layer(name) for name in image.layers]
        diff_ids = listed_layers(config, f"image config of {path}")
        name = printable(image.tags[0] if image.tags else image.config)
        if len(diff_ids) != len(layers):
            raise InvalidInput(
                f"{path} is damaged: {name} has {len(layers)} layers in {MANIFEST_JSON} and {len(diff_ids)} in its"
                " configuration. Save it again."
            )
        for layer, diff_id, member in zip(layers, diff_ids, image.layers):
            if layer.diff_id != diff_id:
                raise InvalidInput(
                    f"{path} is damaged: the layer {printable(member)} of {name} has not the content that the"
                    " configuration names. Save it again."
                )
        self.by_digest[digest_of(config)] = image.config
        self.by_digest.update(zip((layer.digest for layer in layers), image.layers))
        manifest = _manifest(config, layers)
        self.manifests[manifest.digest] = manifest
        return manifest

    def _config(self, image: SavedImage) -> bytes:
        config = self.members.read(image.config, CONFIG_LIMIT)
        if config is None:
            raise InvalidInput(f"{self.members.path} lacks the image config {printable(image.config)}.")
        return config

    def _layer(self, name: str) -> _Layer:
        section = self.members.open(name)
        if section is None:
            raise InvalidInput(
                f"{self.members.path} lacks {printable(name)}, which its {MANIFEST_JSON} names."
            )
        if section.place not in self._layers:
            self._layers[section.place] = self._read_layer(section)
        return self._layers[section.place]

    def _read_layer(self, section: Section) -> _Layer:
        """Read a layer once, packed and unpacked."""
        size = section.place.size
        head = section.read(MAGIC_LENGTH) or b""
        section.seek(0)
        compression = compression_of(head)
        if compression is None:
            digest = digest_of_file(section, "sha256:")
            return _Layer(digest, size, digest, None)
        if compression not in _OCI_TYPES:
            raise InvalidInput(
                f"{section.name} is compressed with {compression}: layers in registries are plain, gzip or zstd."
            )
        packed = HashingReader(section)
        limit = unpacked_limit(size, self.max_unpacked_size)
        content = HashingBlocks(unpack(packed, compression, section.name, limit))
        for _block in content:
            pass
        for _rest in blocks_of(packed):
            pass
        return _Layer(packed.digest, size, content.digest, compression)


def _manifest(config: bytes, layers: t.Sequence[_Layer]) -> Manifest:
    """Make a manifest of Docker's media types, or of OCI's where Docker has none for a layer."""
    is_docker = all(layer.compression in _DOCKER_TYPES for layer in layers)
    types = _DOCKER_TYPES if is_docker else _OCI_TYPES
    media_type = DOCKER_MANIFEST if is_docker else OCI_MANIFEST
    data = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": DOCKER_CONFIG if is_docker else OCI_CONFIG,
            "size": len(config),
            "digest": digest_of(config),
        },
        "layers": [
            {"mediaType": types[layer.compression], "size": layer.size, "digest": layer.digest}
            for layer in layers
        ],
    }
    return Manifest.parse(json.dumps(data, separators=(",", ":")).encode(), media_type)


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
