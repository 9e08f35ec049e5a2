# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""OCI image layouts: a directory of blobs named by digest, and an index of the images in it (image-spec, "Image Layout")."""

from __future__ import annotations

import contextlib
import io
import json
import os
import typing as t

from .._errors import InvalidInput, NotFound, ProtocolError
from .._oci.content import MANIFEST_READ_LIMIT, OCI_INDEX, Descriptor, Manifest
from .._oci.documents import MANIFEST, parse_json_object
from .._oci.reference import is_digest
from .._oci.stores import CopyPlan, Source
from .files import INGEST, file_digest, ingest, read_file, receive, replacing, storage_errors, write_all

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
MARKER = b'{"imageLayoutVersion":"1.0.0"}'


class LayoutStore:
    """An OCI image layout directory. Files appear under their final names complete and verified, the index last."""

    def __init__(self, path: str, image_names: t.Mapping[str, str] | None = None) -> None:
        """Open the layout at ``path``, which may be absent or empty. Raises InvalidInput where something else is.

        ``image_names`` gives the full references of the names that images get here, for tools that want them.
        """
        self.path = path
        self._marker = os.path.join(path, "oci-layout")
        self._ingest = ""
        self._image_names = image_names or {}
        self._verified: set[str] = set()
        with storage_errors(path):
            if os.path.exists(path) and not os.path.isdir(path):
                raise InvalidInput(f"{path} is not a directory: an OCI image layout is one.")
            held = set(os.listdir(path)) if os.path.isdir(path) else set()
        # A run that was killed early leaves a layout without its marker.
        if not os.path.isfile(self._marker) and held - {INGEST, "blobs"}:
            raise InvalidInput(
                f"{path} holds something else than an OCI image layout: choose another directory."
            )

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Make the layout where it is missing, hold it alone (other processes wait), and list the images at the end."""
        with storage_errors(self.path), ingest(self.path, work.bytes) as self._ingest:
            os.makedirs(os.path.join(self.path, "blobs", "sha256"), exist_ok=True)
            if not os.path.exists(self._marker):
                self._write(self._marker, MARKER)
            yield
            self._write(os.path.join(self.path, "index.json"), index_json(self._listing(work.named(names))))

    def entries(self) -> list[dict[str, t.Any]]:
        """Return the descriptors of ``index.json`` as they are written there."""
        path = os.path.join(self.path, "index.json")
        with storage_errors(path):
            if not os.path.exists(path):
                return []
            raw = read_file(path, MANIFEST_READ_LIMIT)
        return entries_in(raw, f"file {path}")

    def resolve(self, name: str) -> Descriptor | None:
        for entry in self.entries():
            if name in (entry.get("digest"), name_of(entry)):
                return Descriptor.from_dict(entry)
        return None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        path = self.blob_path(descriptor.digest)
        with storage_errors(path):
            if not os.path.exists(path):
                raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
            raw = read_file(path, MANIFEST_READ_LIMIT)
        return Manifest.parse(raw, descriptor.media_type, descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        path = self.blob_path(descriptor.digest)
        with storage_errors(path):
            if not os.path.exists(path):
                raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
            return open(path, "rb", buffering=0)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the file is there, and has the right bytes: they are read once."""
        if descriptor.digest in self._verified:
            return True
        path = self.blob_path(descriptor.digest)
        with storage_errors(path):
            try:
                if os.path.getsize(path) != descriptor.size:
                    return False
            except FileNotFoundError:
                return False
            right = file_digest(path, descriptor.digest) == descriptor.digest
        if right:
            self._verified.add(descriptor.digest)
        return right

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a file of the descriptor's digest and size; its bytes are not looked at."""
        path = self.blob_path(descriptor.digest)
        return os.path.isfile(path) and os.path.getsize(path) == descriptor.size

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        path = self.blob_path(descriptor.digest)
        with storage_errors(self.path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with replacing(path, self._ingest) as file:
                receive(source.open_blob(descriptor), descriptor, lambda block: write_all(file, block))
        self._verified.add(descriptor.digest)
        return True

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest. It is listed in ``index.json`` when everything is here."""
        if not self.exists(manifest.descriptor):
            self._write(self.blob_path(manifest.digest), manifest.raw)
            self._verified.add(manifest.digest)

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether ``index.json`` says already what writing() of ``images`` would make it say."""
        return self._listing(images) == self.entries()

    def _listing(self, images: t.Iterable[tuple[Manifest, str]]) -> list[dict[str, t.Any]]:
        """Return the entries of ``index.json`` with those of ``images``; the empty name lists by the digest alone."""
        entries = self.entries()
        for manifest, name in images:
            entries = listed(entries, entry_of(manifest, name, self._image_names))
        return entries

    def blob_path(self, digest: str) -> str:
        """Return the file of a digest, which must be a valid one: it is the only part of a path that others choose."""
        if not is_digest(digest):
            raise AssertionError("unchecked digest")
        algorithm, _colon, encoded = digest.partition(":")
        return os.path.join(self.path, "blobs", algorithm, encoded)

    def _write(self, path: str, content: bytes) -> None:
        with storage_errors(self.path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with replacing(path, self._ingest) as file:
                write_all(file, content)


def entry_of(manifest: Manifest, name: str, image_names: t.Mapping[str, str]) -> dict[str, t.Any]:
    """Return the entry that lists a manifest in ``index.json`` under ``name``, which may be empty."""
    entry: dict[str, t.Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }
    annotations = {REF_NAME: name} if name else {}
    if name in image_names:
        annotations[IMAGE_NAME] = image_names[name]
    return {**entry, "annotations": annotations} if annotations else entry


def listed(before: t.Sequence[dict[str, t.Any]], entry: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the entries of an index with ``entry`` in the place of what had its name, else at the end."""
    name = name_of(entry)

    def superseded(old: dict[str, t.Any]) -> bool:
        if name and name_of(old) == name:
            return True
        return old.get("digest") == entry["digest"] and name_of(old) in (None, name)

    places = [place for place, old in enumerate(before) if superseded(old)]
    if not places:
        return list(before) + [entry]
    return [
        entry if place == places[0] else old
        for place, old in enumerate(before)
        if place == places[0] or place not in places
    ]


def name_of(entry: t.Mapping[str, t.Any]) -> str | None:
    """Return the name of an entry of ``index.json``, or None where it has none."""
    annotations = entry.get("annotations")
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def entries_in(raw: bytes, what: str) -> list[dict[str, t.Any]]:
    """Return the entries of the ``index.json`` called ``what``. Raises ProtocolError unless each is a descriptor."""
    entries = parse_json_object(raw, what, MANIFEST).get("manifests") or []
    if not isinstance(entries, list):
        raise ProtocolError(f"The {what} has no list of images.")
    for entry in entries:
        Descriptor.from_dict(entry)
    return entries


def index_json(entries: t.Sequence[dict[str, t.Any]]) -> bytes:
    """Return the content of ``index.json``."""
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}, indent=2
    ).encode()
