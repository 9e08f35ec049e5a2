# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Sources whose bytes are counted on their way."""

from __future__ import annotations

import io
import time
import typing as t

from .._oci.content import Descriptor, Manifest
from .._oci.stores import Source
from .._progress import Transfer

# Bytes that are read at a time: few enough for the next line to know of them, and as many as can be where it is fast.
_SMALLEST, _LARGEST = 16 << 10, 1 << 20
_FIRST = 64 << 10
# Seconds that one read takes.
_FAST, _SLOW = 0.1, 0.5


class MeteredSource:
    """A source that tells ``transfer`` how far each of its blobs is read. Where blobs are kept is what the source says."""

    def __init__(self, source: Source, transfer: Transfer) -> None:
        self._source = source
        self._transfer = transfer

    def resolve(self, name: str) -> Descriptor | None:
        return self._source.resolve(name)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._source.fetch_manifest(descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self._source.origin(descriptor)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return _MeteredBlob(self._source.open_blob(descriptor), descriptor.digest, self._transfer)


class _MeteredBlob(io.RawIOBase):
    """The bytes of ``source``. One that is opened again, as after a failure, counts from its beginning."""

    def __init__(self, source: io.RawIOBase, digest: str, transfer: Transfer) -> None:
        self._source = source
        self._digest = digest
        self._transfer = transfer
        self._position = 0
        self._limit = _FIRST
        name = getattr(source, "name", None)
        if isinstance(name, str):
            # Messages name the file.
            self.name = name
        # The bytes pass unchanged, so what is known of them still holds.
        self.proven = getattr(source, "proven", None)
        transfer.reach(digest, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._source.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = self._source.seek(offset, whence)
        self._transfer.reach(self._digest, self._position)
        return self._position

    def readinto(self, buffer: t.Any) -> int:
        began = time.monotonic()
        count = self._source.readinto(memoryview(buffer)[: self._limit]) or 0
        taken = time.monotonic() - began
        if taken < _FAST:
            self._limit = min(2 * self._limit, _LARGEST)
        elif taken > _SLOW:
            self._limit = max(self._limit // 2, _SMALLEST)
        self._position += count
        self._transfer.reach(self._digest, self._position, count)
        return count

    def close(self) -> None:
        self._source.close()
        super().close()
