# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Layers: tarballs as they are, and reproducible ones of files and folders (image-spec 1.1, "layer.md").

No layer is kept in memory or in a temporary file: its bytes are read, or made again, when they are needed.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import os
import re
import stat
import struct
import sys
import typing as t
import zlib
from dataclasses import dataclass

from .._errors import InvalidInput, LocalStorageError, Unsupported, printable
from .._http.transport import BLOCK
from .._storage.files import storage_errors

_LEVEL = 6
_UNPACKED_LIMIT = 100 << 30
_TAR_BLOCK = 512
# What four bytes unpack to can be 128 KiB, and each of these blocks is unpacked at once.
_ZSTD_BLOCK = 1 << 10
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_FILE, _SYMLINK, _FOLDER, _PAX = b"0", b"2", b"5", b"x"
_MAX_OWNER = (1 << 32) - 2

Blocks = t.Iterator[bytes]


@dataclass(frozen=True)
class Layer:
    """A compressed layer: digest and size of its bytes, and ``diff_id``, the digest of the tar in them."""

    compression: str
    digest: str
    size: int
    diff_id: str
    make: t.Callable[[], Blocks]

    def open(self) -> io.RawIOBase:
        """Return the bytes from the start."""
        return _BlockFile(self.make())


@dataclass(frozen=True)
class Member:
    """One entry of a layer made of files. ``source`` is the local file, or the content itself."""

    name: str
    kind: bytes
    mode: int
    owner: int
    group: int
    size: int = 0
    source: str | bytes = b""
    link: str = ""


def tarball(path: str) -> Layer:
    """Return the layer in the tar ``path``: its own bytes if they are compressed, else compressed here.

    Raises InvalidInput where it is no tar, or damaged, and Unsupported where zstd cannot be read.
    """
    with storage_errors(path):
        with open(path, "rb") as file:
            start = file.read(max(map(len, _MAGIC)))
        compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        if compression is None:
            return _packed(lambda: _read(path), path)
        if compression not in ("gzip", "zstd"):
            raise InvalidInput(f"{path} is compressed with {compression}: layers can be plain, gzip or zstd.")
        packed = _Watched(_read(path))
        unpack = _unzstd if compression == "zstd" else _gunzip
        tar = _Watched(unpack(t.cast(t.BinaryIO, _BlockFile(iter(packed))), path))
        _read_tar(tar, path)
        return Layer(compression, packed.digest, packed.size, tar.digest, lambda: _read(path))


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
    return _packed(lambda: _tar(ordered), "The layer")


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
    with storage_errors(src):
        is_folder = stat.S_ISDIR(os.lstat(src).st_mode)
        inside = is_folder and src.endswith("/")
        if not inside and (is_folder or dest.endswith("/") or not target):
            target = member_name(f"{target}/{os.path.basename(os.path.abspath(src))}")
        found = list(_walk(src.rstrip("/") or "/", target, inside))
        return [_local(path, name, mode, directory_mode, *_owners(owner, group)) for path, name in found]


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


class _Watched:
    """Passes blocks on, and knows the digest and size of what has passed."""

    def __init__(self, blocks: Blocks) -> None:
        self.size = 0
        self._blocks = blocks
        self._hash = hashlib.sha256()

    def __iter__(self) -> Blocks:
        for block in self._blocks:
            self._hash.update(block)
            self.size += len(block)
            yield block

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


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


def _packed(make_tar: t.Callable[[], Blocks], what: str) -> Layer:
    """Return the layer that a plain tar is after compression."""
    tar = _Watched(make_tar())
    packed = _Watched(_gzip(_checked(tar, what)))
    for _block in packed:
        pass
    return Layer("gzip", packed.digest, packed.size, tar.digest, lambda: _gzip(make_tar()))


def _read(path: str) -> Blocks:
    with storage_errors(path), open(path, "rb", buffering=0) as file:
        yield from iter(lambda: file.read(BLOCK), b"")


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


def _gunzip(file: t.BinaryIO, what: str) -> Blocks:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield from iter(lambda: unpacked.read(BLOCK), b"")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{what} is not a complete gzip file: {error}.") from error


def _unzstd(file: t.BinaryIO, what: str) -> Blocks:
    library = _zstd_library()
    try:
        if hasattr(library, "ZstdFile"):
            unpacked = library.ZstdFile(file)
            yield from iter(lambda: unpacked.read(BLOCK), b"")
        else:
            yield from _zstd_frames(library, file)
    except (EOFError, library.ZstdError) as error:
        raise InvalidInput(f"{what} is not a complete zstd file: {error}.") from error


def _zstd_frames(library: t.Any, file: t.BinaryIO) -> Blocks:
    """Unpack with zstandard, frame by frame: its own reader takes the place where a frame was cut off for its end."""
    frame = None
    for packed in iter(lambda: file.read(_ZSTD_BLOCK), b""):
        while packed:
            frame = frame or library.ZstdDecompressor().decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame:
        raise EOFError("it ends in the middle of a frame")


def _zstd_library() -> t.Any:
    for name in ("compression.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise Unsupported(
        "A zstd layer needs the Python library zstandard, or Python 3.14, as its content has to be read: install"
        f" it for {sys.executable}, or compress the tarball with gzip."
    )


def _checked(tar: _Watched, what: str) -> Blocks:
    """Pass a tar on. Raises InvalidInput unless it begins and ends like one, in a size that can be meant."""
    first = last = b""
    for block in tar:
        first += block[: _TAR_BLOCK - len(first)]
        last = (last + block if len(block) < _TAR_BLOCK else block)[-_TAR_BLOCK:]
        if tar.size > _UNPACKED_LIMIT:
            raise InvalidInput(
                f"{what} holds more than {_UNPACKED_LIMIT >> 30} GiB: make layers of it that are smaller."
            )
        yield block
    if not _is_tar_start(first):
        raise InvalidInput(f"{what} is not a tar archive.")
    if tar.size % _TAR_BLOCK or any(last):
        raise InvalidInput(f"{what} is not a complete tar archive: it does not end as one does.")


def _read_tar(tar: _Watched, what: str) -> None:
    for _block in _checked(tar, what):
        pass


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


def _walk(path: str, name: str, inside: bool) -> t.Iterator[tuple[str, str]]:
    """Yield local paths and their names in the layer; with ``inside`` what is in a folder, but not itself."""
    pending = [(path, name)]
    while pending:
        path, name = pending.pop()
        if not inside:
            yield path, name
        if inside or stat.S_ISDIR(os.lstat(path).st_mode):
            pending += [
                (os.path.join(path, child), f"{name}/{child}".lstrip("/")) for child in os.listdir(path)
            ]
        inside = False


def _local(
    path: str, name: str, mode: int | None, directory_mode: int | None, owner: int, group: int
) -> Member:
    name = member_name(name)
    found = os.lstat(path)
    own = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode):
        return Member(name, _FOLDER, own if directory_mode is None else directory_mode, owner, group)
    if stat.S_ISLNK(found.st_mode):
        link = os.readlink(path)
        _check_encoding(link)
        return Member(name, _SYMLINK, 0o777, owner, group, link=link)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(
            f"{path} cannot be in a layer: it is neither a file, a folder nor a symbolic link."
        )
    return Member(name, _FILE, own if mode is None else mode, owner, group, found.st_size, path)


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


def _content(path: str, size: int) -> Blocks:
    """Read just ``size`` bytes of a file. Raises LocalStorageError if it has become shorter."""
    with storage_errors(path), open(path, "rb", buffering=0) as file:
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
    records = b""
    for keyword, text in ((b"linkpath", link), (b"path", name)):
        if len(text) > 100 or max(text, default=0) > 127:
            records += _record(keyword, text)
    numbers = {"owner": member.owner, "group": member.group, "size": member.size}
    for field, keyword, digits in (("group", b"gid", 7), ("size", b"size", 11), ("owner", b"uid", 7)):
        if numbers[field] >= 8**digits:
            records += _record(keyword, b"%d" % numbers[field])
            numbers[field] = 0
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
