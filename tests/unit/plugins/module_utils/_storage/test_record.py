# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that were verified need not be read again, as long as nobody can have changed them."""

from __future__ import annotations

import json
import os
import pathlib
import stat

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._storage.record import VerifiedFiles

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "layout"
    path.mkdir()
    (path / "blob").write_bytes(b"content")
    return path


def saved(layout: pathlib.Path) -> pathlib.Path:
    """Verify the blob, save the record, and return the file of the record."""
    record = VerifiedFiles(str(layout))
    record.add(DIGEST, (layout / "blob").stat())
    record.save(lambda digest: (layout / "blob").stat())
    (path,) = [path for path in layout.parent.iterdir() if path != layout]
    return path


def proves(layout: pathlib.Path) -> bool:
    return VerifiedFiles(str(layout)).proves(DIGEST, (layout / "blob").stat())


def test_the_next_run_believes_what_was_verified(layout: pathlib.Path) -> None:
    assert not proves(layout)
    saved(layout)
    assert proves(layout)
    assert not VerifiedFiles(str(layout)).proves("sha256:" + "1" * 64, (layout / "blob").stat())


def test_a_file_that_was_written_since_is_read_again(layout: pathlib.Path) -> None:
    saved(layout)
    before = (layout / "blob").stat()
    (layout / "blob").write_bytes(b"CONTENT")
    os.utime(layout / "blob", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not proves(layout)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_record_that_others_can_write_is_not_believed(layout: pathlib.Path, mode: int) -> None:
    saved(layout).chmod(mode)
    assert not proves(layout)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"format": "other", "files": {}}', b'{"files": 1}'])
def test_a_record_that_is_damaged_is_not_believed(layout: pathlib.Path, raw: bytes) -> None:
    saved(layout).write_bytes(raw)
    assert not proves(layout)


def test_a_link_in_place_of_the_record_is_not_followed(layout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    record = saved(layout)
    record.rename(tmp_path / "elsewhere")
    record.symlink_to(tmp_path / "elsewhere")
    assert not proves(layout)


def test_what_changed_while_it_was_verified_is_not_recorded(layout: pathlib.Path) -> None:
    record = VerifiedFiles(str(layout))
    record.add(DIGEST, (layout / "blob").stat())
    (layout / "blob").unlink()
    record.save(lambda digest: None)
    (layout / "blob").write_bytes(b"content")
    assert not proves(layout)


def test_a_directory_that_cannot_be_written_is_done_without(tmp_path: pathlib.Path) -> None:
    record = VerifiedFiles(str(tmp_path / "no" / "such" / "layout"))
    (tmp_path / "blob").write_bytes(b"content")
    status = (tmp_path / "blob").stat()
    record.add(DIGEST, status)
    record.save(lambda digest: status)
    assert record.proves(DIGEST, status)
    assert not (tmp_path / "no").exists()


def test_a_record_that_somebody_made_does_no_harm(tmp_path: pathlib.Path) -> None:
    """Names in it that are no digests become no names of files, and what stands in its place is left alone."""
    path, file = tmp_path / ".l.ocikit-verified", tmp_path / "file"
    file.write_bytes(b"x")
    path.write_text(
        json.dumps({"format": "ocikit.registry/verified/1", "files": {"../a": "x", "b": "\ud800"}})
    )
    path.chmod(0o600)
    looked: list[str] = []

    def look(digest: str) -> os.stat_result:
        looked.append(digest)
        return file.stat()

    record = VerifiedFiles(str(tmp_path / "l"))
    record.add(DIGEST, file.stat())
    record.save(look)
    assert looked == [DIGEST] and list(json.loads(path.read_bytes())["files"]) == [DIGEST]
    path.unlink()
    os.mkfifo(path)
    again = VerifiedFiles(str(tmp_path / "l"))
    again.add(DIGEST, file.stat())
    again.save(look)
    assert stat.S_ISFIFO(path.stat().st_mode)
