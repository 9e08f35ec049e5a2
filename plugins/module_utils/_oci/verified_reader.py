# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Streams of bytes, and their verification against a descriptor on the way."""

from __future__ import annotations

import hashlib
import io
import typing as t

from .._errors import DigestMismatch, ProtocolError
from .._parallel import check_stopped
from .content import Descriptor

BLOCK = 1 << 20
_LEAST_BLOCK = 1 << 16
_PARTS = 8


def blocks_of(source: io.RawIOBase, size: int | None = None) -> t.Iterator[memoryview]:
    """Yield the bytes of ``source`` in blocks; each is overwritten by the next.

    Blocks are smaller where ``source`` has only ``size`` bytes: an eighth of these, as many of them move at a time.
    """
    length = BLOCK if size is None else min(max(size // _PARTS, _LEAST_BLOCK), BLOCK)
    buffer = memoryview(bytearray(length))
    while True:
        check_stopped()
        count = source.readinto(buffer)
        if not count:
            return
        yield buffer[:count]


class BytesReader(io.RawIOBase):
    """Reads bytes that are in memory."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class VerifiedReader(io.RawIOBase):
    """Passes the bytes of ``source`` on, and raises DigestMismatch unless they are what ``descriptor`` names.

    Closing it closes ``source``. If that has a name, it is a file, which the error names.
    """

    def __init__(self, source: io.RawIOBase, descriptor: Descriptor) -> None:
        self._source = source
        self._descriptor = descriptor
        self._hash = hashlib.new(descriptor.digest.partition(":")[0])
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read on; the end is reported only after the digest was found right."""
        check_stopped()
        count = self._source.readinto(buffer) or 0
        self.pass_over(memoryview(buffer)[:count])
        expected = self._descriptor
        place = getattr(self._source, "name", None)
        if self._count > expected.size or (not count and self._count < expected.size):
            raise DigestMismatch(
                f"{place} is damaged: it has not the {expected.size} bytes of {expected.digest}."
                if isinstance(place, str)
                else f"{expected.digest} has not the {expected.size} bytes that its descriptor promises."
            )
        if not count and self._hash.hexdigest() != expected.digest.partition(":")[2]:
            raise DigestMismatch(
                f"{place} is damaged: its content is not that of {expected.digest}."
                if isinstance(place, str)
                else f"The content that was sent for {expected.digest} is not the right one: nothing is kept."
            )
        return count

    def pass_over(self, content: memoryview) -> None:
        """Take ``content``, which comes next in the blob and is held already, for read."""
        self._hash.update(content)
        self._count += len(content)

    def close(self) -> None:
        self._source.close()
        super().close()


def verified(source: io.RawIOBase, descriptor: Descriptor) -> io.RawIOBase:
    """Return what reads ``source``, and raises DigestMismatch unless its bytes are what ``descriptor`` names.

    That is ``source`` itself where it is proven: its attribute ``proven`` is the descriptor that its bytes are known to
    have, and it raises the error where they change meanwhile. Everything else is hashed.
    """
    if getattr(source, "proven", None) == descriptor:
        return source
    return VerifiedReader(source, descriptor)


def read_blob(source: io.RawIOBase, descriptor: Descriptor, limit: int) -> bytes:
    """Return all bytes of ``source``, which are what ``descriptor`` names, and close it.

    Raises:
        ProtocolError: the blob has more than ``limit`` bytes; none is read.
        DigestMismatch: the bytes are not those that ``descriptor`` names.
    """
    verified = VerifiedReader(source, descriptor)
    try:
        if descriptor.size > limit:
            raise ProtocolError(
                f"{descriptor.digest} has {descriptor.size} bytes, more than the {limit} that are read."
            )
        # The byte too many is room to find the end, or a blob that is too long.
        content, count = memoryview(bytearray(descriptor.size + 1)), 0
        while True:
            part = verified.readinto(content[count:])
            if not part:
                return bytes(content[:count])
            count += part
    finally:
        verified.close()
