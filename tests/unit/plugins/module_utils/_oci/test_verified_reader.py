# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import DigestMismatch, ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, digest_of
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import (
    BLOCK,
    BytesReader,
    blocks_of,
    read_blob,
)


class Slow(BytesReader):
    """Gives one byte at a time, and tells whether it was read."""

    was_read = False

    def readinto(self, buffer: t.Any) -> int:
        self.was_read = True
        return super().readinto(memoryview(buffer)[:1])


def descriptor(content: bytes, size: int | None = None, algorithm: str = "sha256:") -> Descriptor:
    return Descriptor("text/plain", digest_of(content, algorithm), len(content) if size is None else size)


@pytest.mark.parametrize("algorithm", ["sha256:", "sha512:"])
@pytest.mark.parametrize("content", [b"", b"x", b"some content"])
def test_the_right_bytes_are_returned(content: bytes, algorithm: str) -> None:
    reader = Slow(content)
    assert read_blob(reader, descriptor(content, algorithm=algorithm), len(content)) == content
    assert reader.closed


@pytest.mark.parametrize(
    "sent", [b"", b"some conten", b"some content!", b"same content", b"some content" * 2]
)
def test_wrong_bytes_are_refused(sent: bytes) -> None:
    reader = Slow(sent)
    with pytest.raises(DigestMismatch):
        read_blob(reader, descriptor(b"some content"), 100)
    assert reader.closed


@pytest.mark.parametrize("size", [None, 0, 100, 4 << 20, 8 << 20, 64 << 20])
def test_buffers_of_small_sources_are_small(size: int | None) -> None:
    """Blobs that move at the same time: the buffers of 64 MiB of them are no larger than those of eight large ones."""
    content = bytes(range(256)) * (BLOCK // 128)
    blocks = [bytes(block) for block in blocks_of(BytesReader(content), size)]
    assert b"".join(blocks) == content
    assert len(blocks[0]) == (BLOCK if size is None else max(1 << 16, min(BLOCK, size // 8)))


def test_more_than_the_limit_is_not_read() -> None:
    reader = Slow(b"some content")
    with pytest.raises(ProtocolError, match="has 12 bytes, more than the 11 that are read"):
        read_blob(reader, descriptor(b"some content"), 11)
    assert reader.closed and not reader.was_read
