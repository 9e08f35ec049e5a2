# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory whose content somebody else may change: links below it are not followed."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._storage.folder import Folder


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Folder:
    (tmp_path / "store" / "blobs").mkdir(parents=True)
    (tmp_path / "store" / "blobs" / "a").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    return Folder(str(tmp_path / "store"))


def test_files_are_read_with_their_sizes_and_names(folder: Folder) -> None:
    assert folder.read("blobs/a", 7) == b"content"
    assert folder.file_size("blobs/a") == 7
    assert folder.names() == ["blobs"]
    assert folder.names("blobs") == ["a"]


def test_what_does_not_exist_is_nothing(folder: Folder) -> None:
    for name in ("no", "blobs/no", "no/such/file"):
        assert folder.status(name) is None
        assert folder.open(name) is None
        assert folder.read(name, 10) is None
        assert folder.file_size(name) is None
        assert folder.names(name) == []
    assert folder.file_size("blobs") is None


def test_a_file_that_is_too_large_is_not_read(folder: Folder) -> None:
    with pytest.raises(InvalidInput):
        folder.read("blobs/a", 6)


@pytest.mark.parametrize("name", ["link", "blobs/link"])
def test_links_to_files_are_refused(folder: Folder, tmp_path: pathlib.Path, name: str) -> None:
    os.symlink(tmp_path / "secret", folder.path_of(name))
    with pytest.raises(LocalStorageError, match="it is a symbolic link, which is not followed here"):
        folder.read(name, 10)
    assert folder.file_size(name) is None


def test_links_to_directories_are_refused(folder: Folder, tmp_path: pathlib.Path) -> None:
    os.symlink(tmp_path, folder.path_of("linked"))
    for look in (folder.status, folder.open, folder.names):
        with pytest.raises(LocalStorageError, match="linked cannot be used: it is a symbolic link"):
            look("linked/secret")
    with pytest.raises(LocalStorageError):
        with folder.place("linked/new/.", make=0o777):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "store"]


def test_the_directory_itself_may_be_a_link(folder: Folder, tmp_path: pathlib.Path) -> None:
    os.symlink(folder.path, tmp_path / "link")
    assert Folder(str(tmp_path / "link")).read("blobs/a", 7) == b"content"


def test_what_is_no_file_is_not_opened(folder: Folder) -> None:
    os.mkfifo(folder.path_of("pipe"))
    with pytest.raises(InvalidInput, match="pipe is not a regular file: this is refused"):
        folder.open("pipe")


def test_directories_are_made_with_their_mode(tmp_path: pathlib.Path) -> None:
    folder = Folder(str(tmp_path / "a" / "b"))
    folder.make(0o700)
    folder.make(0o700)
    with folder.place("c/d/file", make=0o750) as place:
        assert place.status() is None
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "c" / "d").stat().st_mode & 0o777 == 0o750


def test_errors_name_the_path(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalStorageError, match=f"{tmp_path}/file cannot be used: Not a directory"):
        Folder(str(tmp_path / "file")).names()
