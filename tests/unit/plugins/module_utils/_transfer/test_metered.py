# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes counted on their way, and nothing else changed about them."""

from __future__ import annotations

import io
import pathlib
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, digest_of
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import (
    BytesReader,
    read_blob,
)
from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress, Transfer
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.metered import MeteredSource

CONTENT = bytes(range(256)) * 10_000
BLOB = Descriptor("application/octet-stream", digest_of(CONTENT), len(CONTENT))


class Source:
    """A source of one blob."""

    def __init__(self, open_blob: t.Callable[[], io.RawIOBase]) -> None:
        self._open = open_blob

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return self._open()

    def origin(self, descriptor: Descriptor) -> t.Any:
        return self


def metered(open_blob: t.Callable[[], io.RawIOBase]) -> tuple[t.Any, Transfer]:
    transfer = Progress(lambda line: None).transfer([BLOB.size])
    assert transfer
    return MeteredSource(t.cast(t.Any, Source(open_blob)), transfer), transfer


def test_bytes_arrive_as_they_are_and_are_counted() -> None:
    source, transfer = metered(lambda: BytesReader(CONTENT))
    assert read_blob(source.open_blob(BLOB), BLOB, 1 << 30) == CONTENT
    assert transfer.done == BLOB.size
    # Opened again, as after a failure.
    source.open_blob(BLOB)
    assert transfer.done == 0


def test_a_file_can_be_read_from_a_byte_on_and_has_its_name(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    source, transfer = metered(lambda: io.FileIO(str(path)))
    with source.open_blob(BLOB) as blob:
        assert blob.seekable()
        assert blob.name == str(path)
        assert blob.seek(1_000_000) == 1_000_000
        assert transfer.done == 1_000_000
        assert blob.readall() == CONTENT[1_000_000:]
        assert transfer.done == BLOB.size


def test_where_blobs_are_kept_is_what_the_source_says() -> None:
    """So that a registry mounts them."""
    source, _transfer = metered(lambda: BytesReader(CONTENT))
    assert isinstance(source.origin(BLOB), Source)


def test_what_has_no_name_and_cannot_be_sought_says_so() -> None:
    source, _transfer = metered(lambda: BytesReader(CONTENT))
    blob = source.open_blob(BLOB)
    assert not blob.seekable()
    assert not hasattr(blob, "name")
