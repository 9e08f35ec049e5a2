# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A plain directory of one image: blobs named by digest, and its manifest, as docker_registry2's pull and skopeo's dir: have it."""

from __future__ import annotations

import contextlib
import io
import os
import typing as t

from .._errors import InvalidInput, NotFound, ProtocolError
from .._oci.content import MANIFEST_READ_LIMIT, Descriptor, Manifest
from .._oci.reference import is_digest
from .._oci.stores import CopyPlan, Source
from .files import INGEST, file_digest, ingest, read_file, receive, replacing, storage_errors, write_all

MANIFEST = "manifest.json"


class DirectoryStore:
    """One image in a directory: ``manifest.json``, written last, and a file for everything else it consists of.

    Files are written as ``sha256:<hex>``; read are also skopeo's, which leave the algorithm out.
    """

    def __init__(self, path: str) -> None:
        """Raises InvalidInput where ``path`` is no directory."""
        self.path = path
        self._verified: set[str] = set()
        self._ingest = ""
        if os.path.exists(path) and not os.path.isdir(path):
            raise InvalidInput(f"{path} is not a directory.")

    def check_own(self) -> None:
        """Raise InvalidInput where the directory holds something else than an image: that is not to be written to."""
        with storage_errors(self.path):
            held = sorted(os.listdir(self.path)) if os.path.isdir(self.path) else []
        foreign = [
            name for name in held if name not in (MANIFEST, "version", INGEST) and not _is_content(name)
        ]
        if foreign or held == [MANIFEST]:
            raise InvalidInput(
                f"{self.path} holds something else than an image ({(foreign or held)[0]}): choose another directory."
            )

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Make the directory where it is missing, and hold it alone."""
        with storage_errors(self.path), ingest(self.path, work.bytes) as self._ingest:
            yield

    def entries(self) -> list[dict[str, t.Any]]:
        """Return the descriptor of the image, as an index would list it. Raises ProtocolError where it is damaged."""
        found = self._image()
        if found is None:
            return []
        return [{"mediaType": found.media_type, "digest": found.digest, "size": found.size}]

    def resolve(self, name: str) -> Descriptor | None:
        """Return the image's descriptor, whatever its name: there is but one. A digest must be the right one."""
        try:
            found = self._image()
        except ProtocolError:
            return None
        return None if found and is_digest(name) and name != found.digest else found

    def _image(self) -> Descriptor | None:
        path = os.path.join(self.path, MANIFEST)
        with storage_errors(path):
            return (
                Manifest.parse(read_file(path, MANIFEST_READ_LIMIT)).descriptor
                if os.path.exists(path)
                else None
            )

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        root = os.path.join(self.path, MANIFEST)
        with storage_errors(self.path):
            for path in [self._find(descriptor.digest), root]:
                if (
                    path
                    and os.path.exists(path)
                    and file_digest(path, descriptor.digest) == descriptor.digest
                ):
                    raw = read_file(path, MANIFEST_READ_LIMIT)
                    return Manifest.parse(raw, descriptor.media_type, descriptor.digest)
        raise NotFound(f"{self.path} does not hold {descriptor.digest}.")

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        path = self._find(descriptor.digest)
        if path is None:
            raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
        with storage_errors(path):
            return open(path, "rb", buffering=0)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the file is there, and has the right bytes: they are read once."""
        if descriptor.digest in self._verified:
            return True
        path = self._find(descriptor.digest)
        with storage_errors(self.path):
            if path is None or os.path.getsize(path) != descriptor.size:
                return False
            right = file_digest(path, descriptor.digest) == descriptor.digest
        if right:
            self._verified.add(descriptor.digest)
        return right

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a file of the descriptor's digest and size; its bytes are not looked at."""
        path = self._find(descriptor.digest)
        return path is not None and os.path.getsize(path) == descriptor.size

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        with storage_errors(self.path), replacing(
            os.path.join(self.path, descriptor.digest), self._ingest
        ) as file:
            receive(source.open_blob(descriptor), descriptor, lambda block: write_all(file, block))
        self._verified.add(descriptor.digest)
        return True

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest: with a name, even an empty one, as the image of the directory."""
        targets = [manifest.digest] + ([MANIFEST] if name is not None else [])
        for target in targets:
            with storage_errors(self.path), replacing(os.path.join(self.path, target), self._ingest) as file:
                write_all(file, manifest.raw)
        self._verified.add(manifest.digest)

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether the directory's image is already the one that put_manifest() would make it."""
        found = self.resolve("")
        return found is not None and all(manifest.digest == found.digest for manifest, _name in images)

    def _find(self, digest: str) -> str | None:
        encoded = digest.partition(":")[2]
        for name in (digest, encoded, f"{encoded}.manifest.json"):
            path = os.path.join(self.path, name)
            if os.path.isfile(path):
                return path
        return None


def _is_content(name: str) -> bool:
    encoded = name.rpartition(":")[2].partition(".")[0]
    return len(encoded) in (64, 128) and all(character in "0123456789abcdef" for character in encoded)
