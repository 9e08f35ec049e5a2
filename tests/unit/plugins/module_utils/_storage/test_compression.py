# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed files are told by their first bytes, unpacked whole or refused, and never beyond the limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, Unsupported
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import BytesReader
from ansible_collections.ocikit.registry.plugins.module_utils._storage.compression import (
    compression_of,
    unpack,
    unpacked_file,
    unpacked_limit,
)

CONTENT = bytes(3_000_000) + b"end" + bytes(2_000_000)
PACKERS: dict[str, t.Any] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def content(packed: bytes, compression: str, limit: int = 1 << 30) -> bytes:
    return b"".join(unpack(BytesReader(packed), compression, "the file", limit))


@pytest.mark.parametrize("name", PACKERS)
def test_unpacked(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    pack = PACKERS[name]
    packed = pack(CONTENT)
    assert compression_of(packed[:6]) == name
    assert content(packed, name) == CONTENT
    # As pigz, pbzip2 and pixz write it.
    assert content(pack(CONTENT) + pack(b"more"), name) == CONTENT + b"more"
    with unpacked_file(BytesReader(packed), name, "the file", len(CONTENT)) as file:
        assert not list(tmp_path.iterdir())
        file.seek(0)
        assert io.BufferedReader(t.cast(t.Any, file)).read() == CONTENT


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "flipped", "magic"])
def test_damaged(name: str, damage: str) -> None:
    packed = bytearray(PACKERS[name](CONTENT[2_500_000:]))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed = packed[: len(packed) // 2 if damage == "cut" else 6]
    with pytest.raises(InvalidInput, match=f"the file is not a complete {name} file"):
        content(bytes(packed), name)


@pytest.mark.parametrize("name", PACKERS)
def test_beyond_the_limit(name: str) -> None:
    with pytest.raises(InvalidInput, match="the file unpacks to more than 1000000 bytes"):
        content(PACKERS[name](CONTENT), name, 1_000_000)


def test_limits() -> None:
    assert [unpacked_limit(size, None) for size in (0, 1 << 20, 1 << 30)] == [1 << 30, 1 << 30, 100 << 30]
    assert unpacked_limit(1 << 20, 5) == 5


@pytest.mark.parametrize(
    ("name", "library"), [("zstd", "zstandard, or Python 3.14"), ("bzip2", "bz2"), ("xz", "lzma")]
)
def test_a_python_without_a_library(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression.zstd", "zstandard", "bz2", "lzma"):
        # Which is how imports are made to fail.
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unsupported, match=library):
        content(b"", name)
