# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images in tar archives: an OCI image layout in a tar, which docker and podman can load as well.

An archive is read where it lies, by the places of its members, and never unpacked. It is written in one pass: all sizes
are known beforehand, so each blob is received into its place, several at once.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import posixpath
import tarfile
import typing as t
import zlib
from dataclasses import dataclass

from .._errors import InvalidInput, NotFound, ProtocolError, RegistryError, printable
from .._http.transport import BLOCK
from .._oci.content import (
    CONFIG_LIMIT,
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    MANIFEST_READ_LIMIT,
    Descriptor,
    Manifest,
)
from .._oci.reference import is_digest
from .._oci.stores import CopyPlan, Source
from .files import check_space, receive, replacing, storage_errors
from .oci_layout import MARKER, entries_in, entry_of, index_json, name_of

_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_TAR_BLOCK = 512
_MAX_MEMBERS = 100000
_MAX_HEADER = 1 << 20
_SMALL = MANIFEST_READ_LIMIT
_DAMAGES = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class _Place:
    """Where the bytes of a member lie in the (decompressed) archive."""

    offset: int
    size: int


class _Shared(io.RawIOBase):
    """A file as if it were opened anew, with a position of its own: what takes the file's name meanwhile is not seen."""

    def __init__(self, file: t.BinaryIO) -> None:
        self._shared = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: os.fstat(self._shared.fileno()).st_size,
        }
        self._position = max(0, start[whence] + offset)
        return self._position

    def readinto(self, buffer: t.Any) -> int:
        chunk = os.pread(self._shared.fileno(), len(buffer), self._position)
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)


class _Section(io.RawIOBase):
    """The bytes of one member, with a file handle of its own."""

    def __init__(self, file: t.BinaryIO, place: _Place) -> None:
        self._file = file
        self._left = place.size
        file.seek(place.offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        try:
            chunk = self._file.read(min(len(buffer), self._left))
        except _DAMAGES as error:
            raise InvalidInput(f"The archive is damaged: {error}.") from None
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Headers:
    """A file for tarfile to find members in. It reads extended headers to memory, and those can be of any size."""

    def __init__(self, file: t.BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("it has a header that is too large")
        return self._file.read(size)


class ArchiveSource:
    """The images of an archive: of an OCI layout, or of ``docker save``, also of versions that write no layout.

    Links are followed only to members of the same archive. The archive may be compressed with gzip, but every blob is
    then reached by decompressing what lies before it.
    """

    def __init__(self, path: str) -> None:
        """Index the members of the archive. Raises InvalidInput where it is none, or a hostile one."""
        self.path = path
        self._members: dict[str, _Place] = {}
        self._made: dict[str, bytes] = {}
        self._described: dict[str, dict[str, t.Any]] = {}
        with storage_errors(path):
            self._file = open(path, "rb", buffering=0)
            self._compressed = self._file.read(2) == b"\x1f\x8b"
            self._index()
        if "index.json" in self._members:
            self._entries = self._layout_entries()
        elif "manifest.json" in self._members:
            self._entries = self._docker_entries()
        else:
            raise InvalidInput(f"{path} holds no image: it has neither index.json nor manifest.json.")

    def entries(self) -> list[dict[str, t.Any]]:
        """Return the descriptors of the images, as ``index.json`` lists them."""
        return self._entries

    def resolve(self, name: str) -> Descriptor | None:
        for entry in self._entries:
            if name in (entry.get("digest"), name_of(entry)):
                return Descriptor.from_dict(entry)
        return None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        raw = self._made.get(descriptor.digest)
        if raw is None:
            raw = self.small(_member(descriptor.digest), MANIFEST_READ_LIMIT)
        if raw is None:
            raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
        return Manifest.parse(raw, descriptor.media_type, descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        place = self._members.get(_member(descriptor.digest))
        if place is None:
            raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
        return _Section(self._open(), place)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether there is a member of the descriptor's digest and size; its bytes are not looked at."""
        place = self._members.get(_member(descriptor.digest))
        return place is not None and place.size == descriptor.size

    def small(self, member: str, limit: int = _SMALL) -> bytes | None:
        """Return the content of a member of at most ``limit`` bytes, or None where there is none of this name."""
        place = self._members.get(member)
        if place is None:
            return None
        if place.size > limit:
            raise InvalidInput(f"{member} in {self.path} is larger than the {limit} bytes that it may have.")
        content, count = memoryview(bytearray(place.size)), 0
        with contextlib.closing(_Section(self._open(), place)) as section:
            while count < place.size:
                part = section.readinto(content[count:])
                if not part:
                    raise InvalidInput(f"{self.path} ends in the middle of {member}.")
                count += part
        return bytes(content)

    def _open(self) -> t.BinaryIO:
        file = t.cast(t.BinaryIO, _Shared(self._file))
        return t.cast(t.BinaryIO, gzip.GzipFile(fileobj=file)) if self._compressed else file

    def _index(self) -> None:
        links: dict[str, str] = {}
        try:
            with contextlib.closing(self._open()) as raw, _open_tar(raw) as tar:
                for count, member in enumerate(tar):
                    if count >= _MAX_MEMBERS:
                        raise InvalidInput(f"{self.path} has more than {_MAX_MEMBERS} members.")
                    name = _inside(member.name, self.path)
                    if member.size < 0:
                        raise tarfile.ReadError("it has a member of negative size")
                    if member.isfile():
                        self._members[name] = _Place(member.offset_data, member.size)
                    elif member.issym() or member.islnk():
                        base = posixpath.dirname(name) if member.issym() else ""
                        links[name] = _inside(posixpath.join(base, member.linkname), self.path)
                    elif not member.isdir():
                        raise InvalidInput(
                            f"{printable(name)} in {self.path} is neither a file nor a directory: this is refused."
                        )
        except _DAMAGES as error:
            raise InvalidInput(f"{self.path} is not a tar archive, or a damaged one: {error}.") from None
        for name, target in links.items():
            if target in self._members:
                self._members.setdefault(name, self._members[target])

    def _layout_entries(self) -> list[dict[str, t.Any]]:
        return entries_in(self.small("index.json") or b"", f"index.json of {self.path}")

    def _docker_entries(self) -> list[dict[str, t.Any]]:
        """Make a manifest for each image of a ``docker save`` without a layout: it has none of its own."""
        try:
            images = json.loads(self.small("manifest.json") or b"")
            return [entry for image in images for entry in self._docker_image(image)]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise InvalidInput(f"manifest.json in {self.path} is not that of docker save.") from None

    def _docker_image(self, image: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        config = self.small(_inside(image["Config"], self.path), CONFIG_LIMIT)
        if config is None:
            raise ProtocolError(f"{self.path} lacks the image config {printable(image['Config'])}.")
        descriptors = [self._alias(image["Config"], DOCKER_CONFIG)]
        for layer in image["Layers"]:
            descriptors.append(self._alias(layer, _DOCKER_LAYER))
        raw = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST,
                "config": descriptors[0],
                "layers": descriptors[1:],
            },
            separators=(",", ":"),
        ).encode()
        manifest = Manifest.parse(raw, DOCKER_MANIFEST)
        self._made[manifest.digest] = raw
        names = image.get("RepoTags") or [""]
        return [entry_of(manifest, name, {}) for name in names]

    def _alias(self, member: str, media_type: str) -> dict[str, t.Any]:
        """Let a member be found by its digest, and return its descriptor."""
        if member in self._described:
            return self._described[member]
        place = self._members.get(_inside(member, self.path))
        if place is None:
            raise ProtocolError(f"{self.path} lacks {printable(member)}, which its manifest.json names.")
        digest, head = hashlib.sha256(), b""
        section = _Section(self._open(), place)
        buffer = memoryview(bytearray(BLOCK))
        with contextlib.closing(section):
            while True:
                count = section.readinto(buffer)
                if not count:
                    break
                head = head or bytes(buffer[:2])
                digest.update(buffer[:count])
        name = f"sha256:{digest.hexdigest()}"
        self._members[_member(name)] = place
        if media_type == _DOCKER_LAYER and head == b"\x1f\x8b":
            media_type = DOCKER_LAYER_GZIP
        self._described[member] = {"mediaType": media_type, "size": place.size, "digest": name}
        return self._described[member]


class ArchiveStore:
    """An archive that is written anew with just the images of one copy, and takes the place of the old one at its end.

    What the old one has is taken from there. The same images always give the same bytes.
    """

    def __init__(self, path: str, image_names: t.Mapping[str, str], docker: bool) -> None:
        """``image_names`` gives the full references of names; ``docker`` adds what ``docker load`` reads."""
        self.path = path
        self._image_names = image_names
        self._docker = docker
        self._old = _old_archive(path)
        self._right: dict[str, bool] = {}
        self._file: t.Any = None
        self._places: dict[str, _Place] = {}

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
            self._right[descriptor.digest] = self._old is not None and self._check(self._old, descriptor)
        return self._right[descriptor.digest]

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether the old archive has just these images, under these names."""
        members = self._small_members(list(images))
        return self._old is not None and all(self._old.small(name) == raw for name, raw in members.items())

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Lay the new archive out, with everything but what is missing yet; keep it if all of that arrives."""
        small = {_member(manifest.digest): manifest.raw for manifest in work.manifests}
        small.update(self._small_members(work.named(names)))
        blobs = {_member(blob.digest): blob for blob in work.blobs + work.present}
        check_space(self.path, sum(blob.size for blob in blobs.values()))
        with storage_errors(self.path):
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with replacing(self.path) as self._file:
                self._lay_out(small, blobs)
                for blob in work.present:
                    self.put_blob(blob, self._reading())
                yield

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        place = self._places[_member(descriptor.digest)]
        position = place.offset

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

    @staticmethod
    def _check(old: ArchiveSource, descriptor: Descriptor) -> bool:
        if not old.holds(descriptor):
            return False
        try:
            receive(old.open_blob(descriptor), descriptor, lambda block: None)
        except RegistryError:
            return False
        return True

    def _lay_out(self, small: t.Mapping[str, bytes], blobs: t.Mapping[str, Descriptor]) -> None:
        """Write all headers, and the content that is known."""
        offset = 0
        for name in sorted({**small, **blobs}):
            size = len(small[name]) if name in small else blobs[name].size
            header = tarfile.TarInfo(name)
            header.size, header.mode = size, 0o644
            raw = header.tobuf(tarfile.GNU_FORMAT)
            self._places[name] = _Place(offset + len(raw), size)
            self._write_at(offset, memoryview(raw + small.get(name, b"")))
            offset += len(raw) + -(-size // _TAR_BLOCK) * _TAR_BLOCK
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
        entries = [entry_of(manifest, name, self._image_names) for manifest, name in images]
        members = {"index.json": index_json(entries), "oci-layout": MARKER}
        if self._docker:
            members["manifest.json"] = json.dumps(
                [self._docker_entry(*image) for image in images], indent=2
            ).encode()
        return members

    def _docker_entry(self, manifest: Manifest, name: str) -> dict[str, t.Any]:
        if not manifest.is_image or manifest.config is None:
            raise InvalidInput(
                f"{name or manifest.digest} is not a single image, which docker-archive needs: choose one platform, or"
                " the format oci-archive."
            )
        reference = self._image_names.get(name, name)
        return {
            "Config": _member(manifest.config.digest),
            "RepoTags": [reference] if reference and "@" not in reference else None,
            "Layers": [_member(layer.digest) for layer in manifest.layers],
        }


def _member(digest: str) -> str:
    if not is_digest(digest):
        raise AssertionError("unchecked digest")
    return "blobs/" + digest.replace(":", "/", 1)


def _inside(name: str, path: str) -> str:
    """Return the normal form of a member's name. Raises InvalidInput for one that leads out of the archive."""
    normal = posixpath.normpath(name)
    if normal.startswith(("/", "../")) or normal == ".." or "\0" in normal:
        raise InvalidInput(f"{path} has a member that leads out of it: this is refused.")
    return normal


def _open_tar(file: t.BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=t.cast(t.BinaryIO, _Headers(file)), mode="r:")


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
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        try:
            return tarfile.TarInfo.frombuf(file.read(_TAR_BLOCK), "utf-8", "replace").name.startswith(
                "blobs/"
            )
        except tarfile.TarError:
            return False
