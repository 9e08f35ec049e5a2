# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""OCI image layouts: a directory of blobs named by digest, and an index of the images in it (image-spec, "Image Layout")."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._blobs import Reader, VerifiedReader
from ansible_collections.ocikit.registry.plugins.module_utils._content import (
    MANIFEST_READ_LIMIT,
    OCI_INDEX,
    Descriptor,
    Manifest,
    parse_json_object,
)
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LocalStorageError,
    NotFound,
)
from ansible_collections.ocikit.registry.plugins.module_utils._reference import is_digest
from ansible_collections.ocikit.registry.plugins.module_utils._stores import Source
from ansible_collections.ocikit.registry.plugins.module_utils._transport import BLOCK

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
_MARKER = b'{"imageLayoutVersion":"1.0.0"}'
_INGEST = ".ocikit-ingest"


@contextlib.contextmanager
def storage_errors(path: str) -> t.Iterator[None]:
    """Turn the operating system's complaints about ``path`` into a sentence."""
    try:
        yield
    except OSError as error:
        raise LocalStorageError(f"{error.filename or path} cannot be used: {error.strerror}.") from error


class LayoutStore:
    """An OCI image layout directory. Files appear under their final names complete and verified, the index last."""

    vouches = False

    def __init__(self, path: str, image_names: t.Mapping[str, str] | None = None) -> None:
        """Open the layout at ``path``, which may be absent or empty. Raises InvalidInput where something else is.

        ``image_names`` gives the full references of the names that images get here, for tools that want them.
        """
        self.path = path
        self._image_names = image_names or {}
        self._lock = threading.Lock()
        self._verified: set[str] = set()
        with storage_errors(path):
            self.is_new = not os.path.isdir(path) or not os.listdir(path)
            if os.path.exists(path) and not os.path.isdir(path):
                raise InvalidInput(f"{path} is not a directory: an OCI image layout is one.")
            marker = os.path.join(path, "oci-layout")
            if not self.is_new and not os.path.isfile(marker) and os.listdir(path) != [_INGEST]:
                raise InvalidInput(f"{path} holds something else than an OCI image layout: choose another directory.")

    @contextlib.contextmanager
    def writing(self) -> t.Iterator[None]:
        """Make the layout where it is missing, and hold it alone: other processes wait at this line."""
        with storage_errors(self.path):
            os.makedirs(os.path.join(self.path, "blobs", "sha256"), exist_ok=True)
            directory = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.flock(directory, fcntl.LOCK_EX)
                ingest = os.path.join(self.path, _INGEST)
                # What an interrupted run left behind; whoever wrote it no longer holds the lock.
                shutil.rmtree(ingest, ignore_errors=True)
                os.mkdir(ingest)
                try:
                    if not os.path.exists(os.path.join(self.path, "oci-layout")):
                        self._write(os.path.join(self.path, "oci-layout"), _MARKER)
                    yield
                finally:
                    shutil.rmtree(ingest, ignore_errors=True)
            finally:
                os.close(directory)

    def entries(self) -> list[dict[str, t.Any]]:
        """Return the descriptors of ``index.json`` as they are written there."""
        path = os.path.join(self.path, "index.json")
        with storage_errors(path):
            if not os.path.exists(path):
                return []
            raw = _read_file(path, MANIFEST_READ_LIMIT)
        entries = parse_json_object(raw, f"file {path}").get("manifests")
        return [entry for entry in entries or [] if isinstance(entry, dict)]

    def resolve(self, name: str) -> Descriptor | None:
        for entry in self.entries():
            if name in (entry.get("digest"), (entry.get("annotations") or {}).get(REF_NAME)):
                return Descriptor.from_dict(entry)
        return None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        path = self.blob_path(descriptor.digest)
        with storage_errors(path):
            try:
                raw = _read_file(path, MANIFEST_READ_LIMIT)
            except FileNotFoundError:
                raise NotFound(f"{self.path} does not hold {descriptor.digest}.") from None
        return Manifest.parse(raw, descriptor.media_type, descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> Reader:
        path = self.blob_path(descriptor.digest)
        with storage_errors(path):
            return t.cast(Reader, open(path, "rb", buffering=0))

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
            right = _file_digest(path, descriptor.digest) == descriptor.digest
        if right:
            self._verified.add(descriptor.digest)
        return right

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        reader = VerifiedReader(source.open_blob(descriptor), descriptor)
        buffer = memoryview(bytearray(min(BLOCK, descriptor.size + 1)))
        try:
            with storage_errors(self.path), self._new_file(self.blob_path(descriptor.digest)) as file:
                while True:
                    count = reader.readinto(buffer)
                    if not count:
                        break
                    file.write(buffer[:count])
        finally:
            reader.close()
        self._verified.add(descriptor.digest)
        return True

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest. Under a name it is listed in ``index.json``; the empty name lists it by its digest alone."""
        if not self.exists(manifest.descriptor):
            path = self.blob_path(manifest.digest)
            with storage_errors(path):
                self._write(path, manifest.raw)
            self._verified.add(manifest.digest)
        if name is not None:
            with self._lock, storage_errors(self.path):
                index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self._with(manifest, name)}
                self._write(os.path.join(self.path, "index.json"), json.dumps(index, indent=2).encode())

    def lists(self, manifest: Manifest, name: str) -> bool:
        """Tell whether ``index.json`` says already what put_manifest() would make it say."""
        return self._with(manifest, name) == self.entries()

    def _with(self, manifest: Manifest, name: str) -> list[dict[str, t.Any]]:
        annotations = {}
        if name:
            annotations[REF_NAME] = name
        if name in self._image_names:
            annotations[IMAGE_NAME] = self._image_names[name]
        return listed(self.entries(), manifest, annotations)

    def blob_path(self, digest: str) -> str:
        """Return the file of a digest, which must be a valid one: it is the only part of a path that others choose."""
        if not is_digest(digest):
            raise AssertionError("unchecked digest")
        algorithm, _colon, encoded = digest.partition(":")
        return os.path.join(self.path, "blobs", algorithm, encoded)

    def _write(self, path: str, content: bytes) -> None:
        with self._new_file(path) as file:
            file.write(content)

    @contextlib.contextmanager
    def _new_file(self, path: str) -> t.Iterator[t.Any]:
        """Open a file that takes the place of ``path`` when it was written in full, and not before."""
        handle, temporary = tempfile.mkstemp(dir=os.path.join(self.path, _INGEST))
        try:
            with open(handle, "wb", buffering=0) as file:
                yield file
                os.fchmod(handle, 0o666 & ~_umask())
                os.fsync(handle)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def listed(
    before: t.Sequence[dict[str, t.Any]], manifest: Manifest, annotations: t.Mapping[str, str]
) -> list[dict[str, t.Any]]:
    """Return the entries of an index after ``manifest`` took the name that ``annotations`` give it."""
    entry: dict[str, t.Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }
    if annotations:
        entry["annotations"] = dict(annotations)
    name = annotations.get(REF_NAME)
    after, placed = [], False
    for old in before:
        old_name = (old.get("annotations") or {}).get(REF_NAME)
        if (name and old_name == name) or (old.get("digest") == manifest.digest and old_name in (None, name)):
            if not placed:
                after.append(entry)
            placed = True
        else:
            after.append(old)
    return after if placed else after + [entry]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_file(path: str, limit: int) -> bytes:
    with open(path, "rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise InvalidInput(f"{path} is larger than the {limit} bytes that a manifest may have.")
    return raw


def _file_digest(path: str, like: str) -> str:
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm)
    buffer = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return f"{algorithm}:{digest.hexdigest()}"
            digest.update(buffer[:count])
