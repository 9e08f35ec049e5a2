# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Compressed files: told by their first bytes, and unpacked up to a limit."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import os
import sys
import tempfile
import typing as t
import zlib

from .._errors import InvalidInput, Unsupported
from .._oci.quantities import parse_size
from .._oci.verified_reader import BLOCK
from .._parallel import check_stopped
from .files import storage_errors

MAGIC_LENGTH = 6
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
# What decompressing xz may take of memory: its strongest setting needs 65 MiB.
_XZ_MEMORY = 256 << 20
_RATIO = 100
_LEAST_LIMIT = 1 << 30
# What four bytes of zstd unpack to can be 128 KiB, and each of these blocks is unpacked at once.
_ZSTD_BLOCK = 1 << 10
_ZEROS = bytes(BLOCK)

Blocks = t.Iterator[bytes]


def compression_of(head: bytes) -> str | None:
    """Return how a file is compressed that begins with ``head``, None for a plain one."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def read_unpacked_size(params: t.Mapping[str, t.Any]) -> int | None:
    """Return the option max_unpacked_size in bytes, None where it is not set. Raises InvalidInput."""
    size = params["max_unpacked_size"]
    return None if size is None else parse_size(size)


def unpacked_limit(size: int, given: int | None) -> int:
    """Return how many bytes a compressed file of ``size`` bytes may unpack to: ``given`` by the user, or 100 times as many.

    A GiB is always allowed. Images seldom shrink to less than a tenth, while zeros shrink to a thousandth.
    """
    return given if given is not None else max(_LEAST_LIMIT, _RATIO * size)


def unpack(source: io.RawIOBase, compression: str, name: str, limit: int) -> Blocks:
    """Yield the content of a file called ``name``, whose bytes are read from ``source`` up to its end.

    ``compression`` is one that compression_of() returns. Raises InvalidInput where the file is damaged or unpacks to more
    than ``limit`` bytes, and Unsupported where this Python lacks a library.
    """
    unpackers = {"gzip": _gzip, "zstd": _zstd, "bzip2": _bzip2, "xz": _xz}
    size = 0
    for block in unpackers[compression](source, name):
        check_stopped()
        size += len(block)
        if size > limit:
            raise InvalidInput(
                f"{name} unpacks to more than {limit} bytes: this is refused, as it may be made to fill the disk."
                " Set max_unpacked_size if it is meant to."
            )
        yield block


def unpacked_file(source: io.RawIOBase, compression: str, name: str, limit: int) -> t.BinaryIO:
    """Return the content of a compressed file in a temporary one without a name, which can be read from any byte on.

    ``name`` stands for it in messages, and ``limit`` is in bytes. It is in ``TMPDIR``, else in /var/tmp, as /tmp is often in
    memory. Zeros take no room. Raises what unpack() does, and LocalStorageError.
    """
    directory = os.environ.get("TMPDIR") or ("/var/tmp" if os.path.isdir("/var/tmp") else None)
    with storage_errors(directory or tempfile.gettempdir()):
        file = t.cast(t.BinaryIO, tempfile.TemporaryFile(buffering=0, dir=directory))
        try:
            size = 0
            for block in unpack(source, compression, name, limit):
                size += len(block)
                if block == _ZEROS[: len(block)]:
                    file.seek(len(block), os.SEEK_CUR)
                else:
                    _write(file, block)
            file.truncate(size)
        except BaseException:
            file.close()
            raise
    return file


class HashingReader(io.RawIOBase):
    """Passes bytes on, and knows the digest and number of what has passed."""

    def __init__(self, source: io.RawIOBase) -> None:
        self.size = 0
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        count = self._source.readinto(buffer) or 0
        self._hash.update(memoryview(buffer)[:count])
        self.size += count
        return count

    @property
    def digest(self) -> str:
        """The sha256 digest of what has passed."""
        return f"sha256:{self._hash.hexdigest()}"


class HashingBlocks:
    """Passes blocks on, and knows the digest and number of the bytes that have passed."""

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
        """The sha256 digest of what has passed."""
        return f"sha256:{self._hash.hexdigest()}"


def _write(file: t.BinaryIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _gzip(source: io.RawIOBase, name: str) -> Blocks:
    try:
        with gzip.GzipFile(fileobj=t.cast(t.BinaryIO, source), mode="rb") as unpacked:
            yield from iter(lambda: unpacked.read(BLOCK), b"")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(name, "gzip", error) from error


def _bzip2(source: io.RawIOBase, name: str) -> Blocks:
    library = _library("bz2")
    try:
        yield from _streams(library.BZ2Decompressor, source)
    except (EOFError, OSError, ValueError) as error:
        # Damage has no type of its own, but is no error of the operating system's.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(name, "bzip2", error) from error


def _xz(source: io.RawIOBase, name: str) -> Blocks:
    library = _library("lzma")
    try:
        yield from _streams(lambda: library.LZMADecompressor(library.FORMAT_XZ, _XZ_MEMORY), source)
    except (EOFError, library.LZMAError) as error:
        raise _damaged(name, "xz", error) from error


def _streams(make: t.Callable[[], t.Any], source: io.RawIOBase) -> Blocks:
    """Unpack a file of one stream or several, each with a decompressor of its own, in blocks of a bounded size."""
    engine, packed = make(), source.read(BLOCK) or b""
    if not packed:
        raise EOFError("it is empty")
    while True:
        block = engine.decompress(packed, BLOCK)
        packed = b""
        if block:
            yield block
        if engine.eof:
            # Streams can be followed by zeros.
            packed = engine.unused_data.lstrip(b"\0")
            while not packed:
                following = source.read(BLOCK)
                if not following:
                    return
                packed = following.lstrip(b"\0")
            engine = make()
        elif engine.needs_input:
            packed = source.read(BLOCK) or b""
            if not packed:
                raise EOFError("it ends in the middle of a stream")


def _zstd(source: io.RawIOBase, name: str) -> Blocks:
    library = _zstd_library(name)
    try:
        if hasattr(library, "ZstdFile"):
            unpacked = library.ZstdFile(source)
            yield from iter(lambda: unpacked.read(BLOCK), b"")
        else:
            yield from _zstd_frames(library, source)
    except (EOFError, library.ZstdError) as error:
        raise _damaged(name, "zstd", error) from error


def _zstd_frames(library: t.Any, source: io.RawIOBase) -> Blocks:
    """Unpack with zstandard, frame by frame: its own reader takes the place where a frame was cut off for its end."""
    frame = None
    for packed in iter(lambda: source.read(_ZSTD_BLOCK), b""):
        while packed:
            frame = frame or library.ZstdDecompressor().decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame:
        raise EOFError("it ends in the middle of a frame")


def _damaged(name: str, compression: str, error: Exception) -> InvalidInput:
    return InvalidInput(f"{name} is not a complete {compression} file: {error}.")


def _library(name: str) -> t.Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unsupported(
            f"The Python {sys.executable} was built without its library {name}: unpack the file first."
        ) from None


def _zstd_library(name: str) -> t.Any:
    for library in ("compression.zstd", "zstandard"):
        try:
            return importlib.import_module(library)
        except ImportError:
            continue
    raise Unsupported(
        f"{name} is compressed with zstd, and reading it needs the Python library zstandard, or Python 3.14: install it for"
        f" {sys.executable}, or compress the file with gzip."
    )
