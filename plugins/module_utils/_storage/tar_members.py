# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The members of a tar archive, found in one pass and read where they lie."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, printable
from .compression import MAGIC_LENGTH, compression_of, unpacked_file, unpacked_limit
from .files import open_file, read_all, storage_errors

_MAX_MEMBERS = 100000
_MAX_HEADER = 1 << 20
_DAMAGES = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError)
# Where two members have one of these names, programs differ in which they read.
_NAMED_ONCE = frozenset(("index.json", "manifest.json", "oci-layout"))


@dataclass(frozen=True)
class Place:
    """Where the bytes of a member lie in the archive, unpacked if it is compressed."""

    offset: int
    size: int


class TarMembers:
    """The files in a tar, by their normal names. Links are followed only to members of the same archive.

    The archive is opened once: what takes its name meanwhile is not seen. A compressed one is unpacked once, to a file in
    the temporary folder that no name leads to.
    """

    def __init__(self, path: str, max_unpacked_size: int | None = None) -> None:
        """Index the archive. Raises InvalidInput where it is none, or a hostile one, and LocalStorageError."""
        self.path = path
        self._places: dict[str, Place] = {}
        with storage_errors(path):
            file = open_file(path)
            compression = compression_of(os.pread(file.fileno(), MAGIC_LENGTH, 0))
            self._file: t.Any = file
            if compression:
                limit = unpacked_limit(os.fstat(file.fileno()).st_size, max_unpacked_size)
                with file:
                    self._file = unpacked_file(file, compression, path, limit)
            self._index()

    def __contains__(self, name: str) -> bool:
        return self.place(name) is not None

    def place(self, name: str) -> Place | None:
        """Return where a member lies, None where there is none of this name. Raises InvalidInput for one that leads out."""
        return self._places.get(inner_name(name, self.path))

    def open(self, name: str) -> Section | None:
        """Open a member, None where there is none of this name."""
        place = self.place(name)
        return Section(self._file, place, f"{printable(name)} in {self.path}") if place else None

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the content of a member, None where there is none of this name. Raises InvalidInput beyond ``limit`` bytes."""
        section = self.open(name)
        return read_all(section, section.name, limit) if section else None

    def is_content(self, name: str, content: bytes) -> bool:
        """Tell whether a member is there and has just this content."""
        place = self.place(name)
        return place is not None and place.size == len(content) and self.read(name, place.size) == content

    def state(self) -> tuple[int, int]:
        """Return what differs once somebody has written to the archive."""
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _index(self) -> None:
        links: dict[str, str] = {}
        end = os.fstat(self._file.fileno()).st_size
        headers = _Headers(Section(self._file, Place(0, end), self.path))
        try:
            with tarfile.open(fileobj=t.cast(t.BinaryIO, headers), mode="r:") as tar:
                for count, member in enumerate(tar):
                    # The list of what was read is not needed, and grows with each member.
                    vars(tar)["members"] = []
                    if count >= _MAX_MEMBERS:
                        raise InvalidInput(f"{self.path} has more than {_MAX_MEMBERS} members.")
                    self._add(member, links)
                self._check_end(tar.offset, end)
        except _DAMAGES as error:
            raise InvalidInput(f"{self.path} is not a tar archive, or a damaged one: {error}.") from None
        for name in links:
            self._follow(name, links)

    def _check_end(self, offset: int, end: int) -> None:
        """Raise ReadError where no end of an archive is at ``offset``: tarfile takes a damaged header for one."""
        header = (
            Section(self._file, Place(offset, min(tarfile.BLOCKSIZE, end - offset)), self.path).read() or b""
        )
        if header.strip(b"\0"):
            raise tarfile.ReadError("it has a header that is damaged")

    def _follow(self, name: str, links: dict[str, str]) -> None:
        """Let a link stand for the file that it leads to, over further links, wherever in the archive these are."""
        passed = [name]
        while links.get(passed[-1]) not in (None, *passed):
            passed.append(links[passed[-1]])
        if passed[-1] in self._places:
            self._places.setdefault(name, self._places[passed[-1]])

    def _add(self, member: tarfile.TarInfo, links: dict[str, str]) -> None:
        name = inner_name(member.name, self.path)
        if member.size < 0:
            raise tarfile.ReadError("it has a member of negative size")
        if name in _NAMED_ONCE and (name in self._places or name in links):
            raise InvalidInput(f"{self.path} has {name} twice: programs would read different images.")
        if member.isfile():
            if member.issparse():
                raise InvalidInput(f"{printable(name)} in {self.path} is a sparse file: this is refused.")
            self._places[name] = Place(member.offset_data, member.size)
        elif member.issym() or member.islnk():
            base = posixpath.dirname(name) if member.issym() else ""
            links[name] = inner_name(posixpath.join(base, member.linkname), self.path)
        elif not member.isdir():
            raise InvalidInput(
                f"{printable(name)} in {self.path} is neither a file nor a directory: this is refused."
            )


class Section(io.RawIOBase):
    """The bytes of a member, with a position of its own. ``name`` tells which member it is, for messages."""

    def __init__(self, file: t.Any, place: Place, name: str) -> None:
        self.name = name
        self.place = place
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.place.size}
        self._position = max(0, start[whence] + offset)
        return self._position

    def readinto(self, buffer: t.Any) -> int:
        room = max(0, min(len(buffer), self.place.size - self._position))
        if not room:
            return 0
        block = os.pread(self._file.fileno(), room, self.place.offset + self._position)
        if not block:
            raise InvalidInput(f"{self.name} is cut off: the archive is damaged.")
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)


class _Headers:
    """A file for tarfile to find members in. It reads extended headers to memory, and those can be of any size."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("it has a header that is too large")
        return self._file.read(size) or b""


def inner_name(name: str, path: str) -> str:
    """Return the normal form of a member's name. Raises InvalidInput for one that leads out of the archive at ``path``."""
    normal = posixpath.normpath(name)
    if normal.startswith(("/", "../")) or normal == ".." or "\0" in normal:
        raise InvalidInput(f"{path} has a member that leads out of it: this is refused.")
    return normal
