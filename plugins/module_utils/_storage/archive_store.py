# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Archives that are written: an OCI image layout in a tar, which docker and podman can load as well.

An archive is written in one pass: all sizes are known beforehand, so each blob is received into its place, several at once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import typing as t

from .._errors import InvalidInput, NotFound, ProtocolError, RegistryError
from .._oci.content import Descriptor, Manifest
from .._oci.stores import CopyPlan, Source
from .._oci.verified_reader import BLOCK
from .archive import ArchiveSource
from .docker_save import MANIFEST_JSON
from .files import PATIENCE, check_space, open_file, receive, remove_left, replacing, storage_errors
from .listing import MARKER, ImageName, blob_name, entry_of, index_json
from .tar_members import Place

_TAR_BLOCK = 512


class ArchiveStore:
    """An archive that is written anew with just the images of one copy, and takes the place of the old one at its end.

    What the old one has is taken from there. The same images always give the same bytes.
    """

    def __init__(
        self,
        path: str,
        image_names: t.Mapping[str, ImageName],
        docker: bool,
        private: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        """``image_names`` tells more of the names that images get; ``docker`` adds what ``docker load`` reads.

        A ``private`` archive is for this user only, unless it replaces one that is not. Another run that writes it is waited
        for, unless it writes nothing for ``patience`` seconds.
        """
        self.path = path
        self._image_names = image_names
        self._docker = docker
        self._private = private
        self._patience = patience
        self._old = _old_archive(path)
        self._old_state = self._old.members.state() if self._old else None
        self._right: dict[str, bool] = {}
        self._file: t.Any = None
        self._places: dict[str, Place] = {}

    def resolve(self, name: str) -> Descriptor | None:
        return self._old.resolve(name) if self._old else None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._reading().fetch_manifest(descriptor)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return self._reading().open_blob(descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the old archive has the content, and with the right bytes."""
        if descriptor.digest not in self._right:
            self._right[descriptor.digest] = self._old is not None and _is_right(self._old, descriptor)
        return self._right[descriptor.digest]

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether the old archive has just these images, under these names."""
        members = self._small_members(list(images))
        old = self._old.members if self._old else None
        return old is not None and all(old.is_content(name, raw) for name, raw in members.items())

    def listed_name(self, name: str) -> str:
        """Return the name that an image gets which is to be called ``name``: no other one has it."""
        return name

    def paths(self) -> list[str]:
        """Return the path of the archive."""
        return [self.path]

    def tidy(self) -> None:
        """Remove what killed runs left that were writing the archive."""
        with storage_errors(self.path):
            remove_left(self.path)

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Lay the new archive out, with everything but what is missing yet; keep it if all of that arrives."""
        small = {blob_name(manifest.digest): manifest.raw for manifest in work.manifests}
        small.update(self._small_members(work.named(names)))
        blobs = {blob_name(blob.digest): blob for blob in work.blobs + work.present}
        check_space(self.path, sum(blob.size for blob in blobs.values()))
        with storage_errors(self.path):
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with replacing(self.path, self._private, self._patience) as self._file:
                self._lay_out(small, blobs)
                for blob in work.present:
                    self._take_over(blob)
                yield

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        position = self._places[blob_name(descriptor.digest)].offset

        def write(block: memoryview) -> None:
            nonlocal position
            self._write_at(position, block)
            position += len(block)

        with storage_errors(self.path):
            receive(source.open_blob(descriptor), descriptor, write)
        return True

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Nothing is left to do: manifests and names were known when the archive was laid out."""

    def _reading(self) -> ArchiveSource:
        if self._old is None:
            raise NotFound(f"{self.path} does not exist.")
        return self._old

    def _take_over(self, blob: Descriptor) -> None:
        """Copy a blob of the old archive, which exists() has verified: it is not read a second time to be hashed."""
        old = self._reading()
        position = self._places[blob_name(blob.digest)].offset
        with contextlib.closing(old.open_blob(blob)) as source:
            for block in iter(lambda: source.read(BLOCK), b""):
                self._write_at(position, memoryview(block or b""))
                position += len(block or b"")
        if old.members.state() != self._old_state:
            # Somebody has written to it since then.
            self.put_blob(blob, old)

    def _lay_out(self, small: t.Mapping[str, bytes], blobs: t.Mapping[str, Descriptor]) -> None:
        """Write all headers, and the content that is known. Directories come before what is in them."""
        folders = {f"{name.rpartition('/')[0]}/" for name in [*small, *blobs] if "/" in name}
        offset = 0
        for name in sorted({*small, *blobs, "blobs/", *folders}):
            size = len(small[name]) if name in small else blobs[name].size if name in blobs else 0
            header = _header(name, size)
            self._places[name] = Place(offset + len(header), size)
            self._write_at(offset, memoryview(header + small.get(name, b"")))
            offset += len(header) + -(-size // _TAR_BLOCK) * _TAR_BLOCK
        # Two empty blocks end a tar, filled up to the usual record.
        os.ftruncate(
            self._file.fileno(), -(-(offset + 2 * _TAR_BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
        )

    def _write_at(self, position: int, block: memoryview) -> None:
        while block:
            written = os.pwrite(self._file.fileno(), block, position)
            position += written
            block = block[written:]

    def _small_members(self, images: t.Sequence[tuple[Manifest, str]]) -> dict[str, bytes]:
        entries = [entry_of(manifest, self._name(name)) for manifest, name in images]
        members = {"index.json": index_json(entries), "oci-layout": MARKER}
        if self._docker:
            members[MANIFEST_JSON] = json.dumps(
                [self._docker_entry(*image) for image in images], indent=2
            ).encode()
        return members

    def _docker_entry(self, manifest: Manifest, name: str) -> dict[str, t.Any]:
        if not manifest.is_image or manifest.config is None:
            raise InvalidInput(
                f"{name or manifest.digest} is not a single image, which docker-archive needs: choose one platform, or"
                " the format oci-archive."
            )
        shown = self._name(name).shown
        return {
            "Config": blob_name(manifest.config.digest),
            "RepoTags": [shown] if shown else None,
            "Layers": [blob_name(layer.digest) for layer in manifest.layers],
        }

    def _name(self, name: str) -> ImageName:
        return self._image_names.get(name, ImageName(name))


def _is_right(old: ArchiveSource, descriptor: Descriptor) -> bool:
    try:
        if old.holds(descriptor):
            receive(old.open_blob(descriptor), descriptor, lambda block: None)
            return True
    except RegistryError:
        pass
    return False


def _header(name: str, size: int) -> bytes:
    """Return the header of a file, or of a directory where the name ends with a slash: the same every time."""
    header = tarfile.TarInfo(name.rstrip("/"))
    header.size, header.mode = size, 0o644
    if name.endswith("/"):
        # Others unpack an archive with the modes that are in it, and could not enter a directory without one.
        header.type, header.mode = tarfile.DIRTYPE, 0o755
    return header.tobuf(tarfile.GNU_FORMAT)


def _old_archive(path: str) -> ArchiveSource | None:
    """Return the archive at ``path``; None where there is none, or a damaged one that ArchiveStore wrote."""
    if not os.path.exists(path):
        return None
    try:
        return ArchiveSource(path)
    except (InvalidInput, ProtocolError):
        if not _is_own(path):
            raise
        return None


def _is_own(path: str) -> bool:
    """Tell whether a file begins as ArchiveStore lets it begin."""
    with storage_errors(path), open_file(path) as file:
        try:
            first = tarfile.TarInfo.frombuf(file.read(_TAR_BLOCK), "utf-8", "replace")
        except tarfile.TarError:
            return False
    return first.name == "blobs" and first.isdir()
