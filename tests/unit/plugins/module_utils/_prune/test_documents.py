# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan and undo files: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._prune.documents import (
    checked,
    checked_digest,
    checked_registry,
    checked_repository,
    checked_tag,
    encode_document,
    optional,
    read_document,
    write_document,
)

KIND = "example/1"
DIGEST = "sha256:" + "0" * 64


def read(path: pathlib.Path) -> str:
    return read_document(str(path), {KIND: lambda document: checked_tag(document["tag"])})


def test_a_document_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "plan.json"
    raw = encode_document(KIND, {"tag": "1.0"})
    assert write_document(str(path), raw, check_mode=True) is True
    assert not path.exists()
    assert write_document(str(path), raw, check_mode=False) is True
    assert read(path) == "1.0"


def test_a_file_that_holds_the_document_already_is_not_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "plan.json"
    raw = encode_document(KIND, {"tag": "1.0"})
    path.write_bytes(raw)
    before = path.stat()
    assert write_document(str(path), raw, check_mode=False) is False
    assert path.stat().st_ino == before.st_ino
    assert write_document(str(path), raw[:-1], check_mode=False) is True
    assert path.read_bytes() == raw[:-1]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "other/1", "tag": "1.0"}',
        b'{"format": ["example/1"], "tag": "1.0"}',
        b'{"format": "example/1"}',
        b'{"format": "example/1", "tag": "../../x"}',
        b'{"format": "example/1", "tag": 1}',
        b"[" * 100000,
    ],
)
def test_another_content_is_refused_with_the_format_that_is_needed(
    tmp_path: pathlib.Path, raw: bytes
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match=r"is not a file that registry_prune wrote for this \(example/1\)"):
        read(path)


def test_a_file_that_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LocalStorageError, match="no-such.json"):
        read(tmp_path / "no-such.json")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checked_tag, "1.0", "a/b"),
        (checked_digest, DIGEST, "sha256:0"),
        (checked_repository, "team/app", "Team/App"),
        (checked_registry, "registry.example.com", None),
    ],
)
def test_values_are_checked(check: t.Callable[[t.Any], str], good: str, bad: t.Any) -> None:
    assert check(good) == good
    for value in (bad, 1, ["1.0"]):
        with pytest.raises(ValueError, match="is needed"):
            check(value)


def test_true_is_no_number_and_null_is_nothing() -> None:
    assert checked(1, int) == 1
    assert checked(True, bool) is True
    with pytest.raises(ValueError, match="int"):
        checked(True, int)
    assert optional(checked_tag, None) is None
    assert optional(checked_tag, "1.0") == "1.0"


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_pipe_is_neither_waited_for_nor_replaced(tmp_path: pathlib.Path, check_mode: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="pipe is not a regular file: name another file"):
        write_document(str(pipe), b"{}\n", check_mode=check_mode)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
