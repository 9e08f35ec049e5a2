# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Streams of bytes, and their verification against a descriptor on the way."""

from __future__ import annotations

import hashlib
import typing as t

from .._errors import DigestMismatch, ProtocolError
from .._parallel import check_stopped
from .content import Descriptor


class Reader(t.Protocol):
    """A stream of bytes that is read once, from the start."""

    def readinto(self, buffer: memoryview) -> int: ...

    def close(self) -> None: ...


class VerifiedReader:
    """Passes the bytes of ``reader`` on, and raises DigestMismatch unless they are what ``descriptor`` names."""

    def __init__(self, reader: Reader, descriptor: Descriptor) -> None:
        self._reader = reader
        self._descriptor = descriptor
        self._hash = hashlib.new(descriptor.digest.partition(":")[0])
        self._count = 0

    def readinto(self, buffer: memoryview) -> int:
        """Read on; the end is reported only after the digest was found right."""
        check_stopped()
        count = self._reader.readinto(buffer)
        self._hash.update(buffer[:count])
        self._count += count
        expected = self._descriptor
        if self._count > expected.size or (not count and self._count < expected.size):
            raise DigestMismatch(
                f"{expected.digest} has not the {expected.size} bytes that its descriptor promises."
            )
        if not count and self._hash.hexdigest() != expected.digest.partition(":")[2]:
            raise DigestMismatch(
                f"The content that was sent for {expected.digest} is not the right one: nothing is kept."
            )
        return count

    def close(self) -> None:
        self._reader.close()


def read_blob(reader: Reader, descriptor: Descriptor, limit: int) -> bytes:
    """Return all bytes of ``reader``, which are what ``descriptor`` names, and close it.

    Raises ProtocolError for a blob of more than ``limit`` bytes, before one is read, and DigestMismatch.
    """
    source = VerifiedReader(reader, descriptor)
    try:
        if descriptor.size > limit:
            raise ProtocolError(
                f"{descriptor.digest} has {descriptor.size} bytes, more than the {limit} that are read."
            )
        # The byte too many is room to find the end, or a blob that is too long.
        content, count = memoryview(bytearray(descriptor.size + 1)), 0
        while True:
            part = source.readinto(content[count:])
            if not part:
                return bytes(content[:count])
            count += part
    finally:
        source.close()
