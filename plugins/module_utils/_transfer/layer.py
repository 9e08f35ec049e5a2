# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Layers: tarballs as they are, and reproducible ones of files and folders (image-spec 1.1, "layer.md").

No layer is kept in memory or in a temporary file: its bytes are read, or made again, when they are needed.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import tarfile
import typing as t
import zlib
from dataclasses import dataclass, field, replace

from .._errors import InvalidInput, LocalStorageError, printable
from .._oci.verified_reader import BLOCK, blocks_of
from .._storage.compression import (
    MAGIC_LENGTH,
    Blocks,
    HashingBlocks,
    HashingReader,
    compression_of,
    unpack,
    unpacked_limit,
)
from .._storage.files import open_file, storage_errors
from .._storage.folder import Folder

_LEVEL = 6
_TAR_BLOCK = 512
_FILE, _SYMLINK, _FOLDER, _PAX = b"0", b"2", b"5", b"x"
_MAX_OWNER = (1 << 32) - 2
# What layers of Windows images consist of: files, changes of the Windows registry, the utility VM, and what is deleted.
_WINDOWS_FOLDERS = ("Files", "Hives")
_WINDOWS_NAMES = frozenset((*_WINDOWS_FOLDERS, "UtilityVM", "tombstones.txt"))
# The security descriptor O:BUG:BU, which lets users run what is in a file, as crane sets it.
_WINDOWS_SECURITY = (
    b"MSWINDOWS.rawsd",
    b"AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA==",
)


@dataclass(frozen=True)
class Layer:
    """A compressed layer: digest and size of its bytes, and ``diff_id``, the digest of the tar in them."""

    compression: str
    digest: str
    size: int
    diff_id: str
    make: t.Callable[[], Blocks] = field(compare=False)
    make_windows: t.Callable[[], Layer] | None = field(default=None, compare=False)
    _windows: list[Layer] = field(default_factory=list, compare=False)

    def open(self) -> io.RawIOBase:
        """Return the bytes from the start."""
        return _BlockFile(self.make())

    def for_system(self, system: t.Any) -> Layer:
        """Return the layer as images for an operating system have it: those for Windows have files below ``Files/``.

        Raises InvalidInput for a tarball that is not made for Windows.
        """
        if system != "windows" or self.make_windows is None:
            return self
        if not self._windows:
            self._windows.append(self.make_windows())
        return self._windows[0]

    def variants(self) -> list[Layer]:
        """Return the layer itself, and the one for Windows if that was asked for."""
        return list(dict.fromkeys((self, *self._windows)))


class LocalFile(t.NamedTuple):
    """A file in a folder whose links are not followed."""

    folder: Folder
    name: str


@dataclass(frozen=True)
class Member:
    """One entry of a layer made of files. ``source`` is the local file, or the content itself; ``records`` are pax's."""

    name: str
    kind: bytes
    mode: int
    owner: int
    group: int
    size: int = 0
    source: LocalFile | bytes = b""
    link: str = ""
    records: tuple[tuple[bytes, bytes], ...] = ()


def tarball(path: str, max_unpacked_size: int | None = None) -> Layer:
    """Return the layer in the tar ``path``: its own bytes if they are compressed, else compressed here.

    ``max_unpacked_size`` limits what it unpacks to, in bytes; see unpacked_limit(). Raises InvalidInput where it is no tar,
    or damaged, and Unsupported where zstd cannot be read.
    """
    with storage_errors(path):
        with open_file(path) as file:
            compression = compression_of(file.read(MAGIC_LENGTH))
            limit = unpacked_limit(os.fstat(file.fileno()).st_size, max_unpacked_size)
        if compression is None:
            return _packed(
                lambda: _read(path), path, lambda layer: _for_windows_already(layer, _read(path), path)
            )
        if compression not in ("gzip", "zstd"):
            raise InvalidInput(f"{path} is compressed with {compression}: layers can be plain, gzip or zstd.")

        def tar_of(source: io.RawIOBase) -> Blocks:
            return unpack(source, compression, path, limit)

        with open_file(path) as file:
            packed = HashingReader(file)
            tar = HashingBlocks(tar_of(packed))
            for _block in _checked(tar, path):
                pass
            for _rest in blocks_of(packed):
                pass
        layer = Layer(compression, packed.digest, packed.size, tar.digest, lambda: _read(path))
        return replace(
            layer,
            make_windows=lambda: _for_windows_already(layer, tar_of(_BlockFile(_read(path))), path),
        )


def file_layer(members: t.Iterable[Member]) -> Layer:
    """Return the layer of ``members``; whatever their order, the same ones give the same bytes.

    Raises InvalidInput where a name is taken twice or lies below something that is no folder.
    """
    ordered = sorted(members, key=lambda member: member.name.split("/"))
    kinds: dict[str, bytes] = {}
    for member in ordered:
        if member.name in kinds:
            raise InvalidInput(
                f"/{printable(member.name)} is in the layer twice: each name can be there once."
            )
        kinds[member.name] = member.kind
        parent = member.name.rpartition("/")[0]
        while parent:
            if kinds.get(parent, _FOLDER) != _FOLDER:
                raise InvalidInput(
                    f"/{printable(member.name)} cannot be in the layer: /{printable(parent)} in it is not a folder."
                )
            parent = parent.rpartition("/")[0]
    return _packed(lambda: _tar(ordered), "The layer", lambda _layer: file_layer(_for_windows(ordered)))


def text_member(content: str, dest: str, mode: int | None, owner: int, group: int) -> Member:
    """Return the entry of a file with ``content``. Raises InvalidInput where ``dest`` names no file."""
    name = member_name(dest)
    if not name or dest.endswith("/"):
        raise InvalidInput(f"dest {printable(dest)!r} names a folder: content needs the name of a file.")
    raw = content.encode("utf-8", "surrogateescape")
    return Member(name, _FILE, 0o644 if mode is None else mode, *_owners(owner, group), len(raw), raw)


def local_members(
    src: str, dest: str, mode: int | None, directory_mode: int | None, owner: int, group: int
) -> list[Member]:
    """Return the entries for the local file or folder ``src``, placed as ansible.builtin.copy does it.

    A slash at the end of ``dest``, or a folder as ``src``, puts ``src`` into ``dest``; a slash at the end of
    a folder's ``src`` puts only what is in it there. Symbolic links stay links; modes are kept unless given.
    Raises InvalidInput and LocalStorageError.
    """
    target = member_name(dest)
    owners = _owners(owner, group)
    with storage_errors(src):
        is_folder = stat.S_ISDIR(os.lstat(src).st_mode)
    inside = is_folder and src.endswith("/")
    if not inside and (is_folder or dest.endswith("/") or not target):
        target = member_name(f"{target}/{os.path.basename(os.path.abspath(src))}")
    if not is_folder:
        directory, base = os.path.split(os.path.abspath(src))
        return [_local(LocalFile(Folder(directory), base), target, mode, directory_mode, *owners)]
    return [
        _local(LocalFile(folder, own), name, mode, directory_mode, *owners)
        for folder in [Folder(src.rstrip("/") or "/")]
        for own, name in _walk(folder, target, inside)
    ]


def member_name(dest: str) -> str:
    """Return a path in the image as an entry is named: relative to the root. Raises InvalidInput."""
    parts = [part for part in dest.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in dest:
        raise InvalidInput(
            f"{printable(dest)!r} is not a valid dest: write a path in the image, without '..'."
        )
    if any(part.startswith(".wh.") for part in parts):
        raise InvalidInput(
            f"{printable(dest)!r} cannot be in the layer: names that start with .wh. delete files."
        )
    _check_encoding(dest)
    return "/".join(parts)


def read_mode(value: t.Any) -> int | None:
    """Return permissions as a number. Raises InvalidInput unless ``value`` is None or octal digits."""
    if value is None:
        return None
    if not isinstance(value, str) or not re.match(r"(?:0o)?[0-7]{1,5}\Z", value) or int(value, 8) > 0o7777:
        raise InvalidInput(
            f"{printable(value)!r} is not a valid mode: write octal digits in quotes, such as '0644'."
        )
    return int(value, 8)


class _BlockFile(io.RawIOBase):
    """Blocks as a file that is read once."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__()
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            t.cast("t.Generator[bytes, None, None]", self._blocks).close()
        super().close()


def _packed(make_tar: t.Callable[[], Blocks], name: str, make_windows: t.Callable[[Layer], Layer]) -> Layer:
    """Return the layer that a plain tar is after compression."""
    tar = HashingBlocks(make_tar())
    packed = HashingBlocks(_gzip(_checked(tar, name)))
    for _block in packed:
        pass
    layer = Layer("gzip", packed.digest, packed.size, tar.digest, lambda: _gzip(make_tar()))
    return replace(layer, make_windows=lambda: make_windows(layer))


def _read(path: str) -> Blocks:
    with storage_errors(path), open_file(path) as file:
        yield from iter(lambda: file.read(BLOCK), b"")


def _for_windows(members: t.Sequence[Member]) -> list[Member]:
    """Return the members of a layer for Windows, in which all folders above a file have to be."""
    moved = [replace(member, name=f"Files/{member.name}", records=(_WINDOWS_SECURITY,)) for member in members]
    names = {member.name for member in moved}
    above = {name[:end] for name in names for end, letter in enumerate(name) if letter == "/"}
    folders = sorted({*above, *_WINDOWS_FOLDERS} - names)
    return [*moved, *(Member(name, _FOLDER, 0o555, 0, 0) for name in folders)]


def _for_windows_already(layer: Layer, tar: Blocks, path: str) -> Layer:
    """Return the layer of a tarball that is made for Windows. Raises InvalidInput for another one."""
    try:
        with tarfile.open(fileobj=t.cast(t.BinaryIO, _BlockFile(tar)), mode="r|") as archive:
            for member in archive:
                # The list of what was read is not needed, and grows with each member.
                vars(archive)["members"] = []
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if parts and parts[0] not in _WINDOWS_NAMES:
                    raise InvalidInput(
                        f"{path} cannot be a layer of a Windows image: it has {printable(member.name)}, and these have their"
                        " files below Files/. Pack it so, or use files instead of src."
                    )
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{path} is not a tar archive, or a damaged one: {error}.") from error
    return layer


def _gzip(blocks: t.Iterable[bytes]) -> Blocks:
    """Compress (RFC 1952). The header is written here: those of Python's versions differ."""
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = size = 0
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    for block in blocks:
        checksum = zlib.crc32(block, checksum)
        size += len(block)
        yield engine.compress(block)
    yield engine.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _checked(tar: HashingBlocks, name: str) -> Blocks:
    """Pass a tar on. Raises InvalidInput unless it begins and ends like one."""
    first = last = b""
    for block in tar:
        first += block[: _TAR_BLOCK - len(first)]
        last = (last + block if len(block) < _TAR_BLOCK else block)[-_TAR_BLOCK:]
        yield block
    if not _is_tar_start(first):
        raise InvalidInput(f"{name} is not a tar archive.")
    if tar.size % _TAR_BLOCK or any(last):
        raise InvalidInput(f"{name} is not a complete tar archive: it does not end as one does.")


def _is_tar_start(block: bytes) -> bool:
    """Tell whether ``block`` is a header with the right checksum, or the end of an empty archive."""
    if len(block) < _TAR_BLOCK or not any(block):
        return len(block) == _TAR_BLOCK
    try:
        stored = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return stored == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _check_encoding(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{printable(ascii(path))} cannot be in the layer: it is not UTF-8.") from None


def _owners(owner: int, group: int) -> tuple[int, int]:
    for name, number in (("owner", owner), ("group", group)):
        if not 0 <= number <= _MAX_OWNER:
            raise InvalidInput(f"{number} is not a valid {name}: it is a number from 0 to {_MAX_OWNER}.")
    return owner, group


def _walk(folder: Folder, name: str, inside: bool) -> t.Iterator[tuple[str, str]]:
    """Yield what is in a folder, and its names in the layer; without ``inside`` the folder itself as well."""
    pending = [(".", name)]
    while pending:
        own, name = pending.pop()
        if own != "." or not inside:
            yield own, name
        status = folder.status(own)
        if status and stat.S_ISDIR(status.st_mode):
            prefix = "" if own == "." else f"{own}/"
            pending += [
                (f"{prefix}{child}", f"{name}/{child}".lstrip("/"))
                for child in folder.names(prefix.rstrip("/"))
            ]


def _local(
    file: LocalFile, name: str, mode: int | None, directory_mode: int | None, owner: int, group: int
) -> Member:
    name, path = member_name(name), file.folder.path_of(file.name)
    status = file.folder.status(file.name)
    if status is None:
        raise LocalStorageError(f"{path} changed while it was read: nothing was written.")
    own = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Member(name, _FOLDER, own if directory_mode is None else directory_mode, owner, group)
    if stat.S_ISLNK(status.st_mode):
        with file.folder.place(file.name) as place:
            link = os.readlink(place.name, dir_fd=place.directory)
        _check_encoding(link)
        return Member(name, _SYMLINK, 0o777, owner, group, link=link)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(
            f"{path} cannot be in a layer: it is neither a file, a folder nor a symbolic link."
        )
    return Member(name, _FILE, own if mode is None else mode, owner, group, status.st_size, file)


def _tar(members: t.Iterable[Member]) -> Blocks:
    """Write a tar (POSIX.1-2001, pax). Python's own differs between its versions."""
    for member in members:
        yield _header(member)
        if isinstance(member.source, bytes):
            yield member.source
        else:
            yield from _content(member.source, member.size)
        yield bytes(-member.size % _TAR_BLOCK)
    yield bytes(2 * _TAR_BLOCK)


def _content(source: LocalFile, size: int) -> Blocks:
    """Read just ``size`` bytes of a file. Raises LocalStorageError if it has become shorter, or something else."""
    path = source.folder.path_of(source.name)
    file = source.folder.open(source.name)
    if file is None:
        raise LocalStorageError(f"{path} changed while it was read: nothing was written.")
    with storage_errors(path), file:
        while size:
            block = file.read(min(size, BLOCK))
            if not block:
                raise LocalStorageError(f"{path} changed while it was read: nothing was written.")
            size -= len(block)
            yield block


def _header(member: Member) -> bytes:
    """Return the header of an entry, after one with the values that do not fit into it."""
    name = (member.name + "/" if member.kind == _FOLDER else member.name).encode()
    link = member.link.encode()
    records = b"".join(_record(*record) for record in member.records)
    for keyword, text in ((b"linkpath", link), (b"path", name)):
        if len(text) > 100 or max(text, default=0) > 127:
            records += _record(keyword, text)
    numbers = {"owner": member.owner, "group": member.group, "size": member.size}
    for key, keyword, digits in (("group", b"gid", 7), ("size", b"size", 11), ("owner", b"uid", 7)):
        if numbers[key] >= 8**digits:
            records += _record(keyword, b"%d" % numbers[key])
            numbers[key] = 0
    header = _ustar(name, member.kind, member.mode, numbers["owner"], numbers["group"], numbers["size"], link)
    if not records:
        return header
    extended = _ustar(b"././@PaxHeader", _PAX, 0o644, 0, 0, len(records), b"")
    return extended + records + bytes(-len(records) % _TAR_BLOCK) + header


def _record(keyword: bytes, value: bytes) -> bytes:
    """Return ``LENGTH KEYWORD=VALUE``, where the length counts its own digits."""
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _ustar(name: bytes, kind: bytes, mode: int, owner: int, group: int, size: int, link: bytes) -> bytes:
    """Return a header block (POSIX.1-1988, ustar), of the time 0 and without names of users."""
    before = struct.pack(
        "100s8s8s8s12s12s",
        _ascii(name),
        b"%07o\0" % mode,
        b"%07o\0" % owner,
        b"%07o\0" % group,
        b"%011o\0" % size,
        b"%011o\0" % 0,
    )
    after = struct.pack("1s100s8s247x", kind, _ascii(link), b"ustar\x0000")
    checksum = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % checksum + after


def _ascii(text: bytes) -> bytes:
    """Return what programs that know no pax show as a name."""
    return bytes(byte if byte < 128 else ord("_") for byte in text[:100])
