# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images with layers and settings added: new manifests and configs on top of what a store has."""

from __future__ import annotations

import io
import json
import typing as t
from dataclasses import dataclass, field

from .._errors import InvalidInput, NotFound, ProtocolError, Unsupported
from .._oci.content import (
    CONFIG_LIMIT,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Platform,
    digest_of,
)
from .._oci.documents import IMAGE_CONFIG, parse_json_object
from .._oci.graph import parents_first, walk
from .._oci.stores import Source
from .._oci.verified_reader import BytesReader, read_blob
from .._registry.images import ImagePicker
from .layer import Layer

_OCI_LAYERS = {"gzip": OCI_LAYER_GZIP, "zstd": "application/vnd.oci.image.layer.v1.tar+zstd"}
_CREATED_BY = "ocikit.registry.registry_append"
_EPOCH = "1970-01-01T00:00:00Z"

Data = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Change:
    """What is done to each image. None and empty values change nothing, but an empty command removes it."""

    layers: t.Sequence[Layer] = ()
    labels: t.Mapping[str, str] = field(default_factory=dict)
    env: t.Mapping[str, str] = field(default_factory=dict)
    entrypoint: t.Sequence[str] | None = None
    cmd: t.Sequence[str] | None = None
    user: str | None = None
    workdir: str | None = None
    exposed_ports: t.Sequence[str] = ()
    volumes: t.Sequence[str] = ()
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    created: str | None = None
    author: str | None = None
    comment: str | None = None


class Overlay:
    """New manifests and blobs on top of another source; without one there is nothing below them."""

    def __init__(self, below: Source | None) -> None:
        self._below = below
        self._manifests: dict[str, Manifest] = {}
        self._blobs: dict[str, t.Callable[[], io.RawIOBase]] = {}

    def add_manifest(self, manifest: Manifest) -> None:
        """Let the source have ``manifest``."""
        self._manifests[manifest.digest] = manifest

    def add_blob(self, digest: str, open_blob: t.Callable[[], io.RawIOBase]) -> None:
        """Let the source have a blob; ``open_blob`` opens it at its start, each time that it is read."""
        self._blobs[digest] = open_blob

    def resolve(self, name: str) -> Descriptor | None:
        own = self._manifests.get(name)
        if own:
            return own.descriptor
        return self._below.resolve(name) if self._below else None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._manifests.get(descriptor.digest) or self._source(descriptor).fetch_manifest(descriptor)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        own = self._blobs.get(descriptor.digest)
        return own() if own else self._source(descriptor).open_blob(descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self if descriptor.digest in self._blobs else self._source(descriptor).origin(descriptor)

    def _source(self, descriptor: Descriptor) -> Source:
        if self._below is None:
            raise NotFound(f"{descriptor.digest} does not exist.")
        return self._below


@dataclass(frozen=True)
class Appended:
    """The result: its ``root``, the source that it can be copied from, and what became of each image.

    ``images`` maps the digest that an image had to its platform and new digest; ``dropped`` holds the digests
    of attestations that described what is no longer there. ``layers`` are those that images have got, from the bottom up.
    """

    root: Manifest
    source: Overlay
    images: dict[str, tuple[Platform, str]]
    dropped: list[str]
    layers: list[Layer]


def append(
    source: Source,
    root: Manifest,
    change: Change,
    platforms: t.Sequence[Platform],
    name: str,
    concurrency: int,
) -> Appended:
    """Return the image or index ``root`` of ``source``, called ``name``, with ``change`` made to it.

    Of an index, the images of ``platforms`` are changed, or all of them without any; the rest is kept. What
    has the change already stays as it is, byte for byte. Nothing is written. Raises InvalidInput, NotFound
    and Unsupported where the change cannot be made.
    """
    if root.is_schema1:
        raise Unsupported(
            f"{name} is a schema 1 manifest, which nothing can be appended to: push the image anew."
        )
    picker = ImagePicker(source, root, name, concurrency)
    picked = {picker.pick(platform).image.digest for platform in platforms}
    work = _Work(source, change, picked, {index.digest for index in picker.indexes})
    changed = work.run(root, concurrency)
    if not work.images:
        raise InvalidInput(f"{name} holds no image with a file system: layers cannot be appended to it.")
    images = dict(sorted(work.images.items(), key=lambda item: str(item[1][0])))
    layers = [layer for own in change.layers for layer in own.variants() if layer.diff_id in work.diff_ids]
    return Appended(changed, work.overlay, images, sorted(work.dropped), layers)


def from_nothing(change: Change, platform: Platform) -> Appended:
    """Return a new image for ``platform`` that has only what ``change`` gives it."""
    config: Data = {"created": _EPOCH, "architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        config["variant"] = platform.variant
    config.update({"config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "history": []})
    raw = _serialised(config)
    descriptor = {"mediaType": OCI_CONFIG, "digest": digest_of(raw), "size": len(raw)}
    empty = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor, "layers": []}
    below = Overlay(None)
    below.add_blob(digest_of(raw), lambda: BytesReader(raw))
    return append(below, Manifest.parse(_serialised(empty), OCI_MANIFEST), change, (), "The new image", 1)


class _Work:
    """One run over an image or index; indexes in it are followed."""

    def __init__(self, source: Source, change: Change, picked: set[str], indexes: set[str]) -> None:
        """``picked`` images are changed, which ``indexes`` lead to; without any all of them."""
        self._source = source
        self._change = change
        self._picked = picked
        self._indexes = indexes
        self.overlay = Overlay(source)
        self.images: dict[str, tuple[Platform, str]] = {}
        self.dropped: list[str] = []
        self.diff_ids: set[str] = set()

    def run(self, root: Manifest, concurrency: int) -> Manifest:
        """Return ``root`` changed."""
        descriptors = {root.digest: root.descriptor}
        indexes: dict[str, Manifest] = {}
        changed: dict[str, Manifest] = {}

        def visit(digest: str) -> list[str]:
            descriptor = descriptors[digest]
            manifest = root if digest == root.digest else self._source.fetch_manifest(descriptor)
            if not manifest.is_index:
                image = self.image(manifest, descriptor.platform)
                changed.update({digest: image} if image else {})
                return []
            indexes[digest] = manifest
            children = {child.digest: child for child in manifest.children if self._is_followed(child)}
            descriptors.update((key, child) for key, child in children.items() if key not in descriptors)
            return list(children)

        walk([root.digest], visit, concurrency)
        children = {key: {child.digest for child in index.children} for key, index in indexes.items()}
        for digest in reversed(parents_first(children)):
            changed[digest] = self._index(indexes[digest], changed)
        return changed.get(root.digest, root)

    def _index(self, index: Manifest, changed: t.Mapping[str, Manifest]) -> Manifest:
        """Return ``index`` with what of it was ``changed``, and without the attestations of images that were."""
        replaced = {
            child.digest: changed[child.digest]
            for child in index.children
            if child.digest in changed and changed[child.digest].digest != child.digest
        }
        if not replaced:
            return index
        entries = []
        for entry, child in zip(index.data["manifests"], index.children):
            manifest = replaced.get(child.digest)
            if child.attests in replaced:
                self.dropped.append(child.digest)
            else:
                entries.append(_pointing_to(entry, manifest.raw) if manifest else entry)
        return self._keep({**index.data, "manifests": entries}, index.media_type)

    def _is_followed(self, child: Descriptor) -> bool:
        if child.attests or not child.is_manifest or (child.platform and child.platform.is_unknown):
            return False
        return not self._picked or child.digest in self._picked | self._indexes

    def image(self, manifest: Manifest, platform: Platform | None) -> Manifest | None:
        """Return an image changed; None where it holds no file system.

        ``platform`` is what the index says, else the config does.
        """
        if not manifest.is_image or not all(".tar" in layer.media_type for layer in manifest.layers):
            return None
        descriptor = t.cast(Descriptor, manifest.config)
        config = parse_json_object(
            read_blob(self._source.open_blob(descriptor), descriptor, CONFIG_LIMIT),
            "image config",
            IMAGE_CONFIG,
        )
        changed = self._changed(manifest, config)
        self.images[manifest.digest] = (platform or Platform.from_dict(config), changed.digest)
        return changed

    def _changed(self, manifest: Manifest, config: Data) -> Manifest:
        change = self._change
        layers = [layer.for_system(config.get("os")) for layer in change.layers]
        self.diff_ids.update(layer.diff_id for layer in layers)
        missing = _missing_layers(manifest, config, layers)
        config_after = _config_with(config, change, missing)
        data = dict(manifest.data)
        if config_after != config:
            raw = _serialised(config_after)
            data["config"] = _pointing_to(data["config"], raw)
            self.overlay.add_blob(digest_of(raw), lambda: BytesReader(raw))
        if missing:
            new = [_layer_entry(layer, manifest.media_type) for layer in missing]
            # An image without layers has an empty list, null, or nothing.
            data["layers"] = (data.get("layers") or []) + new
        for layer in missing:
            self.overlay.add_blob(layer.digest, layer.open)
        if change.annotations:
            if manifest.media_type == DOCKER_MANIFEST:
                raise InvalidInput("Images of Docker's media types have no annotations: set labels instead.")
            data["annotations"] = {**manifest.annotations, **_sorted(change.annotations)}
        return manifest if data == manifest.data else self._keep(data, manifest.media_type)

    def _keep(self, data: Data, media_type: str) -> Manifest:
        manifest = Manifest.parse(_serialised({**data, "mediaType": media_type}), media_type)
        self.overlay.add_manifest(manifest)
        return manifest


def _missing_layers(manifest: Manifest, config: Data, layers: t.Sequence[Layer]) -> t.Sequence[Layer]:
    """Return ``layers``, or none where they are the last ones of the image already, however compressed."""
    diff_ids = _list(_object(config, "rootfs"), "diff_ids")
    if len(diff_ids) != len(manifest.layers):
        raise ProtocolError(
            f"{manifest.digest} contradicts itself: its config does not list the {len(manifest.layers)} layers"
            " that it has."
        )
    own = [layer.diff_id for layer in layers]
    return () if own == diff_ids[len(diff_ids) - len(own) :] else layers


def _config_with(config: Data, change: Change, layers: t.Sequence[Layer]) -> Data:
    """Return an image config with ``layers`` and the settings of ``change``, and everything else kept."""
    after = {**config, **_given({"created": change.created, "author": change.author})}
    if layers:
        rootfs = {"type": "layers", **_object(config, "rootfs")}
        before = _list(rootfs, "diff_ids")
        after["rootfs"] = {**rootfs, "diff_ids": before + [layer.diff_id for layer in layers]}
        history = _list(config, "history")
        # A history that does not match the layers cannot be made to: it is left alone.
        if sum(not (isinstance(entry, dict) and entry.get("empty_layer")) for entry in history) == len(
            before
        ):
            entry = _given(
                {"created": after.get("created"), "author": change.author, "comment": change.comment}
            )
            after["history"] = history + [{**entry, "created_by": _CREATED_BY} for _layer in layers]
    settings = _settings_with(_object(config, "config"), change)
    if settings != _object(config, "config"):
        after["config"] = settings
    return after


def _settings_with(settings: Data, change: Change) -> Data:
    after = {**settings, **_given({"User": change.user, "WorkingDir": change.workdir})}
    commands: dict[str, t.Sequence[str]] = {}
    if change.entrypoint is not None:
        # As in a Dockerfile: the arguments of another entry point make no sense to this one.
        commands = {"Entrypoint": change.entrypoint, "Cmd": ()}
    if change.cmd is not None:
        commands["Cmd"] = change.cmd
    for key, command in commands.items():
        if command:
            after[key] = list(command)
        elif after.get(key):
            del after[key]
    if change.env:
        after["Env"] = _env_with(_list(settings, "Env"), change.env)
    if change.labels:
        after["Labels"] = {**_object(settings, "Labels"), **_sorted(change.labels)}
    for key, names in (("ExposedPorts", change.exposed_ports), ("Volumes", change.volumes)):
        if names:
            present = _object(settings, key)
            after[key] = {**present, **{name: {} for name in sorted(names) if name not in present}}
    return after


def _env_with(before: t.Sequence[t.Any], change: t.Mapping[str, str]) -> list[str]:
    """Return environment entries with some replaced in their places, and new ones at the end."""
    names = [str(entry).partition("=")[0] for entry in before]
    after = [f"{name}={change[name]}" if name in change else entry for name, entry in zip(names, before)]
    return after + [f"{name}={value}" for name, value in sorted(change.items()) if name not in names]


def _layer_entry(layer: Layer, media_type: str) -> Data:
    if media_type != DOCKER_MANIFEST:
        kind = _OCI_LAYERS[layer.compression]
    elif layer.compression == "gzip":
        kind = DOCKER_LAYER_GZIP
    else:
        raise InvalidInput(
            "A zstd layer cannot be appended to an image of Docker's media types: compress the tarball with"
            " gzip."
        )
    return {"mediaType": kind, "digest": layer.digest, "size": layer.size}


def _pointing_to(entry: Data, raw: bytes) -> Data:
    """Return a descriptor for other content; embedded data goes with what it was."""
    kept = {key: value for key, value in entry.items() if key not in ("data", "urls")}
    return {**kept, "digest": digest_of(raw), "size": len(raw)}


def _serialised(data: Data) -> bytes:
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise ProtocolError("The image config or manifest holds a number that JSON does not know.") from None


def _object(data: Data, key: str) -> Data:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _list(data: Data, key: str) -> list[t.Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _given(values: Data) -> Data:
    return {key: value for key, value in values.items() if value is not None}


def _sorted(values: t.Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(values.items()))
